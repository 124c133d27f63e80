"""When a schedule is due: cron's words in a time zone, decided from values.

Semantics are Debian cron's, by cronsim: day of month and day of week are alternatives when both
are restricted; in spring a time that the clocks skip is due when they have jumped, in autumn a
fixed time is due once and `*` hours run through both. Source: crontab(5), cron(8) of Debian.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim

MOST = 10_000  # missed times that are dealt with one by one


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done now. Times in seconds since 1970 UTC, oldest first.

    fire: to be fired; missed: passed over.
    """

    fire: tuple[int, ...]
    missed: tuple[int, ...]


def times(cron: str, zone: ZoneInfo, after: int) -> Iterator[int]:
    """Planned times after that second, in order, without end (or none within 50 years)."""
    for planned in CronSim(cron, datetime.fromtimestamp(after, UTC).astimezone(zone)):
        at = int(planned.timestamp())
        if at > after:  # cronsim does not see in which round of a repeated hour it begins
            yield at


def following(cron: str, zone: ZoneInfo, after: int) -> int | None:
    """The next planned time after that second."""
    return next(times(cron, zone, after), None)


def due(
    cron: str, zone: ZoneInfo, last: int, now: float, catch_up: str, grace: float = 60.0
) -> Due:
    """What has become due since `last` was dealt with.

    Times that are later than `grace` seconds are missed ones: `none` fires none of them, `one`
    the latest, `all` all (the first MOST, then the rest at the next look).
    """
    passed: list[int] = []
    for planned in islice(times(cron, zone, last), MOST + 1):
        if planned > now:
            break
        passed.append(planned)
    rest = len(passed) > MOST
    passed = passed[:MOST]
    late = [one for one in passed if one < now - grace]
    if catch_up == "all" or not late:
        return Due(tuple(passed), ())
    kept = passed[len(late) :]
    if catch_up == "one" and not kept and not rest:
        kept = late[-1:]
    return Due(tuple(kept), tuple(late[: len(passed) - len(kept)]))


def text(planned: int, zone: ZoneInfo) -> str:
    """`2026-11-22T00:05:00+01:00`."""
    return datetime.fromtimestamp(planned, UTC).astimezone(zone).isoformat()
