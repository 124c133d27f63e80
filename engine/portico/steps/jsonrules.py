"""JSON Schemas: what a JSON content breaks, by pointer and keyword; never by value.

Drafts 3 to 2020-12, by `$schema`; without it 2020-12. `format` is asserted. A schema is one
file: `$ref` leads nowhere else, and nothing is fetched. Imported where a schema is asked for.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext
from typing import Any

import jsonschema
from jsonschema import validators
from referencing import Registry

from portico.errors import ContentInvalid
from portico.hl7.structure import Deviation
from portico.language.content import parse_json

_LARGEST = 4 << 20  # bytes of a schema
_DIGITS = 6_000  # of a quotient, for multipleOf: more than parse_json lets two numbers have
_MISSING, _TYPE, _VALUE = "101", "102", "103"  # HL7 table 0357
_CODES = {"required": _MISSING, "dependentRequired": _MISSING, "enum": _VALUE, "const": _VALUE}


class JsonRules:
    """A compiled schema. Raises ValueError, with what would be right, when it is none."""

    def __init__(self, content: bytes) -> None:
        schema = _read(content)
        kind = validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(schema)
        except jsonschema.SchemaError as error:
            at = "/".join(map(str, error.absolute_path))
            raise ValueError(f"it is no JSON Schema: /{at} ({error.validator})") from None
        checker = kind.TYPE_CHECKER.redefine("integer", _whole)
        sound = validators.extend(kind, type_checker=checker)
        self._names = set(_names(schema))
        self._validator = sound(schema, format_checker=kind.FORMAT_CHECKER, registry=Registry())
        for reference in _references(schema):
            self._resolved(reference)

    def broken(self, value: Any) -> list[Deviation]:
        """The first rule that the value breaks, from the outside in."""
        with localcontext(prec=_DIGITS):
            errors = self._validator.iter_errors(value)
            first = min(errors, key=lambda error: len(error.absolute_path), default=None)
        if first is None:
            return []
        parts = [_shown(part, self._names) for part in first.absolute_path]
        keyword, what = str(first.validator), ""
        if keyword == "required" and isinstance(first.instance, Mapping):
            missing = [name for name in first.validator_value if name not in first.instance]
            parts, what = [*parts, *map(str, missing[:1])], " is missing"
        at = "".join(f"/{part}" for part in parts) or "/"
        text = f"{at}{what or f' does not fit the schema ({keyword})'}"
        return [Deviation(text, at, _CODES.get(keyword, _TYPE))]

    def _resolved(self, reference: str) -> None:
        if not reference.startswith("#"):
            text = f"{reference!r} leads out of the file; write the definition into $defs"
            raise ValueError(text)
        try:
            self._validator._resolver.lookup(reference)
        except Exception as error:
            raise ValueError(f"{reference!r} leads nowhere in the schema") from error


def _read(content: bytes) -> Any:
    if len(content) > _LARGEST:
        raise ValueError("the schema is larger than 4 MiB")
    try:
        schema = parse_json(content)
    except ContentInvalid as error:
        raise ValueError(str(error)) from None
    if not isinstance(schema, dict | bool):
        raise ValueError("a JSON Schema is an object")
    return schema


def _whole(_: object, value: object) -> bool:
    """Numbers that were typed with a point are Decimal here."""
    if isinstance(value, Decimal):
        return value == value.to_integral_value()
    return isinstance(value, int) and not isinstance(value, bool)


def _parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    pending = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield part
            pending += part.values()
        elif isinstance(part, list):
            pending += part


def _names(schema: Any) -> Iterator[str]:
    """The names of properties that the schema itself knows: they may be said aloud."""
    for part in _parts(schema):
        if isinstance(part.get("properties"), dict):
            yield from part["properties"]


def _references(schema: Any) -> Iterator[str]:
    for part in _parts(schema):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]


def _shown(part: str | int, names: set[str]) -> str | int:
    return part if isinstance(part, int) or part in names else "*"
