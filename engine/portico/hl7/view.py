"""MessageView: a message's bytes, read in place.

Nothing is parsed before it is asked for, and nothing is copied but the answer. Segments end
at CR, LF or CRLF, mixed too; a byte order mark and white space before MSH are skipped; lines
of white space are no segments. Source: HL7 v2.5.1 chapter 2, section 2.6; practice for LF.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

from portico.errors import CharsetUnknown, MessageError, TextUndecodable
from portico.hl7 import charset, delimiters, fields, header
from portico.hl7.header import Header
from portico.hl7.path import HEADERS, Path
from portico.hl7.reading import DELETED, Deleted, Reading, Spot, Text

__all__ = ["DELETED", "Deleted", "MessageView", "Segment", "Text"]

_LINE = re.compile(rb"[^\r\n]+")
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\x0b\x0c\x1c"
_LONGEST_NAME = 8  # a line without a separator so early is no segment; its name is empty


class Segment(Struct, frozen=True, gc=False):
    """One segment of a view. index: its position from 0; start, end: offsets, no line end."""

    view: "MessageView"
    name: str
    index: int
    start: int
    end: int

    @property
    def raw(self) -> bytes:
        """The segment's bytes without its line end."""
        return self.view.content[self.start : self.end]

    def raw_field(self, number: int) -> bytes | None:
        """A field with its repetitions, as it stands; None when absent."""
        return self.view.within(self, Path(self.name, field=number))

    def text(
        self, field: int, component: int | None = None, subcomponent: int | None = None
    ) -> Text | None:
        """Decoded and unescaped: None is absent, DELETED is HL7's `\"\"`."""
        path = Path(self.name, field=field, component=component, subcomponent=subcomponent)
        return self.view.text_within(self, path)


