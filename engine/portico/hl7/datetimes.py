"""Date and time of HL7 fields, with no more precision than was written.

`YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`. Source: HL7 v2.5.1 chapter 2A, sections
2A.22 (DTM) and 2A.77 (TS, whose second component is the degree of precision, table 0529).
Up to nine digits behind the point are taken, as the field sends them.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import NamedTuple, Self

_DTM = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,9}))?)?)?)?)?)?"
    r"(?:([+-])(\d\d)([0-5]\d))?",
    re.ASCII,
)
_UNITS = ("year", "month", "day", "hour", "minute", "second")
_DEGREES = {"Y": 1, "L": 2, "D": 3, "H": 4, "M": 5, "S": 6}  # table 0529: how many parts


class DateTime(NamedTuple):
    """parts: year to second, as many as were written, at least the year. rest: the digits
    behind the second's point. zone: minutes east of UTC, None when not written.

    `str()` of it is HL7. Two are equal when they say the same with the same precision.
    """

    parts: tuple[int, ...]
    rest: str = ""
    zone: int | None = None

    @classmethod
    def of(cls, at: datetime, precision: str = "second") -> Self:
        """The date-time of Python's, cut to `year` ... `second`, or `microsecond`."""
        digits = f"{at.microsecond:06d}" if precision == "microsecond" else ""
        size = 6 if digits else _UNITS.index(precision) + 1
        offset = at.utcoffset()
        zone = None if offset is None or size < 4 else int(offset.total_seconds()) // 60
        return cls(at.timetuple()[:size], digits, zone)

    @property
    def precision(self) -> str:
        """The last part that was written: `year` ... `second`, or `fraction`."""
        return "fraction" if self.rest else _UNITS[len(self.parts) - 1]

    def date(self) -> date:
        """The day. Raises ValueError when none was written."""
        if len(self.parts) < 3:
            raise ValueError(f"the date has no {_UNITS[len(self.parts)]}")
        year, month, day = self.parts[:3]
        return date(year, month, day)

    def datetime(self, zone: timezone = UTC) -> datetime:
        """The first instant that it names, aware. zone: of a text that names none."""
        offset = zone if self.zone is None else timezone(timedelta(minutes=self.zone))
        year, month, day, hour, minute, second = (
            *self.parts,
            *(0, 1, 1, 0, 0, 0)[len(self.parts) :],
        )
        micros = int(self.rest[:6].ljust(6, "0"))
        return datetime(year, month, day, hour, minute, second, micros, offset)

    def __str__(self) -> str:
        year, *others = self.parts
        text = f"{year:04d}" + "".join(f"{part:02d}" for part in others)
        text += f".{self.rest}" if self.rest else ""
        if self.zone is None:
            return text
        hours, minutes = divmod(abs(self.zone), 60)
        return f"{text}{'-' if self.zone < 0 else '+'}{hours:02d}{minutes:02d}"


def read(text: str) -> DateTime | None:
    """The date-time of a field: DTM, DT, or TS with its degree of precision; else None.

    The 30th of February is none, and neither is an hour 24.
    """
    written, _, degree = text.partition("^")
    match = _DTM.fullmatch(written)
    if match is None:
        return None
    parts = tuple(int(part) for part in match.groups()[:6] if part is not None)
    zone = None
    if match[8]:
        zone = (int(match[9]) * 60 + int(match[10])) * (-1 if match[8] == "-" else 1)
    if not _possible(parts, zone):
        return None
    kept = _DEGREES.get(degree, 6)
    return DateTime(parts[:kept], (match[7] or "") if kept == 6 else "", zone)


def _possible(parts: tuple[int, ...], zone: int | None) -> bool:
    try:
        datetime(*parts, *(1, 1)[len(parts) - 1 :], tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        return False
    return zone is None or abs(zone) < 24 * 60
