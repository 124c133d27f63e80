"""A segment taken apart, for whoever wants all of it; characters stay whole.

Reading by path looks for one place; a difference, a JSON form or a synthetic twin looks at
every place once.
"""

from collections.abc import Iterator
from typing import NamedTuple

from portico.errors import CharsetUnknown, TextUndecodable
from portico.hl7 import escape
from portico.hl7.path import HEADERS
from portico.hl7.reading import DELETED, Reading, Text
from portico.hl7.view import Segment


class Piece(NamedTuple):
    """raw: the bytes as they stand. scan: the same with no separator inside a character."""

    raw: bytes
    scan: bytes

    def split(self, separator: bytes) -> list["Piece"]:
        """What stands between separators: at least one piece, empty ones too."""
        if not separator or separator not in self.scan:
            return [self]
        pieces, at = [], 0
        for scan in self.scan.split(separator):
            pieces.append(Piece(self.raw[at : at + len(scan)], scan))
            at += len(scan) + 1
        return pieces


def fields(reading: Reading, segment: Segment) -> Iterator[tuple[int, Piece]]:
    """The fields of a segment by number; in MSH, FHS and BHS the first is the separator."""
    raw = segment.raw
    separator = reading.delimiters.field
    _, *others = Piece(raw, reading.shield(raw)).split(separator)
    shift = 1
    if segment.name in HEADERS and others:
        yield 1, Piece(separator, separator)
        shift = 2
    yield from enumerate(others, shift)


def leaves(reading: Reading, field: Piece) -> dict[tuple[int, int, int], bytes]:
    """What holds no separator, by repetition, component and subcomponent, in order."""
    marks = reading.delimiters
    return {
        (repetition, component, subcomponent): leaf.raw
        for repetition, one in enumerate(field.split(marks.repetition), 1)
        for component, part in enumerate(one.split(marks.component), 1)
        for subcomponent, leaf in enumerate(part.split(marks.subcomponent), 1)
    }


def written(reading: Reading, raw: bytes) -> str:
    """Raw bytes as characters, escapes kept; a byte outside the character set is `\\xe9`."""
    try:
        return reading.decoded(raw)
    except (TextUndecodable, CharsetUnknown):
        return raw.decode("ascii", "backslashreplace")


def text(reading: Reading, raw: bytes) -> Text | None:
    """The text of a piece without separators: None is empty, DELETED is HL7's `\"\"`.

    A byte outside the character set is written `\\xe9`: looking at a message never fails.
    """
    if not raw:
        return None
    if raw == b'""':
        return DELETED
    try:
        return escape.unescape(reading.decoded(raw), reading.delimiters, reading.codec)
    except (TextUndecodable, CharsetUnknown):
        return raw.decode("ascii", "backslashreplace")
