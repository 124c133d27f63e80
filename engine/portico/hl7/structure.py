"""Whether a message has the structure that a standard or a profile asks for.

The order of segments is matched greedily, group by group, each segment once: linear, whatever
the message is. Source: HL7 v2.5.1 chapter 2, section 2.5 (abstract message syntax), chapter 2A
(data types); the codes are those of table 0357.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from portico.hl7 import datetimes, pieces
from portico.hl7.datetimes import DateTime
from portico.hl7.pieces import Piece
from portico.hl7.reading import DELETED
from portico.hl7.view import MessageView, Segment

SEQUENCE, REQUIRED, TYPE, VALUE = "100", "101", "102", "103"  # table 0357

_MOST = 100  # findings of one message


class Deviation(NamedTuple):
    """text: without a word of the content. condition: its code of table 0357."""

    text: str
    location: str
    condition: str


class Rule(NamedTuple):
    """What a field, component or subcomponent must be. most: None is any number.

    type: a data type; `varies` is said by OBX-2. constant, length (characters): when not empty.
    """

    type: str
    least: int = 0
    most: int | None = None
    inner: tuple["Rule", ...] = ()
    constant: str = ""
    length: int = 0


class Part(NamedTuple):
    """A segment (with its fields), a group of parts, or a choice of one of them."""

    name: str
    least: int
    most: int | None
    parts: tuple["Part", ...] = ()
    fields: tuple[Rule, ...] = ()
    choice: bool = False

    @property
    def first(self) -> frozenset[str]:
        """The names of segments that it can begin with."""
        if not self.parts:
            return frozenset((self.name,))
        found: frozenset[str] = frozenset()
        for part in self.parts:
            found |= part.first
            if part.least and not self.choice:
                break
        return found

    @property
    def names(self) -> frozenset[str]:
        """The names of all segments in it."""
        if not self.parts:
            return frozenset((self.name,))
        return frozenset().union(*(part.names for part in self.parts))


class Grammar:
    """A message structure. tolerant: Z segments may stand anywhere, as the standard allows."""

    def __init__(self, name: str, parts: tuple[Part, ...], *, tolerant: bool) -> None:
        self.name = name
        self.parts = parts
        self.tolerant = tolerant
        self._first: dict[int, frozenset[str]] = {}

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all segments that it knows."""
        return frozenset().union(*(part.names for part in self.parts))

    def begins(self, part: Part, name: str) -> bool:
        """Whether a part can begin with a segment of that name."""
        known = self._first.get(id(part))
        if known is None:
            known = self._first[id(part)] = part.first
        return name in known


def check(view: MessageView, grammar: Grammar) -> list[Deviation]:
    """What breaks the structure, in the order it is found, at most a hundred."""
    return list(islice(_Checking(view, grammar).findings(), _MOST))


