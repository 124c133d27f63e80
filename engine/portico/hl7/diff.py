"""What differs between two messages, field by field, down to the smallest place.

Segments of one name are paired in order, after equal ones at both ends: linear, whatever the
messages are. Line ends, trailing separators and other spellings of the same text (`\\T\\` for
`\\X26\\`) are no difference; two messages with other delimiters are compared by their texts.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from portico.hl7 import mask, pieces
from portico.hl7.path import Path
from portico.hl7.pieces import Piece
from portico.hl7.reading import DELETED, Text
from portico.hl7.view import MessageView, Segment

_EMPTY = Piece(b"", b"")


class Difference(Struct, frozen=True):
    """One place. path: in the first message; in the second when only that has it.

    before, after: None is absent, DELETED is HL7's `\"\"`. Of a segment that is only in one
    the whole text, of one that stands elsewhere (moved) its positions from 1.
    """

    path: str
    before: Text | None
    after: Text | None
    moved: bool = False

    def __str__(self) -> str:
        if self.moved:
            return f"{self.path}: from position {self.before} to {self.after}"
        return f"{self.path}: {_shown(self.before)} -> {_shown(self.after)}"

    def masked(self) -> "Difference":
        """The same with texts that could tell a patient veiled."""
        if self.moved:
            return self
        before, after = (_masked(self.path, text) for text in (self.before, self.after))
        return replace(self, before=before, after=after)


class _Pair(NamedTuple):
    """The number-th segment of its name, in either message."""

    number: int
    before: Segment | None
    after: Segment | None


def compare(one: MessageView, other: MessageView) -> list[Difference]:
    """The differences, in the order of the first message, then what only the second has."""
    both = _Compared(one, other)
    pairs = list(_pairs(one, other))
    found = [(_rank(pair), difference) for pair in pairs for difference in both.segment(pair)]
    found += [(_rank(pair), _move(pair)) for pair in _moved(pairs)]
    return [difference for _, difference in sorted(found, key=lambda item: item[0])]


def _rank(pair: _Pair) -> tuple[bool, int]:
    segment = pair.before or pair.after
    return pair.before is None, segment.index if segment else 0


def _pairs(one: MessageView, other: MessageView) -> Iterator[_Pair]:
    left, right = _by_name(one), _by_name(other)
    for name in left | right:
        before, after = left.get(name, []), right.get(name, [])
        start = _alike(before, after)
        end = _alike(
            before[: start - len(before) - 1 : -1], after[: start - len(after) - 1 : -1]
        )
        yield from _numbered(before, after, start, end)


def _numbered(
    before: list[Segment], after: list[Segment], start: int, end: int
) -> Iterator[_Pair]:
    """The pairs of one name, whose first `start` and last `end` segments are equal."""
    for number, pair in enumerate(zip(before[:start], after[:start], strict=True), 1):
        yield _Pair(number, *pair)
    middle = zip_longest(before[start : len(before) - end], after[start : len(after) - end])
    for number, (left, right) in enumerate(middle, start + 1):
        yield _Pair(number, left, right)
    tail = zip(before[len(before) - end :], after[len(after) - end :], strict=True)
    for number, pair in enumerate(tail, len(before) - end + 1):
        yield _Pair(number, *pair)


def _by_name(view: MessageView) -> dict[str, list[Segment]]:
    found: dict[str, list[Segment]] = {}
    for segment in view.segments():
        found.setdefault(segment.name, []).append(segment)
    return found


def _alike(before: list[Segment], after: list[Segment]) -> int:
    """How many are equal from the start."""
    count = 0
    for left, right in zip(before, after, strict=False):
        if left.raw != right.raw:
            break
        count += 1
    return count


def _moved(pairs: list[_Pair]) -> list[_Pair]:
    """The fewest pairs that must move to bring the others into the first one's order."""
    common = [pair for pair in pairs if pair.before is not None and pair.after is not None]
    common.sort(key=_rank)
    places = [pair.after.index for pair in common if pair.after is not None]
    kept = _rising(places)
    return [pair for pair, place in zip(common, places, strict=True) if place not in kept]


