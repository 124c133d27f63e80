"""JSON Schemas of the site's documents for editors, made from the models and the catalog.

An editor reads YAML by its own rules and may take `103` for a number and `no` for a boolean,
so wherever the language wants a text the schema takes those too. What needs more than one
document, and what a text says inside (places, templates), is left to `portico check`.
Source: JSON Schema draft 2020-12.
"""

from typing import Any, Literal

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from portico import catalog
from portico.destinations import table as destinations
from portico.destinations.contract import DestinationType
from portico.listeners import table as listeners
from portico.listeners.contract import ListenerType
from portico.spec.agent import Agent
from portico.spec.channel import Channel
from portico.spec.destination import Destination
from portico.spec.fields import Options
from portico.spec.plugin import Plugin
from portico.spec.rules import GROUP
from portico.spec.site import Config
from portico.steps import table as steps

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
VALIDATION: Literal["validation"] = "validation"
NAMES = ("channel", "agent", "destination", "config", "plugin", "document")
_STEPS: Schema = {"anyOf": [{"$ref": "#/$defs/step"}, {"$ref": "#/$defs/list_of_steps"}]}
_ON_ERROR: Schema = {"$ref": "#/$defs/on_error"}


class _Quiet(GenerateJsonSchema):
    """Says nothing of defaults that JSON cannot hold: they are left out anyway."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012


def schema(name: str) -> Schema:
    """The schema of one of NAMES; `document` is any document of `channels/*.yaml`."""
    return {"$schema": DRAFT, "$ref": f"#/$defs/{name}", "$defs": _definitions()}


def _definitions() -> Schema:
    listening = {name: catalog.listener(name) for name in catalog.listeners_named()}
    sending = {name: catalog.destination(name) for name in catalog.destinations_named()}
    verbs = {name: catalog.step(name) for name in catalog.steps_named()}
    nouns: dict[str, type[Options]] = {
        "channel": Channel,
        "agent": Agent,
        "destination": Destination,
        "config": Config,
        "plugin": Plugin,
    }
    models: list[type[Options]] = [
        *nouns.values(),
        *(kind.options for kind in listening.values()),
        *(kind.options for kind in sending.values()),
        *(kind.options for kind in verbs.values()),
    ]
    wanted = [(model, VALIDATION) for model in dict.fromkeys(models)]
    refs, shared = models_json_schema(wanted, schema_generator=_Quiet)
    found: Schema = _widened(shared["$defs"])
    of = {model: _resolved(refs[model, VALIDATION], found) for model in models}
    found |= {noun: of[model] for noun, model in nouns.items()}
    found["channel"]["properties"]["source"] = _typed(
        {name: _of_type(kind, of[kind.options], {}) for name, kind in listening.items()},
        listeners.PLANNED,
    )
    common = found["destination"]
    found["destination"] = _typed(
        {name: _of_type(kind, of[kind.options], common) for name, kind in sending.items()},
        destinations.PLANNED,
    )
    found["agent"]["properties"] |= {GROUP: _STEPS, "on_error": _ON_ERROR}
    found["step"] = _step({verb: of[kind.options] for verb, kind in verbs.items()})
    found["list_of_steps"] = {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 1}
    found["on_error"] = _on_error()
    found["document"] = {
        "type": "object",
        "oneOf": [_named(noun) for noun in ("channel", "destination", "agent")],
    }
    return found


def _named(noun: str) -> Schema:
    return {"required": [noun], "$ref": f"#/$defs/{noun}"}


def _resolved(schema: Schema, shared: Schema) -> Schema:
    """The schema itself in place of a reference to it; a copy, so that it can be changed."""
    reference = schema.get("$ref", "")
    found = shared[reference.rpartition("/")[2]] if reference else _widened(schema)
    return (
        {**found, "properties": dict(found["properties"])} if "properties" in found else found
    )


def _of_type(kind: ListenerType | DestinationType, own: Schema, common: Schema) -> Schema:
    """One source or destination: its own keys, those that come later, and the common ones."""
    later = {key: {"description": f"not built yet: {why}"} for key, why in kind.not_yet.items()}
    properties = {
        **common.get("properties", {}),
        "type": {"const": kind.name},
        **later,
        **own["properties"],
    }
    required = dict.fromkeys((*common.get("required", ()), "type", *own.get("required", ())))
    return {
        "description": kind.summary,
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        **({"oneOf": own["oneOf"]} if "oneOf" in own else {}),
    }


def _typed(kinds: dict[str, Schema], planned: tuple[str, ...]) -> Schema:
    """A mapping whose `type` says which schema holds; nothing is asked of planned types."""
    return {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": [*kinds, *planned]}},
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": then,
            }
            for name, then in kinds.items()
        ],
    }


def _step(verbs: dict[str, Schema]) -> Schema:
    """One verb and the keys of every step; inner steps of groups, routes and splits too."""
    otherwise = {"type": "object", "required": ["otherwise"], "additionalProperties": False}
    branch = {
        "anyOf": [{"$ref": "#/$defs/step"}, {**otherwise, "properties": {"otherwise": {}}}]
    }
    known: Schema = {
        **{verb: {"description": "not built yet"} for verb in steps.PLANNED},
        **verbs,
        GROUP: _STEPS,
        "route": {"type": "array", "items": branch, "minItems": 2},
    }
    known["split"]["properties"][GROUP] = _STEPS
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"},
            "when": {"type": ["object", "array"]},
            "on_error": _ON_ERROR,
            **known,
        },
        "oneOf": [{"required": [verb]} for verb in known],
        "additionalProperties": False,
    }


def _on_error() -> Schema:
    text = {"type": ["string", "number", "boolean"]}
    refusal = {
        "type": "object",
        "properties": {"ack": {"enum": ["AE", "AR"]}, "code": text, "text": text},
        "additionalProperties": False,
        "minProperties": 1,
    }
    choice = {
        "type": "object",
        "properties": {"refuse": {"anyOf": [text, refusal]}, GROUP: _STEPS},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {"anyOf": [{"enum": ["park", "drop", "stop", "continue", "refuse"]}, choice]}


def _widened(schema: Any) -> Any:
    """The schema for values as an editor reads them, without defaults and titles."""
    if isinstance(schema, list):
        return [_widened(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    wide = {
        key: {name: _widened(each) for name, each in value.items()}
        if key in ("properties", "$defs")
        else value
        if key in ("examples", "enum", "required", "const")
        else _widened(value)
        for key, value in schema.items()
        if key not in ("default", "title") or isinstance(value, dict)
    }
    if "enum" in wide:
        wide["enum"] = [*schema["enum"], *_as_read(schema["enum"])]
        wide.pop("type", None)
    elif "pattern" not in wide and "string" in _types(wide):
        wide["type"] = list(dict.fromkeys((*_types(wide), "number", "boolean")))
    return wide


def _types(schema: Schema) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _as_read(words: list[Any]) -> list[Any]:
    """What an editor may make of these words: `2` a number, `no` a boolean."""
    booleans = {"yes": True, "no": False, "true": True, "false": False}
    numbers = [int(word) for word in words if isinstance(word, str) and word.isdecimal()]
    read = [booleans[word] for word in words if isinstance(word, str) and word in booleans]
    return [*numbers, *(each for each in read if each not in words)]
