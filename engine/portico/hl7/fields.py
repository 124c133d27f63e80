"""Where a field, repetition, component and subcomponent lie inside one segment.

Offsets are into a buffer whose separators are real ones: the content itself, or its shielded
form where a character set hides separators inside characters (see charset.shield).

A span is `(start, end, missing)`. An empty `missing` says that the place is there, though it
may be empty; else it is what must be written before a value to make the place.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from portico.hl7.delimiters import Delimiters
from portico.hl7.path import HEADERS, Path

Span = tuple[int, int, bytes]

_HEADERS = frozenset(name.encode() for name in HEADERS)
NOWHERE = b"\x00"  # part of `missing` when the message names no separator for the place


def nth(scan: bytes, separator: bytes, start: int, end: int, number: int) -> Span:
    """The number-th piece (from 1) between separators."""
    if not separator:
        return (start, end, b"") if number == 1 else (end, end, NOWHERE)
    found = _piece(separator, number).match(scan, start, end)
    if found is None:
        return end, end, separator * (number - 1 - scan.count(separator, start, end))
    return *found.span(1), b""


@lru_cache(maxsize=2048)
def _piece(separator: bytes, number: int) -> re.Pattern[bytes]:
    """Finds the number-th piece in one call, four times as fast as a loop of `find`."""
    mark = re.escape(separator)
    return re.compile(rb"(?:[^%b]*+%b){%d}+([^%b]*+)" % (mark, mark, number - 1, mark))


def finder(path: Path, marks: Delimiters) -> re.Pattern[bytes] | None:
    """Finds a place that is there in one call, from its segment's start; None: no such way.

    It says nothing of a place that is missing. The path's own conditions are not its matter.
    """
    header = path.segment in HEADERS
    return _finder(
        header, path.field or 0, path.repetition, path.component, path.subcomponent, marks
    )


@lru_cache(maxsize=4096)
def _finder(
    header: bool,
    field: int,
    repetition: int | None,
    component: int | None,
    subcomponent: int | None,
    marks: Delimiters,
) -> re.Pattern[bytes] | None:
    steps = [(marks.field, field if header else field + 1)]
    if repetition or component:
        steps.append((marks.repetition, repetition or 1))
    if component:
        steps.append((marks.component, component))
    if subcomponent:
        steps.append((marks.subcomponent, subcomponent))
    if (header and field == 1) or not field or not all(mark for mark, _ in steps):
        return None
    pattern, inside = b"", rb"\r\n"
    for mark, number in steps:
        inside += re.escape(mark)
        pattern += b"(?:[^%b]*+%b){%d}+" % (inside, re.escape(mark), number - 1)
    return re.compile(b"%b([^%b]*+)" % (pattern, inside))


@lru_cache(maxsize=4096)
def locator(path: Path, marks: Delimiters) -> re.Pattern[bytes] | None:
    """Finds a place of the first segment of its name in one call, from before that segment.

    Where that segment has no such place the match has no group; None: no such way.
    """
    if path.segment in HEADERS or path.occurrence or path.where or path.repetition_where:
        return None
    found = finder(path, marks)
    if found is None:
        return None
    mark = re.escape(marks.field)
    begin = rb"[\r\n]%b(?![^\r\n%b])" % (path.segment.encode(), mark)
    return re.compile(b"%b(?:%b)?" % (begin, found.pattern))


def field(scan: bytes, start: int, end: int, number: int, marks: Delimiters) -> Span:
    """The number-th field of the segment from start to end, with all its repetitions."""
    if scan[start : start + 3] in _HEADERS:
        if number == 1:
            return start + 3, start + 4, b""
        number -= 1
    return nth(scan, marks.field, start, end, number + 1)


def piece(scan: bytes, within: Span, separator: bytes, number: int) -> Span:
    """The number-th piece of a span, which may itself be missing."""
    start, end, missing = within
    if not missing:
        return nth(scan, separator, start, end, number)
    return start, end, missing + (separator or NOWHERE) * (number - 1)


def place(scan: bytes, within: Span, numbers: tuple[int, ...], marks: Delimiters) -> Span:
    """The component, or component and subcomponent, of one repetition."""
    span = piece(scan, within, marks.component, numbers[0])
    if len(numbers) == 1:
        return span
    return piece(scan, span, marks.subcomponent, numbers[1])


def repetitions(scan: bytes, within: Span, marks: Delimiters) -> Iterator[Span]:
    """Each repetition of a field in turn; none when the field is missing."""
    start, end, missing = within
    while not missing:
        at = scan.find(marks.repetition, start, end) if marks.repetition else -1
        if at < 0:
            yield start, end, b""
            return
        yield start, at, b""
        start = at + 1
