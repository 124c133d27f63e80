"""A synthetic twin of a message: the same shape, nobody's data.

Open fields (mask.OPEN) and short codes of tables stay. Of all else letters become letters
(vowels vowels, so that names can be read), digits digits, dates dates as many days away, and
separators, punctuation and lengths stay. The same text becomes the same text under the same
key, whatever its case, so that a patient stays one patient over all messages of a run; who
does not have the key cannot go back. Source of data types: the standard's tables.
"""

import hashlib
import hmac
import re
from datetime import timedelta

from portico.errors import MessageError
from portico.hl7 import datetimes, escape, mask, names, pieces
from portico.hl7.datetimes import DateTime
from portico.hl7.path import HEADERS
from portico.hl7.pieces import Piece
from portico.hl7.reading import DELETED
from portico.hl7.view import MessageView, Segment

_VOWELS = "aeiou"
_CONSONANTS = "bcdfghklmnprstvw"
_DIGITS = "0123456789"
_DATES = frozenset(("DT", "DTM", "TS"))
_DATE_SHAPE = re.compile(r"(?:19|20)\d{6}(?:\d{4}(?:\d\d(?:\.\d+)?)?)?(?:[+-]\d{4})?", re.ASCII)
_CODES = frozenset(("ID", "IS", "SI"))
_CODE = re.compile(r"[A-Z0-9]{1,3}", re.ASCII)
_STYLE = re.compile(r"(\\[HN]\\)")  # highlighting: says nothing of anybody
_FARTHEST = 365  # days


class TwinMaker:
    """Makes twins. key: of the run; another key gives other twins."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        days = 1 + int.from_bytes(self._digest("days", "")[:4], "big") % _FARTHEST
        self._shift = timedelta(days=-days)

    def message(self, content: bytes) -> bytes:
        """The twin of a message. Raises NotHl7."""
        view = MessageView(content, on_charset_error="replace")
        made: list[bytes] = []
        at = 0
        for segment in view.segments():
            made += (content[at : segment.start], self._segment(view, segment))
            at = segment.end
        return b"".join((*made, content[at:]))

    def text(self, text: str, kind: str = "") -> str:
        """The twin of one value of a data type."""
        if kind in _CODES and _CODE.fullmatch(text):
            return text
        if kind in _DATES or _DATE_SHAPE.fullmatch(text):
            moved = self._moved(text)
            if moved is not None:
                return moved
        return self._shaped(text)

    def _segment(self, view: MessageView, segment: Segment) -> bytes:
        if not segment.name:
            return self._shaped(pieces.written(view, segment.raw)).encode("ascii", "replace")
        header = segment.name in HEADERS
        made = [segment.name.encode()]
        for number, piece in pieces.fields(view, segment):
            if number == 1 and header:
                continue
            made.append(self._field(view, segment, number, piece))
        return view.delimiters.field.join(made) if len(made) > 1 else segment.raw

    def _field(self, view: MessageView, segment: Segment, number: int, piece: Piece) -> bytes:
        if number in mask.OPEN.get(segment.name, ()) or (
            number == 2 and segment.name in HEADERS
        ):
            return piece.raw
        name = names.field(segment.name, number, view.header.version)
        kind = name.type if name else ""
        if kind == "varies" and segment.name == "OBX":
            said = segment.text(2)
            kind = said if isinstance(said, str) else ""
        marks = view.delimiters
        ones = (
            self._parts(view, one, kind, (marks.component, marks.subcomponent))
            for one in piece.split(marks.repetition)
        )
        return marks.repetition.join(ones)

    def _parts(
        self, view: MessageView, piece: Piece, kind: str, levels: tuple[bytes, ...]
    ) -> bytes:
        if not levels:
            return self._leaf(view, piece.raw, kind)
        made = []
        for number, part in enumerate(piece.split(levels[0]), 1):
            name = names.component(kind, number, view.header.version)
            made.append(self._parts(view, part, name.type if name else kind, levels[1:]))
        return levels[0].join(made)

    def _leaf(self, view: MessageView, raw: bytes, kind: str) -> bytes:
        if pieces.text(view, raw) in (None, DELETED):
            return raw
        texts = _STYLE.split(pieces.written(view, raw))
        return b"".join(
            text.encode("ascii")
            if number % 2
            else self._rewritten(view, escape.unescape(text, view.delimiters), kind)
            for number, text in enumerate(texts)
        )

    def _rewritten(self, view: MessageView, text: str, kind: str) -> bytes:
        """A twin's bytes. What the message cannot carry, or escape, becomes `x`."""
        twin = self.text(text, kind)
        try:
            return view.encoded(twin)
        except MessageError:
            return re.sub(r"[^A-Za-z0-9]", "x", twin).encode("ascii")

    def _moved(self, text: str) -> str | None:
        """A date as many days away as all others, with the precision it had."""
        read = datetimes.read(text)
        if read is None:
            return None
        try:
            away = read.datetime() + self._shift
        except OverflowError:
            return None
        return str(DateTime(away.timetuple()[: len(read.parts)], read.rest, read.zone))

    def _shaped(self, text: str) -> str:
        """The same shape, from a stream of bytes that the text and the key decide."""
        stream = self._stream(text.lower(), len(text))
        return "".join(map(_twin, text, stream))

    def _stream(self, text: str, size: int) -> bytes:
        seed = self._digest("text", text)
        return hashlib.shake_256(seed).digest(size)

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}\0{text}".encode(), "sha256")


def _twin(letter: str, chance: int) -> str:
    """A character of the same kind; another one than it was."""
    if letter.isdecimal():
        return _other(_DIGITS, letter, chance)
    if not letter.isalpha():
        return letter
    small = letter.lower()
    twin = _other(_VOWELS if small in _VOWELS else _CONSONANTS, small, chance)
    return twin.upper() if letter.isupper() else twin


def _other(choice: str, letter: str, chance: int) -> str:
    at = choice.find(letter)
    if at < 0:
        return choice[chance % len(choice)]
    return choice[(at + 1 + chance % (len(choice) - 1)) % len(choice)]
