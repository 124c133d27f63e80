"""The MSH fields that routing and acknowledgement need, read without the rest."""

from functools import lru_cache

from msgspec import Struct

from portico.errors import CharsetUnknown, NotHl7
from portico.hl7 import charset, delimiters
from portico.hl7.delimiters import Delimiters

_FIELDS = 18  # up to MSH-18; what follows stays in one piece
_SETS = 8  # character sets that one message may switch between


class Header(Struct, frozen=True, gc=False):
    """MSH as it stands: bytes are raw with all their components, str are plain codes.

    type: `ADT^A01` whatever the delimiters are, or the code alone. version: the first
    component of MSH-12, a hint only. charset: one name for each repetition of MSH-18.
    encoding_characters: MSH-2. Every field but the first two may be empty: a message that
    cannot be used can be answered too.
    """

    delimiters: Delimiters
    encoding_characters: bytes
    sending_application: bytes
    sending_facility: bytes
    receiving_application: bytes
    receiving_facility: bytes
    datetime: str
    message_code: str
    trigger: str
    structure: str
    type: str
    control_id: bytes
    processing_id: bytes
    version: str
    version_id: bytes
    accept_ack: str
    application_ack: str
    charset: tuple[str, ...]


def read(content: bytes) -> Header:
    """The header of a message. Cost: that of the MSH segment, not of the message.

    Raises NotHl7 when there is no MSH or its delimiters cannot be used: then nothing can be
    answered and the connection is closed. Any other fault leaves a field empty.
    """
    start = delimiters.begin(content)
    return of(content, start, delimiters.after(content, start))


def of(content: bytes, start: int, marks: Delimiters) -> Header:
    """The same of a message whose MSH begins there and names those delimiters."""
    end = _line_end(content, start)
    fields = split(content[start:end], marks)
    if len(fields) < _FIELDS:
        fields += [b""] * (_FIELDS - len(fields))
    version = fields[11]
    return Header(
        marks,
        fields[1],
        fields[2],
        fields[3],
        fields[4],
        fields[5],
        _plain(fields[6]),
        *_kind(fields[8], marks.component),
        fields[9],
        fields[10],
        _code(version.split(marks.component, 1)[0]),
        version,
        _asked(fields[14]),
        _asked(fields[15]),
        _charset(fields[17], marks),
    )


def control_id(content: bytes) -> bytes | None:
    """MSH-10 as it stands; None when there is no MSH. Cheaper than `read`."""
    head = content[: content.find(b"\r") + 1]
    plain = head.isascii() and b"\x1b" not in head and b"\n" not in head
    if head.startswith(b"MSH|^~\\&|") and plain:
        fields = head[:-1].split(b"|", 10)
        return fields[9] if len(fields) > 9 else b""
    try:
        return read(content).control_id
    except NotHl7:
        return None


def split(segment: bytes, marks: Delimiters) -> list[bytes]:
    """The fields of an MSH segment up to MSH-18: item 0 is `MSH`, item n is MSH-(n+1)."""
    fields = segment.split(marks.field, _FIELDS)
    if segment.isascii() and b"\x1b" not in segment:
        return fields
    for codec in ("ascii", *charset.WIDE):  # ISO 2022 is hidden whatever the set
        cut = _cut(segment, charset.shield(segment, codec), marks.field)
        if codec == "ascii":
            fields = cut
        elif len(cut) >= _FIELDS and _codec(cut[_FIELDS - 1], marks) == codec:
            return cut
    return fields


def _codec(raw: bytes, marks: Delimiters) -> str:
    try:
        return charset.codec_of(_charset(raw, marks))
    except CharsetUnknown:
        return ""


def _cut(content: bytes, hidden: bytes, separator: bytes) -> list[bytes]:
    """Content divided where its shielded form has the separator."""
    pieces, at = [], 0
    for piece in hidden.split(separator, _FIELDS):
        pieces.append(content[at : at + len(piece)])
        at += len(piece) + 1
    return pieces


def _line_end(content: bytes, start: int) -> int:
    """Where the segment that starts here ends: at CR, LF or the last byte."""
    end = content.find(b"\r", start)
    if end < 0:
        end = len(content)
    feed = content.find(b"\n", start, end)
    return end if feed < 0 else feed


def _charset(raw: bytes, marks: Delimiters) -> tuple[str, ...]:
    if not raw:
        return ()
    if not marks.repetition:
        return (_code(raw),)
    return tuple(_code(name) for name in raw.split(marks.repetition, _SETS))


@lru_cache(maxsize=1024)
def _kind(raw: bytes, component: bytes) -> tuple[str, str, str, str]:
    """Message code, trigger, structure, and the first two together."""
    parts = [_plain(part) for part in raw.split(component, 3)]
    code, trigger, structure = (*parts, "", "")[:3]
    return code, trigger, structure, f"{code}^{trigger}" if trigger else code


def _plain(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip()


@lru_cache(maxsize=1024)
def _asked(raw: bytes) -> str:
    """MSH-15 or MSH-16; the null of HL7 asks for nothing."""
    return "" if raw == b'""' else _plain(raw)


_code = lru_cache(maxsize=1024)(_plain)  # of fields that hold one of few values
