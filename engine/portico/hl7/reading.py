"""Reading by path: what a view of bytes and a message under edit have in common."""

import re
from collections.abc import Iterator
from enum import Enum
from itertools import islice
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from portico.errors import CharsetUnknown, PathInvalid, TextUndecodable, TextUnencodable
from portico.hl7 import charset, escape, fields
from portico.hl7.delimiters import Delimiters
from portico.hl7.fields import Span
from portico.hl7.path import Path, Select, parse

_NULL = b'""'


class Deleted(Enum):
    """The type of DELETED: HL7's `\"\"`, which says that the old value shall go."""

    DELETED = "deleted"

    def __repr__(self) -> str:
        return "DELETED"

    def __bool__(self) -> Literal[False]:
        return False


DELETED: Final = Deleted.DELETED

Text = str | Deleted


class Spot(Struct, frozen=True, gc=False):
    """One segment: from start to end in `content`; `scan` is the same with safe separators.

    mark: its offset in a view, its line in a message under edit.
    """

    content: bytes
    scan: bytes
    start: int
    end: int
    mark: int


class Reading:
    """Answers paths. A subclass says where segments are, by marks of its own (integers).

    on_charset_error: `refuse`, `replace` (by U+FFFD), or the character set to fall back to.
    """

    __slots__ = ("_codec", "_default", "_on_error", "_separators", "delimiters")

    def __init__(self, marks: Delimiters, default: str, on_charset_error: str) -> None:
        self.delimiters = marks
        self._separators = marks.component + marks.repetition + marks.subcomponent
        self._default = default
        self._on_error = on_charset_error
        self._codec: str | None = None

    def _first(self, name: bytes) -> Spot | None:
        raise NotImplementedError

    def _places(self, name: bytes) -> list[int]:
        """The marks of all segments of a name, in order; remembered until they move."""
        raise NotImplementedError

    def _at(self, mark: int) -> Spot:
        raise NotImplementedError

    def _names(self) -> tuple[str, ...]:
        """MSH-18, one name for each repetition."""
        raise NotImplementedError

    @property
    def policy(self) -> tuple[str, str]:
        """The default character set and what is done on a fault: as the view was given them."""
        return self._default, self._on_error

    @property
    def codec(self) -> str:
        """Python's codec of this message. Raises CharsetUnknown under `refuse`."""
        if self._codec is None:
            self._codec = self._resolve()
        return self._codec

    def raw(self, path: str | Path) -> bytes | None:
        """The first match as it stands in the message, escapes kept; None when absent."""
        if isinstance(path, str):
            path = parse(path)
        return self._one(path)

    def text(self, path: str | Path) -> Text | None:
        """The first match, decoded and unescaped. None: absent; DELETED: HL7's `\"\"`.

        A place with parts inside keeps their separators, written `^~&` whatever the message
        uses; one that holds nothing but separators is absent. Raises TextUndecodable and
        CharsetUnknown under `refuse`.
        """
        if isinstance(path, str):
            path = parse(path)
        raw = self._one(path)
        return None if raw is None else self._read(raw, path)

    def raws(self, path: str | Path) -> list[bytes]:
        """Every match that is there, in order; a path without `[*]` has at most one."""
        if isinstance(path, str):
            path = parse(path)
        found = (self._raw(spot, path) for spot in self._spots(path))
        return [raw for raw in found if raw is not None]

    def texts(self, path: str | Path) -> list[Text]:
        """Every match that is valued or deleted, in order."""
        if isinstance(path, str):
            path = parse(path)
        found = (self._read(raw, path) for raw in self.raws(path))
        return [text for text in found if text is not None]

    def slots(self, path: str | Path) -> list[Text | None]:
        """One for each segment that the path names, in order; None where it has nothing."""
        if isinstance(path, str):
            path = parse(path)
        found = (self._raw(spot, path) for spot in self._spots(path))
        return [None if raw is None else self._read(raw, path) for raw in found]

    def expand(self, path: str | Path) -> list[Path]:
        """The path once for each segment that it names, by number: `OBX[1]-5`, `OBX[2]-5`."""
        if isinstance(path, str):
            path = parse(path)
        marks = self._places(path.segment.encode())
        number = {mark: index for index, mark in enumerate(marks, 1)}
        return [
            replace(path, occurrence=number[spot.mark], every=False, where=None)
            for spot in self._spots(path)
        ]

    def repetitions(self, path: str | Path) -> list[Path]:
        """The path of a field once for each of its repetitions, none when it is absent."""
        if isinstance(path, str):
            path = parse(path)
        if path.field is None:
            raise PathInvalid("only a field repeats", str(path))
        spot = self._spot(path)
        if spot is None:
            return []
        span = fields.field(spot.scan, spot.start, spot.end, path.field, self.delimiters)
        there = (
            fields.repetitions(spot.scan, span, self.delimiters) if span[0] < span[1] else ()
        )
        return [
            replace(path, repetition=number, repetition_where=None)
            for number, _ in enumerate(there, 1)
        ]

    def decoded(self, raw: bytes, path: Path | None = None) -> str:
        """Characters of raw bytes, escapes kept; the path is told in the error."""
        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii")
        codec = self.codec
        try:
            return raw.decode(codec)
        except UnicodeDecodeError as error:
            if self._on_error == "refuse":
                raise TextUndecodable(
                    f"a byte outside the character set {codec}", _told(path)
                ) from error
            if self._on_error != "replace":
                codec = charset.codec_of((), self._on_error)
            return raw.decode(codec, "replace")

    def encoded(self, text: str, path: Path | None = None) -> bytes:
        """Escaped bytes of text in the message's character set. Raises TextUnencodable."""
        try:
            escaped = escape.escape(text, self.delimiters)
            return escaped.encode("ascii" if escaped.isascii() else self.codec)
        except TextUnencodable as error:
            raise TextUnencodable(str(error), _told(path)) from error
        except UnicodeEncodeError as error:
            raise TextUnencodable(
                f"a character that {self.codec} cannot carry", _told(path)
            ) from error

    def shield(self, content: bytes) -> bytes:
        """The content with no separator inside a character; itself when none can be."""
        if content.isascii() and b"\x1b" not in content:
            return content
        try:
            return charset.shield(content, self.codec)
        except CharsetUnknown:
            return charset.shield(content, "ascii")

    def _resolve(self) -> str:
        try:
            return charset.codec_of(self._names(), self._default)
        except CharsetUnknown:
            if self._on_error == "refuse":
                raise
            named = self._default if self._on_error == "replace" else self._on_error
            return charset.codec_of((), named)

    def _one(self, path: Path) -> bytes | None:
        """The first match, raw; None when there is none or it is empty."""
        spot = self._spot(path)
        return None if spot is None else self._raw(spot, path)

    def _spot(self, path: Path) -> Spot | None:
        if path.occurrence is None and path.where is None:
            return self._first(path.segment.encode())
        return next(self._spots(path), None)

    def _spots(self, path: Path) -> Iterator[Spot]:
        """The segments that a path names: at most one without `[*]`."""
        marks = self._places(path.segment.encode())
        if path.where is not None:
            wanted = path.where
            fitting = (spot for spot in map(self._at, marks) if self._fits(spot, wanted))
            return fitting if path.every else islice(fitting, 1)
        if not path.every:
            index = (path.occurrence or 1) - 1
            marks = marks[index : index + 1]
        return map(self._at, marks)

    def _fits(self, spot: Spot, wanted: Select) -> bool:
        number, *inner = wanted.place
        span = fields.field(spot.scan, spot.start, spot.end, number, self.delimiters)
        if inner:
            span = fields.piece(spot.scan, span, self.delimiters.repetition, 1)
            span = fields.place(spot.scan, span, tuple(inner), self.delimiters)
        return self._equals(spot, span, wanted.text)

    def _equals(self, spot: Spot, span: Span, text: str) -> bool:
        start, end, missing = span
        return not missing and end > start and self._read(spot.content[start:end]) == text

    def _span(self, spot: Spot, path: Path) -> Span | None:
        """Where the path lies in its segment; None when no repetition fits its condition."""
        scan, marks = spot.scan, self.delimiters
        if path.field is None:
            return spot.start, spot.end, b""
        if path.repetition_where is None:
            finder = fields.finder(path, marks)
            if finder is not None and (found := finder.match(scan, spot.start, spot.end)):
                return *found.span(1), b""
        span = fields.field(scan, spot.start, spot.end, path.field, marks)
        if path.repetition_where is not None:
            fitting = self._repetition(spot, span, path.repetition_where)
            if fitting is None:
                return None
            span = fitting
        elif path.repetition is not None or path.component is not None:
            span = fields.piece(scan, span, marks.repetition, path.repetition or 1)
        return span if path.component is None else fields.place(scan, span, path.inner, marks)

    def _repetition(self, spot: Spot, span: Span, wanted: Select) -> Span | None:
        for one in fields.repetitions(spot.scan, span, self.delimiters):
            part = fields.place(spot.scan, one, wanted.place, self.delimiters)
            if self._equals(spot, part, wanted.text):
                return one
        return None

    def _raw(self, spot: Spot, path: Path) -> bytes | None:
        span = self._span(spot, path)
        if span is None or span[2]:
            return None
        return spot.content[span[0] : span[1]] or None

    def _read(self, raw: bytes, path: Path | None = None) -> Text | None:
        if raw == _NULL:
            return DELETED
        if path is not None and path.separators:
            return self.decoded(raw, path)
        if self._separators != b"^~&":
            return self._standard(raw, path)
        if raw[0] in b"^~&" and not raw.strip(b"^~&"):
            return None
        return self._plain(raw, path)

    def _plain(self, raw: bytes, path: Path | None) -> str:
        text = self.decoded(raw, path)
        if self.delimiters.escape in raw:
            return escape.unescape(text, self.delimiters, self.codec)
        return text

    def _standard(self, raw: bytes, path: Path | None) -> str | None:
        """The text of a value with an odd set of separators, written with the usual ones."""
        marks = self.delimiters
        usual = {marks.component: "^", marks.repetition: "~", marks.subcomponent: "&"}
        text, at, valued = "", 0, False
        for match in re.finditer(b"[" + re.escape(self._separators) + b"]", self.shield(raw)):
            text += self._plain(raw[at : match.start()], path) + usual[match[0]]
            valued = valued or match.start() > at
            at = match.end()
        text += self._plain(raw[at:], path)
        return text if valued or at < len(raw) else None


def _told(path: Path | None) -> str | None:
    return str(path) if path else None
