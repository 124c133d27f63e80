"""`plugin: {call: plugin.tool, with: {...}}`: a tool of a plugin, called by the engine.

The tool's input schema says what `with` may hold and of what type each text is: where it wants
a number, a boolean, a list or an object, the text is read as JSON. What renders to nothing is
left out. A property `content` that `with` does not name is given the content as it is: the
value of JSON, or a text. What comes back takes the content's place, or is put aside by `into`:
a value where the tool has an output schema, else a text. Both schemas are checked here and in
the engine.
"""

import importlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from pydantic import Field, PlainValidator, WithJsonSchema

from portico.errors import ContentInvalid, Permanent
from portico.language.content import Content, parse_json
from portico.spec import fields
from portico.spec.fields import Options, Span, nearest
from portico.spec.rules import AsideField, TemplateField
from portico.steps.body import Body, Hl7Body, JsonBody, json_body, open_body
from portico.steps.contract import Build, End, StepType
from portico.steps.state import RunState

CONTENT = "content"

_CALL = re.compile(r"[a-z][a-z0-9_]{0,62}\.[A-Za-z0-9_.-]{1,128}")
_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


def _call(value: Any) -> str:
    text = fields.text_of(value)
    if not _CALL.fullmatch(text):
        hint = "such as 'bedboard.census'"
        raise fields.wrong("config.call", f"{text!r} is not plugin.tool", hint)
    return text


class PluginOptions(Options):
    """A text is `call`. timeout: of one call. content: the kind of what it gives."""

    short: ClassVar[str] = "call"

    call: Annotated[str, PlainValidator(_call), WithJsonSchema({"type": "string"})]
    with_: dict[str, TemplateField] = Field(default_factory=dict, alias="with")
    timeout: Span = 5.0
    content: Literal["hl7", "json", "xml", "csv", "bytes"] | None = None
    into: AsideField | None = None


class _Plugin:
    def __init__(self, options: PluginOptions, tool: Mapping[str, str]) -> None:
        self._options = options
        schema = json.loads(tool["input"])
        self._types = {name: _types(one) for name, one in schema.get("properties", {}).items()}
        self._input = _rules(tool["input"])
        self._output = _rules(tool["output"]) if tool["output"] else None

    def run(self, state: RunState) -> End | None:
        options = self._options
        arguments = self._arguments(state)
        if found := self._input.broken(arguments):
            raise Permanent(f"{options.call} takes other arguments: {found[0].text}")
        request = {"arguments": arguments, "call": options.call, "timeout": options.timeout}
        value = self._value(state.ask("plugin", _encode(request)))
        if options.into is not None:
            state.aside[options.into] = value
        else:
            state.take(self._body(state.body, value))
        return None

    def _arguments(self, state: RunState) -> dict[str, Any]:
        given = {}
        for name, template in self._options.with_.items():
            if text := template.render(state.context):
                given[name] = typed(name, text, self._types.get(name, frozenset()))
        if CONTENT in self._types and CONTENT not in self._options.with_:
            given[CONTENT] = _content(state.body, self._types[CONTENT])
        return given

    def _value(self, outcome: bytes) -> Any:
        value = parse_json(outcome)
        if self._output is not None and (found := self._output.broken(value)):
            raise Permanent(f"{self._options.call} gave something else: {found[0].text}")
        return value

    def _body(self, before: Body, value: Any) -> Body:
        kind = self._options.content or before.kind
        if kind == "json":
            return json_body(value)
        if not isinstance(value, str):
            text = f"{self._options.call} gives a JSON value, which is no {kind} content"
            raise Permanent(f"{text}; say content: json, or into")
        form = before.form if kind == before.kind else Content(kind)
        policy = before.message.view.policy if isinstance(before, Hl7Body) else ()
        return open_body(form, value.encode(), *policy)


def typed(name: str, text: str, types: frozenset[str]) -> Any:
    """The text, or the value that it spells where the schema wants no text.

    Raises Permanent, without the text.
    """
    if not types or "string" in types:
        return text
    try:
        return parse_json(text.encode())
    except ContentInvalid:
        wanted = " or ".join(sorted(types))
        raise Permanent(f"with.{name} is no {wanted}, as the tool wants") from None


def _types(schema: Any) -> frozenset[str]:
    """The JSON types that a property names; none: any."""
    said = schema.get("type", ()) if isinstance(schema, Mapping) else ()
    return frozenset([said] if isinstance(said, str) else said)


def _content(body: Body, types: frozenset[str]) -> Any:
    """The content for a property: the value of JSON where no text is wanted, else a text."""
    if isinstance(body, JsonBody) and "string" not in types:
        return body.value
    codec = body.message.view.codec if isinstance(body, Hl7Body) else "utf-8"
    try:
        return body.content().decode(codec)
    except UnicodeDecodeError:
        raise Permanent(f"the content is no text in {codec}") from None


def _rules(schema: str) -> Any:
    """The schema compiled; its library is loaded with the first that a site has."""
    return importlib.import_module("portico.steps.jsonrules").JsonRules(schema.encode())


def _build(options: Any, build: Build) -> _Plugin:
    tool = build.tools.get(options.call)
    if tool is None:
        hint = nearest(options.call, build.tools)
        raise ValueError(f"there is no tool {options.call!r}; {hint}")
    step = _Plugin(options, tool)
    _fits(options, tool)
    return step


def _fits(options: PluginOptions, tool: Mapping[str, str]) -> None:
    """Raises ValueError for names and constants that the tool's input cannot take."""
    schema = json.loads(tool["input"])
    known = schema.get("properties", {})
    for name, template in options.with_.items():
        if name not in known and schema.get("additionalProperties") is False:
            raise ValueError(f"{options.call} has no input {name!r}; {nearest(name, known)}")
        if name in known and template.constant:
            _constant(options.call, name, template.source, known[name], schema)
    given = {*options.with_, CONTENT}
    if missing := [name for name in schema.get("required", ()) if name not in given]:
        raise ValueError(f"{options.call} needs {missing[0]!r}; name it under `with`")


def _constant(call: str, name: str, source: str, own: Any, schema: Any) -> None:
    text = source.replace("{{", "{")
    try:
        value = typed(name, text, _types(own))
    except Permanent as error:
        raise ValueError(f"{error}: {text!r}") from None
    alone = {"$defs": schema.get("$defs", {}), "properties": {name: own}}
    if found := _rules(json.dumps(alone)).broken({name: value}):
        raise ValueError(f"{call} cannot take {name} {text!r}: {found[0].text}")


PLUGIN = StepType("plugin", "Calls a tool of a plugin", PluginOptions, _build)
