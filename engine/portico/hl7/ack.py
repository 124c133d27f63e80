"""Acknowledgements: whether, which code, and the bytes; and reading a peer's.

Source: HL7 v2.5.1 chapter 2, sections 2.9.2 (original mode), 2.9.3 (enhanced mode), 2.15.1
(ACK), 2.15.5 (ERR), 2.15.8 (MSA), 2.15.9.15 and .16 (MSH-15, MSH-16); tables 0008 and 0155.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from portico.clock import moment
from portico.errors import CharsetUnknown, MessageError, PathInvalid, TextUnencodable
from portico.hl7 import charset, codes, escape
from portico.hl7.codes import AckCode, Condition, Severity
from portico.hl7.header import Header
from portico.hl7.path import parse
from portico.hl7.view import MessageView


class Mode(StrEnum):
    """Who rules the answers: the message (auto) or the channel."""

    AUTO = "auto"
    ORIGINAL = "original"
    ENHANCED = "enhanced"
    NONE = "none"


class Outcome(StrEnum):
    """How a phase ended. Error: repair and repeat. Reject: it will never be taken."""

    SUCCESS = "success"
    ERROR = "error"
    REJECT = "reject"


class Answers(NamedTuple):
    """The MSA-1 code of each phase, or None for silence."""

    accept: AckCode | None
    application: AckCode | None


_CODES = {
    Outcome.SUCCESS: Answers(AckCode.CA, AckCode.AA),
    Outcome.ERROR: Answers(AckCode.CE, AckCode.AE),
    Outcome.REJECT: Answers(AckCode.CR, AckCode.AR),
}
_ASKED = {"": Condition.NE} | {str(condition): condition for condition in Condition}
_BOTH = (Condition.AL, Condition.AL)
_NEITHER = (Condition.NE, Condition.NE)
_CHARSET = 8  # MSH-18 among what follows MSH-10
_FS = b"\x1c"  # before a CR it would be the end of an MLLP frame
_ORIGINAL = (Condition.NE, Condition.AL)
_ANSWERED = {
    Condition.AL: frozenset(Outcome),
    Condition.NE: frozenset[Outcome](),
    Condition.ER: frozenset((Outcome.ERROR, Outcome.REJECT)),
    Condition.SU: frozenset((Outcome.SUCCESS,)),
}


def decide(header: Header, mode: str, outcome: str) -> Answers:
    """The code that each phase answers when it ends so; None where the sender wants silence.

    The phases end apart: ask once when the message is stored or not (and use `accept`), and
    again when it was processed (and use `application`). A message that fails in the accept
    phase never reaches the other. Original mode has the application answer alone.

    auto: original when MSH-15 and MSH-16 are both empty, else enhanced, where an empty one
    beside a valued one means NE. enhanced, by the channel: both empty mean AL for both. A
    value that table 0155 does not know is read as AL. An ACK is never answered but for an
    accept code it asks for in MSH-15, so that no answers go round. Raises ValueError for an
    unknown mode or outcome.
    """
    acknowledges = header.message_code == "ACK"
    return _decided(header.accept_ack, header.application_ack, acknowledges, mode, outcome)


@lru_cache(maxsize=1024)
def _decided(
    accept_ack: str, application_ack: str, acknowledges: bool, mode: str, outcome: str
) -> Answers:
    ended = Outcome(outcome)
    accept, application = _conditions((accept_ack, application_ack), acknowledges, Mode(mode))
    code = _CODES[ended]
    return Answers(
        code.accept if ended in _ANSWERED[accept] else None,
        code.application if ended in _ANSWERED[application] else None,
    )


def enhanced(header: Header, mode: str) -> bool:
    """Whether the phases are answered apart, as the sender asks or the channel says."""
    if mode == Mode.AUTO:
        return bool(header.accept_ack or header.application_ack)
    return mode == Mode.ENHANCED


def _conditions(
    asked: tuple[str, str], acknowledges: bool, mode: Mode
) -> tuple[Condition, Condition]:
    if mode is Mode.NONE:
        return _NEITHER
    if acknowledges:
        return (
            _condition(asked[0]) if mode is not Mode.ORIGINAL else Condition.NE
        ), Condition.NE
    if mode is Mode.ORIGINAL or (mode is Mode.AUTO and not any(asked)):
        return _ORIGINAL
    if not any(asked):
        return _BOTH
    return _condition(asked[0]), _condition(asked[1])


def _condition(text: str) -> Condition:
    return _ASKED.get(text, Condition.AL)


class AckError(Struct, frozen=True):
    """What ERR says. code: table 0357. location: a path such as `PID-5.1`, or empty."""

    code: str = "207"
    location: str = ""
    text: str = ""
    severity: Severity = Severity.ERROR


_BY_ERROR = {
    "message.required_missing": "101",
    "message.charset_unknown": "103",
    "message.text_undecodable": "102",
    "message.content_invalid": "102",
    "message.not_hl7": "100",
    "message.batch_invalid": "100",
}


def error_of(error: MessageError) -> AckError:
    """What ERR says of an error that the engine found."""
    code = _BY_ERROR.get(error.code, "207")
    return AckError(code, error.location or "", str(error))


def build(
    header: Header,
    *,
    code: str,
    control_id: str,
    at_ns: int,
    text: str = "",
    error: AckError | None = None,
    accept: str = "",
) -> bytes:
    """The acknowledgement of the message with that header, each segment ended by CR.

    accept: MSH-15, where the answer opens an exchange of its own; MSH-16 is NE then.
    control_id: our MSH-10. at_ns: MSH-7, nanoseconds since 1970 UTC. text: for people; it
    stands in MSA-3, or for a negative code from version 2.5 on in ERR-8, where ERR tells
    code and location too (207 when there is no `error`). A segment whose last byte is `1C`
    ends with a field separator, lest it end a frame. Never raises on what a peer sent.
    """
    negative = code not in codes.POSITIVE
    stamp, ours = _timestamp(at_ns // 1_000_000_000), control_id.encode("ascii")
    if not negative and not text:
        shape = replace(header, control_id=b"", datetime="")
        before, between, after = _positive(shape, code, accept)
        named = header.control_id
        if named.endswith(_FS):
            named += shape.delimiters.field
        return b"".join((before, stamp, between, ours, after, named, b"\r"))
    if negative and error is None:
        error = AckError(text=text)
    modern = _version(header.version) >= (2, 5)
    said = text or (error.text if error else "")
    pen = _Pen(header)
    marks = header.delimiters
    lines = [
        _msh(header, stamp, ours, pen, accept),
        marks.field.join((b"MSA", code.encode(), header.control_id))
        + (marks.field + pen.text(said) if said and not (negative and modern) else b""),
    ]
    if negative and modern and error is not None:
        lines.append(_err(error, said, pen))
    closed = [line + marks.field if line.endswith(_FS) else line for line in lines]
    return b"\r".join((*closed, b""))


class _Pen:
    """Writes by the inbound message's delimiters and character set; what it cannot carry is
    spelled out in ASCII, and where it names no character set we know, all is ASCII."""

    def __init__(self, header: Header) -> None:
        self.marks = header.delimiters
        self.names = header.charset
        try:
            self._codec = charset.codec_of(self.names)
        except CharsetUnknown:
            self.names, self._codec = (), "ascii"

    def text(self, text: str) -> bytes:
        text = text.encode(self._codec, "backslashreplace").decode(self._codec)
        try:
            return escape.escape(text, self.marks).encode(self._codec)
        except TextUnencodable:  # a message without an escape character
            return re.sub(r"\W+", " ", text, flags=re.ASCII).encode("ascii")

    def parts(self, *parts: str) -> bytes:
        return (self.marks.component or b" ").join(self.text(part) for part in parts)


@lru_cache(maxsize=1024)
def _positive(shape: Header, code: str, accept: str) -> tuple[bytes, bytes, bytes]:
    """A positive answer's bytes around MSH-7, MSH-10 and MSA-2: a sender's are all alike."""
    before, between, after = _around(shape, _Pen(shape), accept)
    field = shape.delimiters.field
    if after.endswith(_FS):
        after += field
    return before, between, after + field.join((b"\rMSA", code.encode(), b""))


def _msh(header: Header, stamp: bytes, ours: bytes, pen: _Pen, accept: str) -> bytes:
    before, between, after = _around(header, pen, accept)
    return b"".join((before, stamp, between, ours, after))


def _around(header: Header, pen: _Pen, accept: str) -> tuple[bytes, bytes, bytes]:
    """MSH before MSH-7, between that and MSH-10, and after it."""
    marks = header.delimiters
    before = (
        b"MSH",
        header.encoding_characters,
        header.receiving_application,
        header.receiving_facility,
        header.sending_application,
        header.sending_facility,
        b"",
    )
    between = (b"", b"", _type(header, pen), b"")
    after = [b"", header.processing_id, header.version_id]
    if accept:
        after += [b"", b"", accept.encode("ascii"), b"NE"]
    if pen.names:
        after += [b""] * (_CHARSET - len(after))
        names = (marks.repetition or b" ").join(name.encode("ascii") for name in pen.names)
        after.append(names)
    return marks.field.join(before), marks.field.join(between), marks.field.join(after)


def _type(header: Header, pen: _Pen) -> bytes:
    event = header.trigger
    if _version(header.version) < (2, 3, 1) or not (event.isascii() and event.isalnum()):
        return b"ACK"
    return pen.parts("ACK", event, "ACK")


def _err(error: AckError, text: str, pen: _Pen) -> bytes:
    fields = [
        b"ERR",
        b"",
        _location(error.location, pen),
        pen.parts(error.code, codes.ERRORS.get(error.code, ""), "HL70357"),
        error.severity.encode(),
    ]
    if text:
        fields += [b"", b"", b"", pen.text(text)]
    return pen.marks.field.join(fields)


def _location(location: str, pen: _Pen) -> bytes:
    """ERL: segment, its sequence, field, repetition, component, subcomponent. A number that
    only a condition knows is left out; what is no HL7 path tells no location."""
    try:
        path = parse(location)
    except PathInvalid:
        return b""
    which = "" if path.every or path.where else str(path.occurrence or 1)
    parts = [path.segment, which]
    if path.field:
        parts.append(str(path.field))
    if path.inner or path.repetition or path.repetition_where:
        parts.append("" if path.repetition_where else str(path.repetition or 1))
    return pen.parts(*parts, *map(str, path.inner))


@lru_cache(maxsize=8)
def _timestamp(seconds: int) -> bytes:
    return moment(seconds * 1_000_000_000).strftime("%Y%m%d%H%M%S+0000").encode()


@lru_cache(maxsize=64)
def _version(text: str) -> tuple[int, ...]:
    """Comparable; what is no version is older than all."""
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?.*", text, re.ASCII)
    return tuple(int(part) for part in match.groups() if part) if match else ()


# The usual positive answer: nothing to unescape, and no ERR that matters.
_PLAIN = re.compile(rb"\rMSA\|(AA|CA)\|([^|\r\n]*)(?:\|?(?:[\r\n]|$))")


class Ack(Struct, frozen=True, gc=False):
    """A peer's answer. code: MSA-1 as sent, known or not. control_id: MSA-2, raw.

    location: a path such as `PID[1]-5` when ERR-2 tells one, else empty.
    """

    code: str
    control_id: bytes
    text: str = ""
    error_code: str = ""
    location: str = ""


def read(content: bytes) -> Ack:
    """The answer in a message. Raises NotHl7, and MessageError when it has no MSA segment."""
    plain = _PLAIN.search(content) if content.startswith(b"MSH|^~\\&|") else None
    if plain is not None and content.isascii() and b"\x1b" not in content:
        return Ack(plain[1].decode("ascii"), plain[2])
    view = MessageView(content, on_charset_error="replace")
    if view.raw("MSA") is None:
        raise MessageError("the answer has no MSA segment", "MSA")
    return Ack(
        code=view.text("MSA-1") or "",
        control_id=view.raw("MSA-2") or b"",
        text=view.text("MSA-3") or view.text("ERR-8") or "",
        error_code=view.text("ERR-3.1") or "",
        location=_place(view),
    )


def _place(view: MessageView) -> str:
    if view.raw("ERR-2") is None:
        return ""
    segment, *rest = [view.text(f"ERR-2.{part}") or "" for part in range(1, 7)]
    which, field, repetition, component, subcomponent = rest
    text = segment + (f"[{which}]" if which else "") + (f"-{field}" if field else "")
    text += f"[{repetition}]" if repetition else ""
    try:
        return str(parse(".".join(filter(None, (text, component, subcomponent)))))
    except PathInvalid:
        return ""
