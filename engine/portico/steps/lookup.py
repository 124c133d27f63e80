"""`lookup`: writes the cell of a table, found by a place's value.

The table is `transforms/tables/TABLE.csv`, its key is its first column. Without `into` the
key's own place is written.
"""

from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from portico.errors import PathInvalid, RuleBroken
from portico.language.place import EnvelopePlace, Hl7Place, Place
from portico.language.tables import Table
from portico.language.template import Template
from portico.spec import fields
from portico.spec.fields import Name, Options, Text
from portico.spec.rules import PlaceField, TargetField
from portico.steps.contract import Build, End, StepType
from portico.steps.state import RunState

_VALUE_NOT_FOUND = "103"  # HL7 table 0357: table value not found


def _missing(value: Any) -> str | Template:
    """`error`, `keep`, or the template of `{default: T}`."""
    if value in ("error", "keep"):
        return str(value)
    try:
        if isinstance(value, dict) and set(value) == {"default"}:
            return Template.parse(fields.text_of(value["default"]))
    except (ValueError, PathInvalid) as error:
        raise fields.wrong("config.template", str(error)) from None
    raise fields.wrong("config.missing", "missing is error, keep or {default: TEXT}")


class LookupOptions(Options):
    """column: the second when not said. missing: `error`, `keep` or a default."""

    table: Name
    key: PlaceField
    column: Text | None = None
    into: TargetField | None = None
    missing: Annotated[
        str | Template,
        PlainValidator(_missing),
        WithJsonSchema({"anyOf": [{"enum": ["error", "keep"]}, {"type": "object"}]}),
    ] = "error"


class _Lookup:
    def __init__(
        self, key: Place, into: Place, table: Table, column: int, missing: str | Template
    ) -> None:
        self._key = key
        self._into = into
        self._rows = table.rows
        self._column = column
        self._missing = missing
        self._table = table.name

    def run(self, state: RunState) -> End | None:
        key = self._key.text(state.context)
        row = self._rows.get(key) if isinstance(key, str) else None
        if row is not None:
            text = row[self._column]
        elif isinstance(self._missing, Template):
            text = self._missing.render(state.context)
        elif self._missing == "keep":
            return None
        else:
            location = self._key.source if isinstance(self._key, Hl7Place) else ""
            text = f"the value of {self._key} is not in table {self._table}"
            raise RuleBroken(text, location, _VALUE_NOT_FOUND)
        state.write(((self._into, text),))
        return None


def _build(options: Any, build: Build) -> _Lookup:
    into = options.into or options.key
    if isinstance(into, EnvelopePlace):
        raise ValueError(f"{into} is never written; add into: NAME")
    if isinstance(into, Hl7Place) and (into.path.field is None or into.many):
        raise ValueError(f"{into} is not one field; add into: PLACE")
    table = build.tables[options.table]
    column = table.column(options.column)
    return _Lookup(options.key, into, table, column, options.missing)


LOOKUP = StepType("lookup", "Writes what a table says", LookupOptions, _build)
