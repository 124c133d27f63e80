"""Batch files: bytes in at any cut, events out; and the batch that answers one.

    [FHS] { [BHS] { MSH ... } [BTS] } [FTS]

Every part of the envelope is optional, several batches stand in a file, and a batch of none is
legal. A message is its bytes from MSH to the end of its last line that holds something;
blank lines belong to nobody. Memory is bound by the longest message. Source: HL7 v2.5.1
chapter 2, sections 2.10.3 (batch protocol) and 2.15.2 to 2.15.3, 2.15.6 to 2.15.7 (segments).
"""

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from portico.clock import moment
from portico.errors import BatchInvalid
from portico.hl7 import charset
from portico.hl7.datetimes import DateTime
from portico.hl7.path import HEADERS
from portico.hl7.pieces import Piece

LIMIT = 16 * 1024 * 1024  # bytes of one message

_MARK = rb"[^A-Za-z0-9\s]"
_BOM = b"\xef\xbb\xbf"
_ENVELOPE = frozenset((b"FHS", b"BHS", b"BTS", b"FTS"))
_START = re.compile(
    rb"[\r\n]\x0b?((?:\xef\xbb\xbf)?(?:(?:MSH|BHS|FHS)%b|(?:BTS|FTS)(?:%b|(?=[\r\n]))))"
    % (_MARK, _MARK)
)
_REACH = 9  # bytes of the longest start, less one; so many are looked at again
_BLANK = b" \t\x0b\x0c\x1c\r\n"
_LINE_END = re.compile(rb"\r\n?|\n")


class Envelope(Struct, frozen=True, gc=False):
    """One FHS, BHS, BTS or FTS. raw: its bytes without the line end."""

    raw: bytes

    @property
    def name(self) -> str:
        """`FHS` ... `FTS`."""
        return self.raw[:3].decode("ascii")

    def field(self, number: int) -> bytes:
        """A field as it stands, by this segment's own separator; empty when absent."""
        if number == 1 and self.name in HEADERS:
            return self.raw[3:4]
        pieces = Piece(self.raw, charset.shield(self.raw, "ascii")).split(self.raw[3:4])
        number -= self.name in HEADERS
        return pieces[number].raw if number < len(pieces) else b""


class FileStart(Struct, frozen=True, gc=False):
    """header: FHS, None when the file has none."""

    header: Envelope | None


class BatchStart(Struct, frozen=True, gc=False):
    """header: BHS, None when messages stand without one. number: from 1, in its file."""

    header: Envelope | None
    number: int


class Member(Struct, frozen=True, gc=False):
    """One message, byte for byte. batch, number: from 1; offset: of its first byte."""

    content: bytes
    batch: int
    number: int
    offset: int


class BatchEnd(Struct, frozen=True, gc=False):
    """trailer: BTS, None when there is none. messages: how many there were."""

    trailer: Envelope | None
    messages: int


class FileEnd(Struct, frozen=True, gc=False):
    """trailer: FTS, None when there is none. batches: how many there were."""

    trailer: Envelope | None
    batches: int


class Fault(Struct, frozen=True, gc=False):
    """What is wrong, without a word of the content. counts: a count that does not agree."""

    text: str
    location: str
    counts: bool = False


BatchEvent = FileStart | BatchStart | Member | BatchEnd | FileEnd | Fault


