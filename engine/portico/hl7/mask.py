"""A message shown without what could tell a patient.

Safe by default: of each segment only the fields in `OPEN` are shown, and of a segment that
is not listed none. Everything else keeps its shape: letters become x, digits 9, and
separators, punctuation and lengths stay.
"""

import re

from portico.errors import NotHl7
from portico.hl7.view import MessageView

# Header fields, set ids, types and table codes; no dates but the message's own, no free text.
OPEN = {
    "MSH": frozenset(range(1, 26)) - {8},
    "AL1": frozenset({1, 2}),
    "BTS": frozenset({1}),
    "DG1": frozenset({1, 2, 6}),
    "ERR": frozenset({2, 3, 4}),
    "EVN": frozenset({1, 4}),
    "FTS": frozenset({1}),
    "GT1": frozenset({1}),
    "IN1": frozenset({1}),
    "MSA": frozenset({1, 2}),
    "NK1": frozenset({1, 3}),
    "NTE": frozenset({1, 2}),
    "OBR": frozenset({1, 4, 24, 25}),
    "OBX": frozenset({1, 2, 3, 6, 8, 11}),
    "ORC": frozenset({1, 5}),
    "PID": frozenset({1}),
    "PV1": frozenset({1, 2}),
    "QAK": frozenset({1, 2}),
    "TXA": frozenset({1, 2, 17}),
}
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}", re.ASCII)
# Segments that are parted by something else than line ends look like one, and a name may
# stand where a code would: such a segment is veiled whole.
_PARTED = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]|\\[rn](?!\w*\\)|<CR>", re.I)
_VERSION = re.compile(r"(?:2(?:\.\d){0,3}(?:\^[^|]*)?)?", re.ASCII)
_HEADER = 27  # fields of MSH in version 2.9, but for the separator
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[^\W\d_]")


def mask(content: bytes) -> str:
    """The message, one segment a line, masked. What is no HL7 is masked from end to end."""
    try:
        view = MessageView(content, on_charset_error="replace")
    except NotHl7:
        return veil(content.decode("utf-8", "replace"))
    separator = view.delimiters.field.decode("ascii")
    return "\n".join(segment(view.decoded(s.raw), separator) for s in view.segments())


def segment(text: str, separator: str = "|") -> str:
    """One segment, masked field by field."""
    name, *values = text.split(separator)
    if not _NAME.fullmatch(name):
        return veil(text)
    first = 2 if name in ("MSH", "FHS", "BHS") else 1
    if _PARTED.search(text[4:]) or (name == "MSH" and not _header(values)):
        return separator.join((name, *map(veil, values)))
    shown = (field(name, number, value) for number, value in enumerate(values, first))
    return separator.join((name, *shown))


def _header(values: list[str]) -> bool:
    """Whether these can be MSH-2 and on, not a whole message in one line."""
    version = values[10] if len(values) > 10 else ""
    alone = len(values) <= _HEADER and OPEN.keys().isdisjoint(values[11:])
    return alone and bool(_VERSION.fullmatch(version))


def field(name: str, number: int, text: str) -> str:
    """The text of a field, masked unless it is open."""
    return text if number in OPEN.get(name, ()) else veil(text)


def veil(text: str) -> str:
    """The same shape without the content."""
    return _LETTER.sub("x", _DIGIT.sub("9", text))
