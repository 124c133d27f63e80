"""A message as a JSON value, and back to the very same bytes.

    {"segments": [
        {"segment": "MSH", "fields": {"1": "|", "2": "^~\\\\&", "9": {"1": "ADT", "2": "A01"}}},
        {"segment": "PID", "fields": {"3": [{"1": "7", "4": "HOSP"}, {"1": "8"}], "8": null}}]}

Fields, components and subcomponents stand by their numbers, several repetitions in a list. A
text is unescaped; null is HL7's `\"\"`; a place that is not named is empty, and `""` under the
last number keeps trailing separators. What would not come back as it was stands as it is:
`{"raw": ...}` (escapes kept), `{"bytes": hex}` (outside the character set), or a whole
`{"line": ...}`. `end` of a segment, when not CR: all up to the next one. `before`: what stands
before MSH. `charset`: the character set when MSH-18 is empty, when not ASCII.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from portico.errors import (
    CharsetUnknown,
    ContentInvalid,
    MessageError,
    TextUnencodable,
)
from portico.hl7 import charset, escape, header, pieces
from portico.hl7.delimiters import Delimiters
from portico.hl7.path import HEADERS
from portico.hl7.pieces import Piece
from portico.hl7.view import MessageView, Segment

_NUMBER = re.compile(r"[1-9][0-9]{0,3}")  # as paths have it
_CR = "\r"


class _Writing(NamedTuple):
    """How text becomes bytes in one message."""

    marks: Delimiters
    codec: str
    errors: str = "strict"

    def levels(self) -> tuple[bytes, bytes]:
        return self.marks.component, self.marks.subcomponent


def dump(view: MessageView) -> dict[str, Any]:
    """The JSON value of a message, of any that a view takes."""
    default = view.policy[0]
    writing = _Writing(view.delimiters, _codec(view.header.charset, default))
    every = list(view.segments())
    stops = [segment.start for segment in every[1:]] + [len(view.content)]
    value: dict[str, Any] = {} if default == "ascii" else {"charset": default}
    if view.start:
        value["before"] = view.content[: view.start].decode()
    value["segments"] = [
        _segment(view, segment, writing) | _end(view.content[segment.end : stop])
        for segment, stop in zip(every, stops, strict=True)
    ]
    return value


def load(value: Any) -> bytes:
    """The message of a JSON value; its texts are escaped. Raises ContentInvalid, NotHl7 (no
    usable MSH first), TextUnencodable with the place.
    """
    segments = value.get("segments") if isinstance(value, Mapping) else None
    if not isinstance(segments, Sequence) or not segments or isinstance(segments, str):
        raise ContentInvalid('a message in JSON is {"segments": [...]}')
    writing = _writing(segments[0], _text(value.get("charset", "ascii"), "charset"))
    lines = [_text(value.get("before", ""), "before").encode()]
    for segment in segments:
        lines += (_line(segment, writing), _text(segment.get("end", _CR), "end").encode())
    content = b"".join(lines)
    Delimiters.of(content)
    return content


def _codec(names: tuple[str, ...], default: str) -> str:
    try:
        return charset.codec_of(names, default)
    except CharsetUnknown:
        return "ascii"


def _end(raw: bytes) -> dict[str, str]:
    return {} if raw == b"\r" else {"end": raw.decode("latin-1")}


def _segment(view: MessageView, segment: Segment, writing: _Writing) -> dict[str, Any]:
    value: dict[str, Any] = {"segment": segment.name}
    numbered = list(pieces.fields(view, segment))
    last = numbered[-1][0] if numbered else 0
    value["fields"] = {
        str(number): _field(piece, writing, number <= 2 and segment.name in HEADERS)
        for number, piece in numbered
        if piece.raw or number == last
    }
    try:
        if segment.name and _line(value, writing) == segment.raw:
            return value
    except MessageError:
        pass
    return {"line": _as_it_is(segment.raw, writing)}


def _field(piece: Piece, writing: _Writing, separators: bool) -> Any:
    if separators:
        return piece.raw.decode("ascii")
    repetitions = piece.split(writing.marks.repetition)
    found = [_parts(one, writing, writing.levels()) for one in repetitions]
    return found[0] if len(found) == 1 else found


def _parts(piece: Piece, writing: _Writing, levels: tuple[bytes, ...]) -> Any:
    """A leaf, or the parts by number when there is a separator at this level or below."""
    if not levels:
        return _leaf(piece.raw, writing)
    parts = [_parts(part, writing, levels[1:]) for part in piece.split(levels[0])]
    if len(parts) == 1 and not _numbered(parts[0]):
        return parts[0]
    last = len(parts)
    return {str(n): part for n, part in enumerate(parts, 1) if part != "" or n == last}


def _numbered(value: Any) -> bool:
    return isinstance(value, dict) and not {"raw", "bytes"} & value.keys()


def _leaf(raw: bytes, writing: _Writing) -> Any:
    if raw == b'""':
        return None
    as_it_is = _as_it_is(raw, writing)
    if isinstance(as_it_is, str):
        plain = escape.unescape(as_it_is, writing.marks, writing.codec)
        try:
            if _written(plain, writing) == raw:
                return plain
        except (TextUnencodable, UnicodeEncodeError):
            pass
        return {"raw": as_it_is}
    return as_it_is


def _as_it_is(raw: bytes, writing: _Writing) -> Any:
    """The characters, or the bytes where they would not come back."""
    try:
        text = raw.decode(writing.codec)
        if text.encode(writing.codec) == raw:
            return text
    except UnicodeError:
        pass
    return {"bytes": raw.hex()}


def _writing(first: Any, default: str) -> _Writing:
    """Delimiters and codec, as the first segment says them."""
    head = _line(first, _Writing(Delimiters(), "ascii", "replace"))
    marks = Delimiters.of(head)
    head = _line(first, _Writing(marks, "ascii", "replace"))
    return _Writing(marks, _codec(header.read(head).charset, default))


def _line(value: Any, writing: _Writing) -> bytes:
    if not isinstance(value, Mapping):
        raise ContentInvalid("a segment in JSON is an object")
    if "line" in value:
        return _raw(value["line"], writing, "line")
    name = _text(value.get("segment"), "segment")
    fields = _by_number(value.get("fields", {}), name)
    last = max(fields, default=0)
    texts = [name.encode("ascii", "replace")]
    for number in range(1, last + 1):
        place = f"{name}-{number}"
        if number <= 2 and name in HEADERS:
            texts.append(_text(fields.get(number), place).encode("ascii", "replace"))
        else:
            texts.append(_field_bytes(fields.get(number, ""), writing, place))
    if name not in HEADERS:
        return writing.marks.field.join(texts)
    return b"".join(texts[:2]) + texts[1 if last else 0].join(texts[2:])


def _field_bytes(value: Any, writing: _Writing, place: str) -> bytes:
    ones = value if isinstance(value, list) else [value]
    if len(ones) > 1 and not writing.marks.repetition:
        raise ContentInvalid("the message names no separator for repetitions", place)
    found = [_part_bytes(one, writing, writing.levels(), place) for one in ones]
    return writing.marks.repetition.join(found)


def _part_bytes(value: Any, writing: _Writing, levels: tuple[bytes, ...], place: str) -> bytes:
    if not _numbered(value):
        return _leaf_bytes(value, writing, place)
    if not levels or not levels[0]:
        raise ContentInvalid("there is no level below this one", place)
    parts = _by_number(value, place)
    found = (
        _part_bytes(parts.get(number, ""), writing, levels[1:], f"{place}.{number}")
        for number in range(1, max(parts, default=0) + 1)
    )
    return levels[0].join(found)


def _leaf_bytes(value: Any, writing: _Writing, place: str) -> bytes:
    if value is None:
        return b'""'
    if isinstance(value, Mapping):
        return _raw(value.get("raw", value), writing, place)
    try:
        return _written(_text(value, place), writing)
    except TextUnencodable as error:
        raise TextUnencodable(str(error), place) from error
    except UnicodeEncodeError:
        raise TextUnencodable(f"a character that {writing.codec} cannot carry", place) from None


def _written(text: str, writing: _Writing) -> bytes:
    return escape.escape(text, writing.marks).encode(writing.codec, writing.errors)


def _raw(value: Any, writing: _Writing, place: str) -> bytes:
    """What stands as it is. It holds no line end."""
    try:
        if isinstance(value, Mapping):
            raw = bytes.fromhex(_text(value.get("bytes"), place))
        else:
            raw = _text(value, place).encode(writing.codec, writing.errors)
    except ValueError:
        raise ContentInvalid("neither text of the character set nor bytes", place) from None
    if b"\r" in raw or b"\n" in raw:
        raise ContentInvalid("a value holds no line end", place)
    return raw


def _by_number(value: Any, place: str) -> dict[int, Any]:
    if not isinstance(value, Mapping):
        raise ContentInvalid("an object of numbers was expected", place)
    if not all(isinstance(key, str) and _NUMBER.fullmatch(key) for key in value):
        raise ContentInvalid("places are numbers from 1 to 9999", place)
    return {int(key): one for key, one in value.items()}


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise ContentInvalid("a text was expected", place)
    return value
