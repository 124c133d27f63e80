"""Dates in texts, moved by some days in the layout that they have.

`20260131...`, `2026-01-31...`, `31.1.2026`, `1/31/2026`, `31-01-26`, `31 January 2026`,
`31. Jan. 2026`, `January 31st, 2026`; months in English and German. With dots and hyphens the
day stands first, with slashes the month, unless it is above 12.
"""

import re
from datetime import date, timedelta

_LISTS = tuple(
    tuple(words.split())
    for words in (
        "January February March April May June July August September October November December",
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
        "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    )
)
_NAMES = "|".join(sorted({name for names in _LISTS for name in names}, key=len, reverse=True))
_YEAR = r"(?P<year>\d{4}|\d\d)(?!\d)"
_LAYOUTS = tuple(
    re.compile(layout, re.IGNORECASE)
    for layout in (
        r"(?P<year>\d{4})(?P<mark>-?)(?P<month>\d\d)(?P=mark)(?P<day>\d\d)",
        rf"(?P<day>\d{{1,2}})(?P<mark>[.-])(?P<month>\d{{1,2}})(?P=mark){_YEAR}",
        rf"(?P<month>\d{{1,2}})(?P<mark>/)(?P<day>\d{{1,2}})/{_YEAR}",
        rf"(?P<day>\d{{1,2}})/(?P<month>\d{{1,2}})/{_YEAR}",
        rf"(?P<day>\d{{1,2}})(?:\.? ?|-)(?P<month>{_NAMES})(?:\.?,? |-){_YEAR}",
        rf"(?P<month>{_NAMES})\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? {_YEAR}",
    )
)
_PIVOT = 40  # a year of two digits below it is of this century
_SPELLED = ("%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y")


def moved(text: str, shift: timedelta) -> tuple[str, str] | None:
    """The date that a text begins with, and the one so many days away; None without one."""
    for layout in _LAYOUTS:
        match = layout.match(text)
        day = _day(match) if match else None
        if match and day:
            try:
                return match[0], _written(match, day + shift)
            except OverflowError:
                return None
    return None


def spellings(text: str) -> list[str]:
    """The ways in which a text may write a date that HL7 or FHIR writes; none for others."""
    match = _LAYOUTS[0].match(text)
    day = _day(match) if match else None
    if day is None:
        return []
    plain = f"{day.day}.{day.month}.{day.year}", f"{day.month}/{day.day}/{day.year}"
    words = [names[day.month - 1] for names in _LISTS]
    spelled = [
        way
        for month in words
        for way in (
            f"{day.day} {month} {day.year}",
            f"{day.day}. {month} {day.year}",
            f"{month} {day.day}, {day.year}",
        )
    ]
    return [*(day.strftime(layout) for layout in _SPELLED), *plain, *spelled]


def same_day(one: str, other: str) -> bool:
    """Whether two texts begin with the same date; others may move to the same text, as
    13/02/2026 and 05/10/2026 do."""
    return one == other or _first_day(one) == _first_day(other)


def _first_day(text: str) -> date | None:
    matches = (layout.match(text) for layout in _LAYOUTS)
    return next((day for match in matches if match and (day := _day(match))), None)


def _day(match: re.Match[str]) -> date | None:
    year, month = int(match["year"]), match["month"]
    if len(match["year"]) == 2:
        year += 2000 if year < _PIVOT else 1900
    try:
        return date(year, int(month) if month.isdigit() else _number(month), int(match["day"]))
    except ValueError:
        return None


def _number(name: str) -> int:
    return next(
        names.index(known) + 1
        for names in _LISTS
        for known in names
        if known.casefold() == name.casefold()
    )


def _written(match: re.Match[str], day: date) -> str:
    """A date in the layout of another."""
    parts = {"year": f"{day.year:04}"[-len(match["year"]) :]}
    for key, value in (("month", day.month), ("day", day.day)):
        parts[key] = f"{value:0{len(match[key])}}" if match[key].isdigit() else ""
    if not match["month"].isdigit():
        said = match["month"].casefold()
        names = next(names for names in _LISTS if said in map(str.casefold, names))
        parts["month"] = names[day.month - 1]
    text, at = "", match.start()
    for key in sorted(parts, key=match.start):
        text += match.string[at : match.start(key)] + parts[key]
        at = match.end(key)
    return text + match.string[at : match.end()]
