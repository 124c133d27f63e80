"""`hl7`: what the standard calls a place, what a segment has, what the message holds."""

from typing import Any

from portico.errors import MessageError
from portico.hl7 import identifying, names
from portico.hl7.path import Path
from portico.hl7.reading import DELETED
from portico.llm.asking import Pieces
from portico.llm.tools.contract import Builtin, ToolDesk, failed, known, schema, text

_MOST_FIELDS = 200
_MOST_VALUES = 50
_MOST_TEXT = 20_000  # characters of all values that are read at once


async def _name(desk: ToolDesk, asked: dict[str, Any]) -> Pieces:
    path, version = _path(asked["path"]), _version(desk)
    found = names.named(path, version)
    if found is None:
        raise failed(f"no version of the standard knows {path}")
    return known({"path": str(path), "name": found.text, "type": found.type})


async def _explain(desk: ToolDesk, asked: dict[str, Any]) -> Pieces:
    segment, version = asked["segment"], _version(desk)
    numbered = ((n, names.field(segment, n, version)) for n in range(1, _MOST_FIELDS))
    fields = {f"{segment}-{n}": f"{one.text} ({one.type})" for n, one in numbered if one}
    if not fields:
        raise failed(f"no version of the standard knows a segment {segment}")
    return known(fields)


async def _read(desk: ToolDesk, asked: dict[str, Any]) -> Pieces:
    path, message = _path(asked["path"]), desk.message
    if message is None:
        raise failed("the content is no HL7 v2 message")
    if path.field is None:
        raise failed(f"name a field, such as {path}-1")
    if desk.phi == "none" and not (identifying.safe(path) and "=" not in str(path)):
        raise failed(f"{path} could tell a patient, which phi: none forbids")
    try:
        values = message.texts(path)
    except MessageError as error:
        raise failed(f"{path} cannot be read: {error.code}") from None
    kind = identifying.kind_of(path, message.header.version, "TX")
    told = [value for value in values[:_MOST_VALUES] if value is not DELETED]
    if not told:
        return (("", f"there is nothing at {path}"),)
    if sum(map(len, map(str, told))) > _MOST_TEXT:
        raise failed(f"{path} holds more than {_MOST_TEXT} characters")
    return tuple(piece for value in told for piece in ((kind, str(value)), ("open", "\n")))


def _path(said: str) -> Path:
    try:
        return Path.parse(said)
    except MessageError as error:
        raise failed(str(error)) from None


def _version(desk: ToolDesk) -> str:
    return desk.message.header.version if desk.message is not None else ""


_PATH = {**text(), "description": "such as PID-5.1, OBX[2]-5 or OBX[*]-3.1"}
_SEGMENT = {"type": "string", "pattern": "^[A-Z][A-Z0-9]{2}$"}

TOOLS = (
    Builtin(
        "hl7.name", "What HL7 calls a place, and its type", schema("path", path=_PATH), _name
    ),
    Builtin(
        "hl7.explain",
        "The fields of a segment, with names and types",
        schema("segment", segment=_SEGMENT),
        _explain,
    ),
    Builtin(
        "hl7.read",
        "What the message holds at a place, each value on a line",
        schema("path", path=_PATH),
        _read,
    ),
)