class MessageView(Reading):
    """A read-only message. Raises NotHl7, at once, when it has no usable MSH.

    charset: what is read when MSH-18 is empty, by a name of table 0211.
    on_charset_error: see Reading.
    """

    __slots__ = ("_ends", "_found", "_header", "_scan", "_stops", "content", "start")

    def __init__(
        self,
        content: bytes,
        charset: str = "ascii",
        on_charset_error: str = "refuse",
    ) -> None:
        self.start = delimiters.begin(content)
        marks = delimiters.after(content, self.start)
        if content.startswith(_BOM):
            charset = "UNICODE UTF-8"
        super().__init__(marks, charset, on_charset_error)
        self.content = content
        self._header: Header | None = None
        self._found: dict[bytes, list[int]] = {}
        self._stops = marks.field + b"\r\n"
        self._ends = _ends(content)
        self._scan = self.shield(content)

    @property
    def header(self) -> Header:
        """The MSH fields that routing and acknowledgement need."""
        if self._header is None:
            self._header = header.of(self.content, self.start, self.delimiters)
        return self._header

    @property
    def mark(self) -> bytes:
        """The byte order mark: where MSH-18 is empty, it alone says UTF-8. Mostly nothing."""
        return _BOM if self.content.startswith(_BOM) else b""

    @property
    def names(self) -> tuple[str, ...]:
        """The segment names in order."""
        return tuple(segment.name for segment in self.segments())

    def segments(self, name: str | None = None) -> Iterator[Segment]:
        """The segments, or those of one name, in order."""
        index = 0
        for match in _LINE.finditer(self._scan, self.start):
            start, end = match.span()
            line = self._scan[start : min(end, start + _LONGEST_NAME + 1)]
            if end - start > _LONGEST_NAME or line.strip(_BLANK):
                called = _name(line, self.delimiters.field)
                if name is None or called == name:
                    yield Segment(self, called, index, start, end)
                index += 1

    def within(self, segment: Segment, path: Path) -> bytes | None:
        """What a path names inside one segment of this view, raw."""
        return self._raw(self._at(segment.start), path)

    def text_within(self, segment: Segment, path: Path) -> Text | None:
        """What a path names inside one segment of this view, as text."""
        raw = self.within(segment, path)
        return None if raw is None else self._read(raw, path)

    def charset_fault(self) -> MessageError | None:
        """Why the text cannot be read by its character set, with the first place; else None.

        Costs one pass when a byte is not ASCII, and nothing to speak of otherwise.
        """
        if self.content.isascii() and b"\x1b" not in self.content:
            return None
        try:
            codec = charset.codec_of(self._names(), self._default)
            self.content[self.start :].decode(codec)
        except CharsetUnknown as error:
            return error
        except UnicodeDecodeError as error:
            where = self.place_of(self.start + error.start)
            return TextUndecodable(f"a byte outside the character set {codec}", where)
        return None

    def place_of(self, offset: int) -> str:
        """The field that holds the byte at this offset: `OBX[3]-5`."""
        before = self._scan[:offset]
        start = max(before.rfind(b"\r"), before.rfind(b"\n"), self.start - 1) + 1
        name = _name(before[start : start + _LONGEST_NAME + 1], self.delimiters.field)
        number = before.count(self.delimiters.field, start)
        number += name in HEADERS
        nth = sum(at <= start for at in self._places(name.encode()))
        which = f"[{nth}]" if nth > 1 else ""
        return f"{name}{which}-{number}" if number else name

    def _names(self) -> tuple[str, ...]:
        return self.header.charset

    def _one(self, path: Path) -> bytes | None:
        locator = fields.locator(path, self.delimiters)
        if locator is not None and (found := locator.search(self._scan, self.start)):
            start, end = found.span(1)
            if start >= 0:
                return self.content[start:end] or None
        return super()._one(path)

    def _first(self, name: bytes) -> Spot | None:
        if name == b"MSH":
            return self._at(self.start)
        known = self._found.get(name)
        if known is not None:
            return self._at(known[0]) if known else None
        start = self._search(self._ends[0], name)
        if len(self._ends) > 1:
            other = self._search(self._ends[1], name)
            start = other if start < 0 or 0 <= other < start else start
        return None if start < 0 else self._at(start)

    def _search(self, end: bytes, name: bytes) -> int:
        """Where the first line of that name begins behind such a line end, or -1."""
        at = self._scan.find(end + name, self.start)
        after = at + 1 + len(name)
        if at < 0 or self._scan[after : after + 1] in self._stops:
            return at + 1 if at >= 0 else -1
        found = _lines_named(name, self.delimiters.field).search(self._scan, at)
        return found.end() - len(name) if found else -1

    def _places(self, name: bytes) -> list[int]:
        found = self._found.get(name)
        if found is None:
            pattern = _lines_named(name, self.delimiters.field)
            found = [
                match.end() - len(name) for match in pattern.finditer(self._scan, self.start)
            ]
            if self._scan.startswith(name, self.start) and name == b"MSH":
                found.insert(0, self.start)
            self._found[name] = found
        return found

    def _at(self, mark: int) -> Spot:
        end = len(self._scan)
        for line_end in self._ends:
            at = self._scan.find(line_end, mark, end)
            end = end if at < 0 else at
        return Spot(self.content, self._scan, mark, end, mark)


def _ends(content: bytes) -> tuple[bytes, ...]:
    """The bytes that end lines here; a message of one kind is searched only once."""
    if b"\n" not in content:
        return (b"\r",)
    return (b"\r", b"\n") if b"\r" in content else (b"\n",)


@lru_cache(maxsize=512)
def _lines_named(name: bytes, field: bytes) -> re.Pattern[bytes]:
    stop = re.escape(field)
    return re.compile(rb"[\r\n]" + re.escape(name) + rb"(?![^\r\n" + stop + rb"])")


def _name(line: bytes, field: bytes) -> str:
    cut = line.find(field, 0, _LONGEST_NAME + 1)
    if cut < 0:
        cut = len(line) if len(line) <= 3 else 0
    return line[:cut].decode("ascii", "replace")