class _Checking:
    """One message against one grammar."""

    def __init__(self, view: MessageView, grammar: Grammar) -> None:
        self._view = view
        self._grammar = grammar
        self._at = 0
        self._paths: dict[int, str] = {}
        self._segments: list[Segment] = []

    def findings(self) -> Iterator[Deviation]:
        yield from self._known()
        yield from self._sequence(self._grammar.parts)
        if self._at < len(self._segments):
            segment = self._segments[self._at]
            place = self._paths[segment.index]
            yield Deviation(
                f"{place} does not stand where {self._grammar.name} has it", place, SEQUENCE
            )

    def _known(self) -> Iterator[Deviation]:
        """Sets aside what the grammar does not know, so that the rest can be matched."""
        seen: dict[str, int] = {}
        for segment in self._view.segments():
            name = segment.name
            seen[name] = number = seen.get(name, 0) + 1
            place = f"{name}[{number}]" if number > 1 else name
            self._paths[segment.index] = place
            if name in self._grammar.names:
                self._segments.append(segment)
            elif not name:
                yield Deviation(f"line {segment.index + 1} is no segment", "", SEQUENCE)
            elif not (self._grammar.tolerant and name.startswith("Z")):
                yield Deviation(f"{place} is not of {self._grammar.name}", place, SEQUENCE)

    def _sequence(self, parts: tuple[Part, ...]) -> Iterator[Deviation]:
        for part in parts:
            count = 0
            while (part.most is None or count < part.most) and self._here(part):
                yield from self._one(part)
                count += 1
            if count < part.least:
                yield self._missing(part, count)

    def _here(self, part: Part) -> bool:
        if self._at >= len(self._segments):
            return False
        return self._grammar.begins(part, self._segments[self._at].name)

    def _one(self, part: Part) -> Iterator[Deviation]:
        if part.choice:
            yield from self._one(next(one for one in part.parts if self._here(one)))
        elif part.parts:
            yield from self._sequence(part.parts)
        else:
            segment = self._segments[self._at]
            self._at += 1
            yield from self._fields(segment, part.fields)

    def _missing(self, part: Part, count: int) -> Deviation:
        name = part.name
        while part.parts:
            part = next((one for one in part.parts if one.least), part.parts[0])
        what = f"group {name}" if name != part.name else name
        few = f"stands {count} times, which is too few" if count else "is missing"
        return Deviation(f"{what} {few}", part.name, REQUIRED)

    def _fields(self, segment: Segment, rules: tuple[Rule, ...]) -> Iterator[Deviation]:
        there = dict(pieces.fields(self._view, segment))
        for number, rule in enumerate(rules, 1):
            place = f"{self._paths[segment.index]}-{number}"
            piece = there.get(number, Piece(b"", b""))
            if rule.type == "varies":
                rule = rule._replace(
                    type=segment.text(2) or "" if segment.name == "OBX" else ""
                )
            if number <= 2 and segment.name == "MSH":
                continue
            yield from self._repetitions(place, piece, rule)

    def _repetitions(self, place: str, piece: Piece, rule: Rule) -> Iterator[Deviation]:
        ones = piece.split(self._view.delimiters.repetition) if piece.raw else []
        if rule.most is not None and len(ones) > rule.most:
            if rule.most:
                yield Deviation(f"{place} has more than {rule.most} repetitions", place, TYPE)
            else:
                yield Deviation(f"{place} must not be valued", place, TYPE)
            return
        if not self._valued(piece) or len(ones) < rule.least:
            if rule.least:
                yield Deviation(f"{place} is missing", place, REQUIRED)
            return
        for number, one in enumerate(ones, 1):
            spot = f"{place}[{number}]" if len(ones) > 1 else place
            yield from self._value(spot, one, rule, 0)

    def _value(self, place: str, piece: Piece, rule: Rule, depth: int) -> Iterator[Deviation]:
        """One repetition, component or subcomponent, and what is inside of it."""
        if not self._valued(piece) or piece.raw == b'""':
            return
        marks = self._view.delimiters
        if rule.inner and depth < 2:
            parts = piece.split((marks.component, marks.subcomponent)[depth])
            for number, inner in enumerate(rule.inner, 1):
                part = parts[number - 1] if number <= len(parts) else Piece(b"", b"")
                spot = f"{place}.{number}"
                if inner.least and not self._valued(part):
                    yield Deviation(f"{spot} is missing", spot, REQUIRED)
                elif inner.most == 0 and self._valued(part):
                    yield Deviation(f"{spot} must not be valued", spot, TYPE)
                else:
                    yield from self._value(spot, part, inner, depth + 1)
        else:
            yield from self._leaf(place, piece, rule)

    def _leaf(self, place: str, piece: Piece, rule: Rule) -> Iterator[Deviation]:
        fits = _TYPES.get(rule.type)
        text = pieces.text(self._view, piece.raw)
        if text is None or text is DELETED:
            return
        if fits is not None and not fits(text):
            yield Deviation(f"{place} is not of type {rule.type}", place, TYPE)
        elif rule.constant and text != rule.constant:
            yield Deviation(f"{place} is not the value that the profile names", place, VALUE)
        elif rule.length and len(text) > rule.length:
            yield Deviation(f"{place} is longer than {rule.length} characters", place, TYPE)

    def _valued(self, piece: Piece) -> bool:
        marks = self._view.delimiters
        return bool(piece.raw.strip(marks.component + marks.repetition + marks.subcomponent))


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)
_SEQUENCE_ID = re.compile(r"\d{1,4}", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,4})?)?)?([+-]\d{4})?", re.ASCII)


def _day(text: str) -> bool:
    read = datetimes.read(text)
    return read is not None and len(read.parts) <= 3 and read.zone is None


def _instant(text: str) -> bool:
    return isinstance(datetimes.read(text), DateTime)


_TYPES = {
    "NM": lambda text: _NUMBER.fullmatch(text) is not None,
    "SI": lambda text: _SEQUENCE_ID.fullmatch(text) is not None,
    "DT": _day,
    "TM": lambda text: _TIME.fullmatch(text) is not None,
    "DTM": _instant,
    "TS": _instant,
}
