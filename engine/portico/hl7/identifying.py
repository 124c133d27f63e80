"""Which values of a message can tell a patient: by data type, field and component.

Kinds: `name id address phone` are replaced where they stand and wherever else they occur;
`date` is moved; `free` is text that may quote any of them; `open` are codes, numbers and the
names of systems. What no version of the standard knows (Z segments too) counts as `id`.
Source of data types: the standard's tables (names.tsv); of the list: 45 CFR 164.514(b)(2), of
which places (PL) and facilities (HD) stay open here.
"""

from collections.abc import Iterator

from portico.hl7 import names, pieces
from portico.hl7.path import HEADERS, Path
from portico.hl7.pieces import Piece
from portico.hl7.reading import DELETED, Reading
from portico.hl7.view import MessageView, Segment

TELLING = frozenset(("name", "id", "address", "phone"))
_DATES = frozenset(("DT", "DTM", "TS", "DR", "RI", "TQ"))
_OPEN = frozenset(
    ("ID", "IS", "SI", "HD", "PL", "MSG", "VID", "PT", "TM", "CQ", "MO", "CP", "NR", "SN")
)
_CODED = frozenset(("CE", "CWE", "CNE", "CF"))
# What stands in a type and is no code of its own.
_MEANING = {
    **dict.fromkeys(("XPN", "PN", "XCN", "CN", "CNN", "PPN", "NDL", "FN"), "name"),
    **dict.fromkeys(("CX", "CK", "CM", "EI", "EIP", "DLN", "XON", "WD", "ED", "RP"), "id"),
    **dict.fromkeys(("XAD", "AD", "SAD"), "address"),
    **dict.fromkeys(("XTN", "TN"), "phone"),
    **dict.fromkeys(("TX", "FT", "ST", "GTS", *_CODED), "free"),
    "NM": "open",
}
# Texts that are identifiers by what the field means.
_FIELDS = {
    **dict.fromkeys(("PID-2", "PID-4", "PID-19", "PID-20", "PID-25"), "id"),
    **dict.fromkeys(("GT1-12", "IN1-36", "IN2-2", "IN2-6", "NK1-37", "PV2-21"), "id"),
    **dict.fromkeys(("PID-23", "IN1-44"), "address"),
    **dict.fromkeys(("PID-9", "NK1-2", "GT1-3", "IN1-16", "NK1-30"), "name"),
}
_NUMBER_FIRST = frozenset(("XCN", "CN", "CNN", "PPN"))
_DECORATION = {"XPN": (4, 5, 6), "XCN": (5, 6, 7), "CNN": (5, 6, 7), "PPN": (5, 6, 7)}
_PERSONS = frozenset(("PID", "NK1", "GT1", "MRG", "IN1", "IN2", "PD1", "STF"))
_CONTENT = frozenset((1, 3))  # code and system of a coded value


def kind(segment: str, number: int, inner: tuple[int, ...], version: str, said: str) -> str:
    """The kind of one place. inner: component, subcomponent. said: OBX-2 of its segment."""
    found = names.field(segment, number, version)
    root = found.type if found else "WD"
    if root == "varies":
        root = said or "TX"
    if segment in HEADERS and number in (1, 2, 10):
        return "open"
    return _of_type(_FIELDS.get(f"{segment}-{number}", ""), root, inner, version)


def _of_type(meant: str, root: str, inner: tuple[int, ...], version: str) -> str:
    meaning = meant or _MEANING.get(root, "")
    kind = root
    for depth, number in enumerate(inner):
        if depth == 0 and root in _CODED and not meant:
            return "open" if number in _CONTENT else "free"
        if depth == 0 and root in _DECORATION and number in _DECORATION[root]:
            return "open"
        if depth == 0 and root in _NUMBER_FIRST and number == 1:
            return "id"
        below = names.component(kind, number, version)
        kind = below.type if below else kind
    if kind in _DATES:
        return "date"
    if (kind in _OPEN or (inner and kind in _CODED)) and not meant:
        return "open"
    return meaning or _MEANING.get(kind, "id")


def kind_of(path: Path, version: str, said: str = "") -> str:
    """The kind of a path; of a whole segment `id`."""
    if path.field is None:
        return "id"
    return kind(path.segment, path.field, path.inner, version, said)


def safe(path: Path) -> bool:
    """Whether no value there can tell a patient, whatever the version and OBX-2."""
    return (
        path.field is not None
        and names.field(path.segment, path.field) is not None
        and (path.segment not in _PERSONS or (path.segment, path.field) == ("PID", 8))
        and kind_of(path, "", "ST") == "open"
    )


def values(reading: MessageView) -> Iterator[tuple[str, str]]:
    """(kind, text) of each value that is `TELLING` or a date; of free texts nothing."""
    version = reading.header.version
    for segment in reading.segments():
        if not segment.name:
            continue
        found = segment.text(2) if segment.name == "OBX" else ""
        said = found if isinstance(found, str) else ""
        for number, piece in pieces.fields(reading, segment):
            if number > 1 or segment.name not in HEADERS:
                yield from _of_field(reading, segment, number, piece, (version, said))


def _of_field(
    reading: Reading, segment: Segment, number: int, piece: Piece, about: tuple[str, str]
) -> Iterator[tuple[str, str]]:
    leaves = pieces.leaves(reading, piece)
    composite = {key[:2] for key in leaves if key[2] > 1}
    single = max((key[1] for key in leaves), default=1) == 1
    for (repetition, component, part), raw in leaves.items():
        text = pieces.text(reading, raw)
        if text is None or text is DELETED or not isinstance(text, str):
            continue
        inner: tuple[int, ...] = (component,)
        if (repetition, component) in composite:
            inner = (component, part)
        elif single and _plain(segment.name, number, about):
            inner = ()
        told = kind(segment.name, number, inner, *about)
        if told in TELLING or told == "date":
            yield told, text


def _plain(segment: str, number: int, about: tuple[str, str]) -> bool:
    """Whether a field has no components by its type."""
    found = names.field(segment, number, about[0])
    root = found.type if found else "WD"
    root = about[1] if root == "varies" and about[1] else root
    return names.component(root, 1, about[0]) is None
