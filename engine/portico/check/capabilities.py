"""What `llm` steps may use: capabilities by name, brought together and frozen."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from portico.check import plugins
from portico.check.draft import Draft, visible
from portico.check.pipeline import Pipeline, PipelineStep
from portico.check.references import heard
from portico.errors import ConfigError
from portico.language import tables
from portico.llm.granted import Frozen, Granted
from portico.llm.tools.table import CAPABILITIES
from portico.spec.capability import Capability
from portico.spec.fields import nearest
from portico.spec.finding import Finding
from portico.spec.models import exceeds

_LARGEST = 64_000  # bytes of a text, or of a file that a conversation begins with
_TABLE = 1 << 20  # bytes
_NAME = 64  # characters that a tool's name may have for OpenAI and Anthropic
_CODE = "site.capability"
_OTHER = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(slots=True)
class _Gathered:
    """Of one step, so far. wrong: code, text and hint."""

    root: Path
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    tools: dict[str, Granted] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    wrong: list[tuple[str, str, str]] = field(default_factory=list)

    def complain(self, text: str, hint: str = "", code: str = _CODE) -> None:
        """Something cannot hold."""
        self.wrong.append((code, text, hint))


def granted(draft: Draft, pipeline: Pipeline) -> dict[str, Frozen]:
    """By step, of those that may use anything."""
    found = {}
    for stage in _asking(pipeline):
        options: Any = stage.options
        if names := _names(draft, pipeline, options):
            one = _gathered(draft, names)
            found[str(stage.form["name"])] = Frozen(
                tuple(one.before),
                tuple(one.after),
                tuple(one.tools.values()),
                one.tables,
                one.files,
                options.rounds,
                options.parallel,
            )
    return found


def misfits(draft: Draft) -> Iterator[Finding]:
    """Capabilities that are not there or cannot work, and tools that give what a step may not
    have."""
    for pipeline in draft.pipelines:
        for stage in _asking(pipeline):
            one = _gathered(draft, _names(draft, pipeline, stage.options))
            for code, text, hint in (*one.wrong, *_unfit(draft, pipeline, stage, one)):
                yield pipeline.document.finding(stage.at, code, text, hint)


def _asking(pipeline: Pipeline) -> Iterator[PipelineStep]:
    for stage in pipeline.stages:
        if stage.form["verb"] == "llm" and stage.options is not None:
            yield stage


def _names(draft: Draft, pipeline: Pipeline, options: Any) -> tuple[str, ...]:
    """The step's own, else its agent's."""
    agent = draft.agents.get(pipeline.document.name)
    inherited: tuple[str, ...] = agent.capabilities if agent is not None else ()
    return inherited if options.capabilities is None else options.capabilities


def _unfit(
    draft: Draft, pipeline: Pipeline, stage: PipelineStep, one: _Gathered
) -> Iterator[tuple[str, str, str]]:
    """Tools that give too much for the step, or that keep a sender waiting for a person."""
    options: Any = stage.options
    for tool in one.tools.values():
        if exceeds(tool.phi, options.phi):
            text = f"{tool.call} may give phi: {tool.phi}, this step may have {options.phi}"
            yield "site.phi", text, "say what it gives: {approve: ..., phi: none}"
    asks = [tool.call for tool in one.tools.values() if tool.approve == "review"]
    agent = draft.agents.get(pipeline.document.name)
    for channel in sorted(heard(agent, draft)) if agent is not None and asks else ():
        if draft.channels[channel].acknowledge.when != "journaled":
            text = f"the sender of {channel} would wait until a person lets {asks[0]} be called"
            yield "site.llm_in_ack", text, "'when: journaled' there"


def _gathered(draft: Draft, names: tuple[str, ...]) -> _Gathered:
    one = _Gathered(draft.root)
    known = draft.config.capabilities
    for name in dict.fromkeys(names):
        if name in known:
            _own(draft, one, name, known[name])
        elif name in CAPABILITIES:
            for tool in CAPABILITIES[name]:
                _add(one, tool.call, Granted("", tool.call, tool.summary, tool.schema))
        else:
            hint = nearest(name, (*known, *CAPABILITIES))
            one.complain(f"there is no capability {name!r}", hint, "site.unknown_capability")
    if "code_tables_list" in one.tools:
        _tables(one)
    return one


def _own(draft: Draft, one: _Gathered, name: str, said: Capability) -> None:
    """One of the site's own."""
    if said.text:
        (one.before if said.position == "before" else one.after).append(_text(one, said.text))
    for call, grant in said.tools.items():
        if wrong := plugins.unknown(draft.plugins, call):
            one.complain(f"{name}: {wrong[1]}", wrong[2], wrong[0])
            continue
        plugin, _, tool = call.partition(".")
        known = draft.plugins[plugin].tools[tool]
        schema = msgspec.json.decode(known.input)
        idempotent = draft.plugins[plugin].plugin.idempotent
        about = known.summary, schema, grant.approve, grant.phi, idempotent, False
        _add(one, call, Granted("", call, *about))
    for table in said.tables:
        one.tables.setdefault(table, "")
    for file in said.files:
        one.files[file] = _text(one, file)


def _add(one: _Gathered, call: str, tool: Granted) -> None:
    """Under a name that models can take."""
    name = _OTHER.sub("_", call)
    before = one.tools.setdefault(name, msgspec.structs.replace(tool, name=name))
    if before.call != call:
        one.complain(f"{before.call} and {call} have one name for the model, {name}")
    if len(name) > _NAME:
        one.complain(f"{call} is longer than the {_NAME} characters that models take")


def _tables(one: _Gathered) -> None:
    """The contents of the tables that are named, else of all that the site has."""
    folder = one.root / "transforms/tables"
    for name in list(one.tables) or [path.stem for path in visible(folder, "*.csv")]:
        try:
            content = (folder / f"{name}.csv").read_bytes()
            if len(content) > _TABLE:
                raise ConfigError("it is larger than 1 MiB; name others under `tables`")
            tables.parse(name, content)
        except OSError:
            one.complain(f"there is no table {name!r}", code="site.unknown_table")
        except ConfigError as error:
            one.complain(f"table {name}: {error}")
        else:
            one.tables[name] = content.decode("utf-8-sig")


def _text(one: _Gathered, name: str) -> str:
    """A file below the site, empty where it cannot be read."""
    path = (one.root / name).resolve()
    try:
        if not path.is_relative_to(one.root.resolve()):
            raise ValueError("it is not below the site")
        content = path.read_bytes()
        if len(content) > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST} bytes")
        return content.decode("utf-8")
    except OSError as error:
        one.complain(f"{name}: {error.strerror}")
    except UnicodeDecodeError:
        one.complain(f"{name}: it is not UTF-8")
    except ValueError as error:
        one.complain(f"{name}: {error}")
    return ""