class BatchReader:
    """Takes a file apart. Starts and ends always nest, whatever parts the file leaves out.

    limit: bytes of one message, and of anything else that is no message.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray(b"\n")  # as if a line had ended, so that the first one starts
        self._searched = 0
        self._offset = -1  # of the buffer's first byte in the file
        self._begun = False
        self._batches: int | None = None  # of the open file
        self._messages: int | None = None  # of the open batch

    def feed(self, data: bytes) -> list[BatchEvent]:
        """What is complete now. Raises BatchInvalid when something exceeds the limit."""
        self._buffer += data
        events = self._cut(self._starts())
        if len(self._buffer) > self._limit + _REACH:
            raise BatchInvalid(f"a message of the batch exceeds {self._limit} bytes")
        return events

    def end(self) -> list[BatchEvent]:
        """The file is over: the last message and whatever is still open."""
        self._buffer += b"\r"  # ends a trailer that is a bare name
        starts = self._starts()
        del self._buffer[-1:]
        events = self._cut(starts)
        events += self._item(bytes(self._buffer), self._offset)
        if not self._begun:
            events.append(Fault("the file holds no message and no batch", ""))
        return events + self._file_end(None)

    def _starts(self) -> list[int]:
        found = [match.start(1) for match in _START.finditer(self._buffer, self._searched)]
        self._searched = max(len(self._buffer) - _REACH, 0)
        return found

    def _cut(self, starts: list[int]) -> list[BatchEvent]:
        events: list[BatchEvent] = []
        at = 0
        with memoryview(self._buffer) as whole:
            for start in starts:
                events += self._item(bytes(whole[at:start]), self._offset + at)
                self._begun, at = True, start
        del self._buffer[:at]
        self._offset += at
        self._searched = max(self._searched - at, 0)
        return events

    def _item(self, raw: bytes, offset: int) -> list[BatchEvent]:
        """What one start leads: a message, or a part of the envelope."""
        if not self._begun:
            if not raw.strip(_BLANK):
                return []
            return [Fault("something that is no message stands first", "")]
        name = raw.removeprefix(_BOM)[:3]
        if name == b"MSH":
            return self._member(_unpadded(raw), offset)
        line, *others = _LINE_END.split(raw.removeprefix(_BOM))
        events = _PARTS[name](self, Envelope(line))
        if any(other.strip(_BLANK) for other in others):
            events.append(Fault("a segment stands outside of any message", name.decode()))
        return events

    def _member(self, content: bytes, offset: int) -> list[BatchEvent]:
        if len(content) > self._limit:
            raise BatchInvalid(f"a message of the batch exceeds {self._limit} bytes")
        events = self._batch_start(None) if self._messages is None else []
        batch, number = self._batches or 0, (self._messages or 0) + 1
        self._messages = number
        events.append(Member(content, batch, number, offset))
        return events

    def _file_start(self, header: Envelope | None) -> list[BatchEvent]:
        events = self._file_end(None)
        self._batches = 0
        return [*events, FileStart(header)]

    def _batch_start(self, header: Envelope | None) -> list[BatchEvent]:
        events = self._file_start(None) if self._batches is None else self._batch_end(None)
        number = (self._batches or 0) + 1
        self._batches, self._messages = number, 0
        return [*events, BatchStart(header, number)]

    def _batch_end(self, trailer: Envelope | None) -> list[BatchEvent]:
        if self._messages is None and trailer is None:
            return []
        events = self._batch_start(None) if self._messages is None else []
        counted, self._messages = self._messages or 0, None
        events.append(BatchEnd(trailer, counted))
        return events + _miscounted(trailer, counted, "messages")

    def _file_end(self, trailer: Envelope | None) -> list[BatchEvent]:
        if self._batches is None and trailer is None:
            return []
        events = self._file_start(None) if self._batches is None else self._batch_end(None)
        counted, self._batches = self._batches or 0, None
        events.append(FileEnd(trailer, counted))
        return events + _miscounted(trailer, counted, "batches")


_PARTS = {
    b"FHS": BatchReader._file_start,
    b"BHS": BatchReader._batch_start,
    b"BTS": BatchReader._batch_end,
    b"FTS": BatchReader._file_end,
}


def _unpadded(raw: bytes) -> bytes:
    """A message without the blank lines behind it, with its last line end. The end of a frame
    is none of it, and the carriage return behind that is not the message's.
    """
    held = len(raw.rstrip(_BLANK))
    end = _LINE_END.search(raw, held)
    whole = raw if end is None else raw[: end.end()]
    framed = whole.find(b"\x1c", held)
    return whole if framed < 0 else whole[:framed]


def _miscounted(trailer: Envelope | None, counted: int, what: str) -> list[BatchEvent]:
    """BTS-1 and FTS-1 are checked when they are valued."""
    said = trailer.field(1).strip(_BLANK) if trailer else b""
    if trailer is None or not said:
        return []
    place = f"{trailer.name}-1"
    if not said.isdigit() or len(said) > 10:
        return [Fault(f"{place} is not a number", place, counts=True)]
    if int(said) == counted:
        return []
    return [Fault(f"{place} says {int(said)}, {what} counted: {counted}", place, counts=True)]


def events(chunks: Iterable[bytes], limit: int = LIMIT) -> Iterator[BatchEvent]:
    """The events of a file that comes in pieces. Raises BatchInvalid past the limit."""
    reader = BatchReader(limit)
    for chunk in chunks:
        yield from reader.feed(chunk)
    yield from reader.end()


class Survey(Struct, frozen=True, gc=False):
    """What a file holds. faults: in the order of the file."""

    batches: int
    messages: int
    faults: tuple[Fault, ...]


def survey(chunks: Iterable[bytes], counts: str = "strict", limit: int = LIMIT) -> Survey:
    """Reads a file once and keeps nothing: to accept it whole before its first message runs.

    counts: `strict` or `lenient`: then a wrong count is only among the faults. Raises
    BatchInvalid for the first fault that stands.
    """
    batches = messages = 0
    faults: list[Fault] = []
    for event in events(chunks, limit):
        if isinstance(event, Fault):
            if counts == "strict" or not event.counts:
                raise BatchInvalid(event.text, event.location or None)
            faults.append(event)
        messages += isinstance(event, Member)
        batches += isinstance(event, BatchStart)
    return Survey(batches, messages, tuple(faults))


def is_batch(content: bytes) -> bool:
    """Whether a frame holds anything but one message: an envelope, or several MSH.

    A quarter of a microsecond for an ordinary message, so that intake can ask it of each: one
    that begins with its only MSH can have nothing but a trailer behind it.
    """
    if content.rfind(b"MSH") == 0:
        whole = content.rstrip()
        last = max(whole.rfind(b"\r"), whole.rfind(b"\n")) + 1
        if whole[last : last + 4].lstrip(b"\x0b")[:3] not in _ENVELOPE:
            return False
    found = [match[1] for match in _START.finditer(b"\n" + content.lstrip(_BLANK))]
    return len(found) > 1 or any(b"MSH" not in start for start in found)


class Reply:
    """The batch that answers one: feed it the events of the other, and the ACKs between them.

    Its envelope has the parts, delimiters and levels of the one it answers, its sender and
    receiver swapped; FHS-12 and BHS-12 refer to FHS-11 and BHS-11. errors_only: positive ACKs
    are left out, so that a batch of successes is answered by a batch of none. Source: HL7
    v2.5.1 chapter 2, section 2.10.3.3.
    """

    def __init__(self, control_id: str, at_ns: int, *, errors_only: bool = False) -> None:
        self._control_id = control_id
        self._at = str(DateTime.of(moment(at_ns))).encode()
        self._errors_only = errors_only
        self._file: Envelope | None = None
        self._batch: Envelope | None = None
        self._batches = self._answers = 0

    def feed(self, event: BatchEvent) -> bytes:
        """The bytes of the reply's envelope that this event brings; none for most."""
        if isinstance(event, FileStart):
            self._file, self._batches = event.header, 0
            return self._header(event.header, self._control_id)
        if isinstance(event, BatchStart):
            self._batch, self._answers = event.header, 0
            self._batches += 1
            return self._header(event.header, f"{self._control_id}.{self._batches}")
        if isinstance(event, BatchEnd):
            return _trailer(b"BTS", self._batch, self._answers)
        if isinstance(event, FileEnd):
            return _trailer(b"FTS", self._file, self._batches)
        return b""

    def answer(self, content: bytes, *, positive: bool) -> bytes:
        """The ACK of a Member, as it goes into the reply."""
        if positive and self._errors_only:
            return b""
        self._answers += 1
        return content

    def _header(self, received: Envelope | None, control_id: str) -> bytes:
        if received is None:
            return b""
        swapped = [received.field(number) for number in (5, 6, 3, 4)]
        fields = [
            received.raw[:3],
            received.field(2),
            *swapped,
            self._at,
            *[b""] * 3,
            control_id.encode("ascii"),
            received.field(11),
        ]
        return received.raw[3:4].join(fields) + b"\r"


def _trailer(name: bytes, opened: Envelope | None, counted: int) -> bytes:
    return b"" if opened is None else b"%b%b%d\r" % (name, opened.raw[3:4], counted)
