"""New bytes from old: what an edit does not touch stays as it was, byte for byte."""

from portico.errors import PathInvalid
from portico.hl7 import fields, header
from portico.hl7.header import Header
from portico.hl7.path import Path, parse
from portico.hl7.reading import Reading, Spot
from portico.hl7.view import MessageView

_ENDS = b"\r\n"
_BLANK = b" \t\x0b\x0c\x1c\r\n"


class MessageEdit(Reading):
    """Edits of one message; reads, by the methods of Reading, what they have made of it.

    The first edit divides the message into lines, and each edit renews one line. A message
    without an edit encodes to the very same bytes. MSH-18 as it is now rules how text is
    written; what stands in the message is not written anew.
    """

    __slots__ = ("_firsts", "_head", "_index", "_lines", "_stops", "_view")

    def __init__(self, view: MessageView) -> None:
        super().__init__(view.delimiters, *view.policy)
        self._view: MessageView | None = view
        self._head = b""
        self._lines: list[bytes] = []  # with their line ends; empty until the first edit
        self._index: dict[bytes, list[int]] = {}
        self._firsts: dict[bytes, int] = {}
        self._stops = view.delimiters.field + _ENDS

    @property
    def view(self) -> MessageView:
        """The message as it is now. After an edit it is made anew, once."""
        if self._view is None:
            self._view = MessageView(self.encode(), *self.policy)
        return self._view

    @property
    def header(self) -> Header:
        """MSH as it is now."""
        return header.read(self._lines[0]) if self._lines else self.view.header

    def encode(self) -> bytes:
        """The message as it is now; the very same bytes when there was no edit."""
        if not self._lines:
            return self.view.content
        return self._head + b"".join(self._lines)

    def set(self, path: str | Path, text: str) -> None:
        """Writes text so that it reads back the same; it can shift no field.

        `\"\"` (two quotes) is HL7's delete. A missing segment is appended at the end, missing
        separators are made. Raises PathInvalid (no field, `[*]`, nothing fits a condition),
        TextUnencodable and CharsetUnknown, with the path.
        """
        if isinstance(path, str):
            path = parse(path)
        self._write(path, b'""' if text == '""' else self.encoded(text, path))

    def set_raw(self, path: str | Path, value: bytes) -> None:
        """Writes bytes as they are, separators and escapes included. Raises PathInvalid."""
        if isinstance(path, str):
            path = parse(path)
        if b"\r" in value or b"\n" in value:
            raise PathInvalid("a value holds no line end", str(path))
        self._write(path, value)

    def remove(self, path: str | Path) -> None:
        """Empties every place that the path names, or takes out its segments; absent is fine.

        Neighbours keep their positions. Raises PathInvalid for MSH itself, MSH-1 and MSH-2.
        """
        if isinstance(path, str):
            path = parse(path)
        self._open(path)
        spots = list(self._spots(path))
        if path.field is None:
            if any(spot.mark == 0 for spot in spots):
                raise PathInvalid("the message keeps its MSH", str(path))
            for spot in reversed(spots):
                del self._lines[spot.mark]
            self._forget()
        for spot in spots if path.field else ():
            span = self._span(spot, path)
            if span is not None and not span[2]:
                self._splice(spot, span, b"")
        self._view = None

    def insert_segment(self, raw: bytes, after: int | None = None) -> None:
        """Puts a segment behind the one at that position (from 0), or at the end.

        It ends as the first segment does. Raises PathInvalid when raw is not one segment.
        """
        name, _, _ = raw.partition(self.delimiters.field)
        if not (len(name) == 3 and name.isalnum()) or b"\r" in raw or b"\n" in raw:
            raise PathInvalid("not one segment: a name, a separator and fields")
        self._open()
        filled = [n for n, line in enumerate(self._lines) if line.strip(_BLANK)]
        if after is not None and not 0 <= after < len(filled):
            raise PathInvalid(f"no segment at position {after}")
        at = filled[-1 if after is None else after]
        end = self._lines[0][len(self._lines[0].rstrip(_ENDS)) :] or b"\r"
        if self._lines[at][-1:] not in (b"\r", b"\n"):
            self._lines[at] += end
        self._lines.insert(at + 1, raw + end)
        self._forget()
        self._view = None

    def _forget(self) -> None:
        """Segments have moved."""
        self._index.clear()
        self._firsts.clear()

    def _write(self, path: Path, value: bytes) -> None:
        if path.every or path.field is None:
            raise PathInvalid("a value needs one field to stand in", str(path))
        self._open(path)
        spot = self._spot(path)
        if spot is None:
            if not value:
                return
            spot = self._append(path)
        span = self._span(spot, path)
        if span is None:
            raise PathInvalid("no repetition fits the condition", str(path))
        if fields.NOWHERE in span[2]:
            raise PathInvalid("the message names no separator for this place", str(path))
        if value or not span[2]:
            self._splice(spot, span, value)

    def _append(self, path: Path) -> Spot:
        """The missing segment, made at the end of the message."""
        name = path.segment.encode()
        if path.where is not None or (path.occurrence or 1) > len(self._places(name)) + 1:
            raise PathInvalid("no segment fits the condition", str(path))
        self.insert_segment(name)
        return self._at(self._places(name)[-1])

    def _splice(self, spot: Spot, span: fields.Span, value: bytes) -> None:
        start, end, missing = span
        line = spot.content
        self._lines[spot.mark] = line[:start] + missing + value + line[end:]
        self._view = None
        if spot.mark == 0:
            self._codec = None

    def _open(self, path: Path | None = None) -> None:
        """Divides the message before its first edit. MSH-1 and MSH-2 are never edited."""
        if path is not None and path.separators:
            raise PathInvalid("the segment's own separators stay", str(path))
        if not self._lines:
            content, start = self.view.content, self.view.start
            self._head = content[:start]
            self._lines = content[start:].splitlines(keepends=True)

    def _names(self) -> tuple[str, ...]:
        return self.header.charset

    def _first(self, name: bytes) -> Spot | None:
        if not self._lines:
            return self.view._first(name)
        first = self._firsts.get(name)
        if first is not None:
            return self._at(first)
        size, stops = len(name), self._stops
        for number, line in enumerate(self._lines):
            if line.startswith(name) and line[size : size + 1] in stops:
                self._firsts[name] = number
                return self._at(number)
        return None

    def _places(self, name: bytes) -> list[int]:
        if not self._lines:
            return self.view._places(name)
        known = self._index.get(name)
        if known is None:
            size, stops = len(name), self._stops
            known = [
                number
                for number, line in enumerate(self._lines)
                if line.startswith(name) and line[size : size + 1] in stops
            ]
            self._index[name] = known
        return known

    def _at(self, mark: int) -> Spot:
        if not self._lines:
            return self.view._at(mark)
        line = self._lines[mark]
        return Spot(line, self.shield(line), 0, len(line.rstrip(_ENDS)), mark)
