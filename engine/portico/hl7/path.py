"""HL7 paths: `PID-5`, `PID-3[2].1`, `PID-3[5=MR].1`, `OBX[*2=ED]-5`: parse and print.

The grammar is that of the site language's places:

    path    = SEGMENT [ "[" which "]" ] [ "-" field [ "[" rep "]" ] [ "." comp [ "." sub ] ] ]
    which   = number | "*" | [ "*" ] field [ "." comp [ "." sub ] ] "=" text
    rep     = number | comp [ "." sub ] "=" text

All numbers count from 1. No segment index means the first segment of that name; a field
with no repetition is the whole field; a component with no repetition is the first's.
"""

import re
from functools import lru_cache

from msgspec import Struct

from portico.errors import PathInvalid

HEADERS = frozenset(("MSH", "FHS", "BHS"))  # their first field is the separator itself

_NUMBER = r"[1-9]\d{0,3}"
_PATH = re.compile(
    rf"""(?P<segment>[A-Z][A-Z0-9]{{2}})
    (?:\[(?!\])(?:(?P<occurrence>[1-9]\d{{0,6}})
         | (?P<every>\*)?(?:(?P<by>{_NUMBER}(?:\.{_NUMBER}){{0,2}})=(?P<is>[^\]]+))?)\])?
    (?:-(?P<field>{_NUMBER})
       (?:\[(?:(?P<repetition>{_NUMBER})
            | (?P<rep_by>{_NUMBER}(?:\.{_NUMBER})?)=(?P<rep_is>[^\]]+))\])?
       (?:\.(?P<component>{_NUMBER})(?:\.(?P<subcomponent>{_NUMBER}))?)?
    )?""",
    re.VERBOSE | re.ASCII,
)
_LOOSE = re.compile(r"/?([A-Za-z][A-Za-z0-9]{2})\W*(\d+)(?:\W+(\d+))?(?:\W+(\d+))?", re.ASCII)


class Select(Struct, frozen=True):
    """`2=ED`: what stands at that place equals that text, unescaped.

    place: numbers from the outside in: field, component, subcomponent of a segment;
    component, subcomponent of a repetition.
    """

    place: tuple[int, ...]
    text: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.place))}={self.text}"


class Path(Struct, frozen=True):
    """A place in a message. Equal paths name the same place in the same words."""

    segment: str
    occurrence: int | None = None
    every: bool = False
    where: Select | None = None
    field: int | None = None
    repetition: int | None = None
    repetition_where: Select | None = None
    component: int | None = None
    subcomponent: int | None = None

    @staticmethod
    def parse(text: str) -> "Path":
        """The path of a text; remembered, so asking again costs nothing. Raises PathInvalid."""
        return parse(text)

    @property
    def separators(self) -> bool:
        """Whether it names MSH-1 or MSH-2: separators themselves, never escaped or edited."""
        return self.field is not None and self.field <= 2 and self.segment in HEADERS

    @property
    def inner(self) -> tuple[int, ...]:
        """Component, or component and subcomponent, or neither."""
        if self.component is None:
            return ()
        if self.subcomponent is None:
            return (self.component,)
        return self.component, self.subcomponent

    def __str__(self) -> str:
        which = str(self.occurrence or "") or ("*" if self.every else "") + str(
            self.where or ""
        )
        text = self.segment + (f"[{which}]" if which else "")
        if self.field is None:
            return text
        text += f"-{self.field}"
        if rep := self.repetition or self.repetition_where:
            text += f"[{rep}]"
        return ".".join((text, *map(str, self.inner)))


@lru_cache(maxsize=4096)
def parse(text: str) -> Path:
    """The path of a text. Raises PathInvalid, which says what would be right."""
    match = _PATH.fullmatch(text)
    if match is None:
        raise PathInvalid(f"{text!r} is not an HL7 path; try {_near(text)!r}")
    part = match.groupdict()

    def number(name: str) -> int | None:
        return int(part[name]) if part[name] else None

    return Path(
        segment=part["segment"],
        occurrence=number("occurrence"),
        every=part["every"] is not None,
        where=_select(part["by"], part["is"]),
        field=number("field"),
        repetition=number("repetition"),
        repetition_where=_select(part["rep_by"], part["rep_is"]),
        component=number("component"),
        subcomponent=number("subcomponent"),
    )


def _select(place: str | None, text: str | None) -> Select | None:
    if place is None or text is None:
        return None
    return Select(tuple(map(int, place.split("."))), text)


def _near(text: str) -> str:
    """The likely wish: `PID.5.1`, `pid-5-1` and `/PID-5` are other tools' spellings."""
    loose = _LOOSE.fullmatch(text.strip())
    if loose is None:
        return "PID-5.1"
    segment, field, *inner = loose.groups()
    return ".".join((f"{segment.upper()}-{int(field) or 1}", *(n for n in inner if n)))
