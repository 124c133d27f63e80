"""The settings that hold, every default filled in, as YAML that could be a site's file.

A line that ends in `# default` says what nobody wrote. Secrets stay references.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic.fields import FieldInfo

from portico import catalog
from portico.check.site import Site
from portico.language.condition import Condition
from portico.language.order import Order
from portico.policy.retry import HL7_ANSWERS
from portico.spec.agent import Agent
from portico.spec.channel import CHARSET_WORDS, Channel, Charset, Duplicates, Source
from portico.spec.content import Content
from portico.spec.destination import Destination
from portico.spec.fields import HostPort, Later, Options, Shown
from portico.spec.rules import GROUP

DEFAULT = "  # default"
_INDENT = "  "
# A * at the beginning would be an alias, a - an item of a list.
_PLAIN = re.compile(r"[A-Za-z0-9_./^+][A-Za-z0-9_./^*+:=-]*(?<!:)")


def explain(site: Site) -> str:
    """Configuration, channels, agents, destinations, plugins: each a YAML document."""
    documents = [
        ["# config/portico.yaml", *_options(site.config)],
        *(_noun(each) for each in site.channels.values()),
        *(_noun(each) for each in site.agents.values()),
        *(_noun(each) for each in site.destinations.values()),
        *(_options(each.plugin) for each in site.plugins.values()),
    ]
    return "---\n".join("".join(f"{line}\n" for line in lines) for lines in documents)


def _noun(document: Channel | Agent | Destination) -> Iterator[str]:
    if isinstance(document, Destination):
        yield from _options(document)
        yield from _options(document.options)
    elif isinstance(document, Agent):
        yield from _options(document, skip=(GROUP, "on_error"))
        yield from _on_error(document.on_error, "on_error" in document.model_fields_set)
        yield f"{GROUP}:"
        yield from _indented(_steps(document.steps))
    else:
        yield from _options(document)


def _options(
    model: Options, skip: tuple[str, ...] = (), typed: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """A line for each key, more for nested ones; keys that come later only where set.

    typed: what the file says, printed as it stands there.
    """
    typed = typed or {}
    for name, field in type(model).model_fields.items():
        key, value = field.alias or name, getattr(model, name)
        if key in skip or field.exclude or (value is None and _is_later(field)):
            continue
        said = name in model.model_fields_set
        if isinstance(model, Charset) and key == "on_error" and value not in CHARSET_WORDS:
            value = {"fallback": value}
        elif isinstance(value, Content):
            value = value.form.plain()
        elif isinstance(model, Channel) and isinstance(value, Duplicates):
            value = _keyed(model, value)
        elif isinstance(model, Destination) and key == "answers":
            value = {code: _rule(rule) for code, rule in {**HL7_ANSWERS, **value}.items()}
        shown = None if key in typed else _shown(field)
        yield from _entry(key, typed.get(key, value), said, shown)


def _keyed(channel: Channel, known: Duplicates) -> Duplicates:
    """Without the default key, which is HL7's, where the content is none."""
    if channel.content.type == "hl7" or "key" in known.model_fields_set:
        return known
    values = {name: getattr(known, name) for name in Duplicates.model_fields}
    return Duplicates.model_construct(known.model_fields_set, **{**values, "key": ()})


def _rule(rule: str | int) -> str | dict[str, str]:
    return {"retry": str(rule)} if isinstance(rule, int) else rule


def _entry(key: str, value: Any, said: bool, shown: Shown | None) -> Iterator[str]:
    mark = "" if said else DEFAULT
    if isinstance(value, Source):
        yield f"{key}:"
        yield f"{_INDENT}type: {value.type}"
        yield from _indented(_options(value.options))
    elif isinstance(value, Options):
        lines = list(_options(value))
        empty = all(line.startswith("#") for line in lines)
        yield f"# {key}: not set" if empty else f"{key}:{mark}"
        yield from () if empty else _indented(lines)
    elif not said and value in (None, "", (), {}):
        yield f"# {key}: not set"
    else:
        yield f"{_scalar(key)}: {_flow(value, shown)}{mark}"


def _steps(forms: Any) -> Iterator[str]:
    """Steps in normal form, each with its name and the whole of its verb's options."""
    for form in forms:
        if "otherwise" in form:
            told = form["otherwise"]
            group = isinstance(told, dict)
            yield "- otherwise:" if group else f"- otherwise: {told}"
            yield from _indented(_indented(_group(told[GROUP]) if group else ()))
            continue
        yield f"- name: {form['name']}"
        if form["when"] is not None:
            yield f"{_INDENT}when: {_flow(form['when'])}"
        yield from _indented(_verb(form["verb"], form["args"]))
        if form["on_error"] is not None:
            yield from _indented(_on_error(form["on_error"], True))


def _verb(verb: str, args: Any) -> Iterator[str]:
    yield f"{verb}:"
    if verb in (GROUP, "route"):
        yield from _indented(_steps(args))
        return
    kind = catalog.step(verb).options
    options = kind.model_validate(args)
    typed = args if isinstance(args, dict) else {kind.short: args}
    yield from _indented(_options(options, (GROUP,), typed))
    if hasattr(options, GROUP):
        yield from _indented(_group(args[GROUP]))


def _on_error(value: Any, said: bool) -> Iterator[str]:
    if isinstance(value, dict) and GROUP in value:
        yield "on_error:"
        yield from _indented(_group(value[GROUP]))
    else:
        yield f"on_error: {_flow(value)}{'' if said else DEFAULT}"


def _group(forms: Any) -> Iterator[str]:
    yield f"{GROUP}:"
    yield from _indented(_steps(forms))


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"{_INDENT}{line}" for line in lines)


def _flow(value: Any, shown: Shown | None = None) -> str:
    """A value on one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Options):
        return _mapping(value)
    if isinstance(value, Condition):
        value = value.source
    elif isinstance(value, Order):
        value = value.plain()
    if isinstance(value, Mapping):
        pairs = (f"{_scalar(str(key))}: {_flow(each)}" for key, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple) and not isinstance(value, HostPort):
        return f"[{', '.join(_flow(each, shown) for each in value)}]"
    spelled = shown.text(value) if shown else str(value)
    return _scalar(spelled) if isinstance(spelled, str) else _flow(spelled)


def _mapping(model: Options) -> str:
    """Options inside a mapping, on one line: what the file says of them."""
    said = [
        (field.alias or name, getattr(model, name), _shown(field))
        for name, field in type(model).model_fields.items()
        if name in model.model_fields_set
    ]
    return f"{{{', '.join(f'{key}: {_flow(value, shown)}' for key, value, shown in said)}}}"


def _scalar(text: str) -> str:
    """As it is when YAML takes it so anywhere, else in quotes."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _is_later(field: FieldInfo) -> bool:
    return any(isinstance(mark, Later) for mark in field.metadata)


def _shown(field: FieldInfo) -> Shown | None:
    """How the field's values are spelled, also those of `Duration | None`."""
    marks = [*field.metadata]
    for part in get_args(field.annotation):
        marks += getattr(part, "__metadata__", ())
    return next((mark for mark in marks if isinstance(mark, Shown)), None)