def _rising(numbers: list[int]) -> set[int]:
    """The longest rising run among distinct numbers, by patience sorting."""
    ends: list[int] = []
    before: dict[int, int | None] = {}
    for number in numbers:
        at = bisect_left(ends, number)
        before[number] = ends[at - 1] if at else None
        ends[at : at + 1] = [number]
    kept: set[int] = set()
    last = ends[-1] if ends else None
    while last is not None:
        kept.add(last)
        last = before[last]
    return kept


def _move(pair: _Pair) -> Difference:
    left = pair.before.index + 1 if pair.before else 0
    right = pair.after.index + 1 if pair.after else 0
    return Difference(_path(pair), str(left), str(right), moved=True)


def _path(pair: _Pair) -> str:
    segment = pair.before or pair.after
    name = segment.name if segment else ""
    return f"{name}[{pair.number}]" if pair.number > 1 else name


class _Compared:
    """Two views side by side."""

    def __init__(self, one: MessageView, other: MessageView) -> None:
        self._one = one
        self._other = other
        # Without this, equal bytes may mean different texts.
        self._same = one.delimiters == other.delimiters and one.header.charset == (
            other.header.charset
        )

    def segment(self, pair: _Pair) -> Iterator[Difference]:
        before, after = pair.before, pair.after
        if before is None or after is None or not before.name:
            if not (before and after and before.raw == after.raw):
                yield Difference(
                    _path(pair), _line(self._one, before), _line(self._other, after)
                )
        elif not (self._same and before.raw == after.raw):
            left = dict(pieces.fields(self._one, before))
            right = dict(pieces.fields(self._other, after))
            for number in range(1, max(0, *left, *right) + 1):
                path = f"{_path(pair)}-{number}"
                ours, theirs = left.get(number, _EMPTY), right.get(number, _EMPTY)
                if Path(before.name, field=number).separators:
                    texts = (piece.raw.decode("latin-1") for piece in (ours, theirs))
                    yield from _plain(path, *texts)
                else:
                    yield from self._field(path, ours, theirs)

    def _field(self, path: str, left: Piece, right: Piece) -> Iterator[Difference]:
        if self._same and left.raw == right.raw:
            return
        ours, theirs = pieces.leaves(self._one, left), pieces.leaves(self._other, right)
        spots = ours.keys() | theirs.keys()
        many = any(repetition > 1 for repetition, _, _ in spots)
        deep = {spot[0] for spot in spots if spot[1:] != (1, 1)}
        deeper = {spot[:2] for spot in spots if spot[2] > 1}
        for spot in sorted(spots):
            repetition, component, subcomponent = spot
            place = path + (f"[{repetition}]" if many else "")
            place += f".{component}" if repetition in deep else ""
            place += f".{subcomponent}" if spot[:2] in deeper else ""
            before = pieces.text(self._one, ours.get(spot, b""))
            after = pieces.text(self._other, theirs.get(spot, b""))
            yield from _plain(place, before, after)


def _plain(path: str, before: Text | None, after: Text | None) -> Iterator[Difference]:
    if before != after:
        yield Difference(path, before, after)


def _line(view: MessageView, segment: Segment | None) -> str | None:
    return None if segment is None else pieces.written(view, segment.raw)


def _masked(path: str, text: Text | None) -> Text | None:
    if text is None or text is DELETED:
        return text
    name, _, field = path.partition("-")
    if not field:
        return mask.segment(text, text[3:4] or "|")
    return mask.field(name[:3], int(re.split(r"[.\[]", field)[0]), text)


def _shown(text: Text | None) -> str:
    return "absent" if text is None else "deleted" if text is DELETED else repr(text)
