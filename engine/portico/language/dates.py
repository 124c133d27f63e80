"""Dates as messages write them: read with their precision, compare, format.

HL7 `YYYY[MM[DD[HH[MM[SS[.S...]]]]]][+/-ZZZZ]` (v2.5.1 chapter 2A, DTM) and ISO 8601's
extended form. Nothing is made up: a date without a day has none, and formatting it with `%d`
is an error.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from portico.clock import moment
from portico.hl7.datetimes import DateTime

_OFFSET = r"(?P<zone>Z|[+-]\d\d:?\d\d)?"
_HL7 = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(?P<rest>\d{1,9}))?)?)?)?)?)?"
    + _OFFSET,
    re.ASCII,
)
_ISO = re.compile(
    r"(\d{4})-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](?P<rest>\d{1,9}))?)?"
    + _OFFSET
    + r")?)?",
    re.ASCII,
)
_TIME = re.compile(
    r"(?:[01]\d|2[0-3])(?::?[0-5]\d(?::?[0-5]\d(?:\.\d{1,9})?)?)?(?:Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)
_NAMES = ("year", "month", "day", "hour", "minute", "second")
_PLACES = {"Y": 0, "m": 1, "d": 2, "H": 3, "M": 4, "S": 5}


def read(text: str) -> DateTime | None:
    """The date of a text, None when it is not one (the 30th of February is not one)."""
    match = _HL7.fullmatch(text) or _ISO.fullmatch(text)
    if match is None:
        return None
    parts = tuple(int(part) for part in match.groups()[:6] if part is not None)
    try:
        datetime(*parts, *(1, 1)[len(parts) - 1 :], tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        return None
    return DateTime(parts, match["rest"] or "", _minutes(match["zone"]))


def of_nanoseconds(ns: int) -> DateTime:
    """The date of nanoseconds since 1970, in UTC, to the millisecond."""
    at = moment(ns)
    return DateTime(at.timetuple()[:6], f"{at.microsecond // 1000:03d}", 0)


def is_time(text: str) -> bool:
    """Whether it is a time of day (`HH[MM[SS]]`, `HH:MM`), or a date that holds one."""
    date = read(text)
    return _TIME.fullmatch(text) is not None or (date is not None and len(date.parts) > 3)


def compare(one: DateTime, other: DateTime) -> int:
    """-1, 0 or 1, to the precision that both have. Zones count when both are written."""
    one, other = (_in_utc(one), _in_utc(other)) if _zoned(one, other) else (one, other)
    size = min(len(one.parts), len(other.parts))
    left: tuple[tuple[int, ...], str] = (one.parts[:size], "")
    right: tuple[tuple[int, ...], str] = (other.parts[:size], "")
    if size == 6 and one.rest and other.rest:
        left, right = (left[0], one.rest.ljust(9, "0")), (right[0], other.rest.ljust(9, "0"))
    return (left > right) - (left < right)


def iso(date: DateTime) -> str:
    """`2026-11-20T19:37:39.123Z`, as far as it goes."""
    parts = [f"{part:02d}" for part in date.parts]
    parts[0] = f"{date.parts[0]:04d}"
    text = "-".join(parts[:3]) + ("T" + ":".join(parts[3:]) if parts[3:] else "")
    return text + (f".{date.rest}" if date.rest else "") + _zone_text(date, ":", "Z")


@lru_cache(maxsize=512)
def formatter(layout: str) -> Callable[[DateTime], str]:
    """A function that writes dates by `%Y%m%d%H%M%S`, `%f` (microseconds), `%z` (`+0100`).

    Raises ValueError for any other directive. The function raises ValueError when the date
    lacks what the layout asks for.
    """
    for match in _DIRECTIVE.finditer(layout):
        if match[1] not in {*_PLACES, "f", "z", "%"}:
            raise ValueError(
                f"'%{match[1]}' is not known in dates; %Y %m %d %H %M %S %f %z are"
            )

    def write(date: DateTime) -> str:
        return _DIRECTIVE.sub(lambda match: _directive(date, match[1]), layout)

    return write


def _directive(date: DateTime, letter: str) -> str:
    if letter in _PLACES:
        place = _PLACES[letter]
        if place >= len(date.parts):
            raise ValueError(f"the date has no {_NAMES[place]}")
        return f"{date.parts[place]:0{2 if place else 4}d}"
    if letter == "f":
        return date.rest[:6].ljust(6, "0")
    return "%" if letter == "%" else _zone_text(date, "", "+0000")


def _zone_text(date: DateTime, between: str, utc: str) -> str:
    if date.zone is None:
        return ""
    if date.zone == 0:
        return utc
    hours, minutes = divmod(abs(date.zone), 60)
    return f"{'-' if date.zone < 0 else '+'}{hours:02d}{between}{minutes:02d}"


def _minutes(zone: str | None) -> int | None:
    if zone is None:
        return None
    if zone == "Z":
        return 0
    digits = zone.replace(":", "")
    total = int(digits[1:3]) * 60 + int(digits[3:5])
    return -total if zone.startswith("-") else total


def _zoned(one: DateTime, other: DateTime) -> bool:
    both = one.zone is not None and other.zone is not None
    return both and min(len(one.parts), len(other.parts)) > 3


def _in_utc(date: DateTime) -> DateTime:
    local = datetime(*date.parts, tzinfo=UTC)  # type: ignore[arg-type,misc]
    try:
        at = local - timedelta(minutes=date.zone or 0)
    except OverflowError:  # `99991231235959-0500` stands for "never": the calendar ends there
        at = local
    return DateTime(at.timetuple()[: len(date.parts)], date.rest, 0)
