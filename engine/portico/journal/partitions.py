"""Day partitions, made ahead: all that belongs to a Signal lies in those of its day.

There is no DEFAULT partition (it forbids DETACH CONCURRENTLY), so a row of a day that has
none is refused by the database; the writer then asks for that day and flushes again.
"""

from collections.abc import Container, Iterable
from datetime import UTC, date, datetime, timedelta

from portico.ids import SignalId, floor_at, millis, text

PARTITIONED = {
    "signal": "id",
    **dict.fromkeys(("body", "session", "delivery", "attempt", "call"), "signal"),
}

AHEAD = 7  # days made ahead, so that a database that is away at midnight stops nobody

# A vacuum marks pages, and one that meets a page which a checkpoint has written logs it whole.
# By PostgreSQL's default it comes when a table has grown by a fifth, so ever later, and a
# message costs twice its bytes of the log; so it comes for every few new rows.
_TIDY = {
    "autovacuum_vacuum_insert_threshold": 10_000,
    "autovacuum_vacuum_insert_scale_factor": 0,
}
# Of what only grows, statistics are taken when it has doubled: a tenth more, the default, is
# every ten seconds on a busy morning.
_WITH = ", ".join(
    (
        *(f"{at}{name} = {n}" for at in ("", "toast.") for name, n in _TIDY.items()),
        "autovacuum_analyze_scale_factor = 1",
    )
)


def day_of(signal: SignalId) -> date:
    """The UTC day of an id."""
    return datetime.fromtimestamp(millis(signal) / 1000, UTC).date()


def days_from(today: date) -> list[date]:
    """Yesterday (clocks differ), today and the days ahead."""
    return [today + timedelta(days=n) for n in range(-1, AHEAD + 1)]


def name(table: str, day: date) -> str:
    """`signal_20261120`."""
    return f"{table}_{day:%Y%m%d}"


def creating(days: Iterable[date], made: Container[str] = ()) -> list[str]:
    """The statements that make these days' partitions, but for those of the names in `made`.

    A table of its own that is then attached: `create ... partition of` would wait for whoever
    reads the parent, and whoever writes would wait behind it.
    """
    return [
        f"create table if not exists {name(table, day)} (like {table} including all) "
        f"with ({_WITH}); alter table {table} attach partition {name(table, day)} "
        "for values from ('{}') to ('{}')".format(*bounds(day))
        for day in days
        for table in PARTITIONED
        if name(table, day) not in made
    ]


def bounds(day: date) -> tuple[str, str]:
    """The first id of a day and the first after it."""
    return _bound(day), _bound(day + timedelta(days=1))


def _bound(day: date) -> str:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return text(floor_at(int(start.timestamp() * 1000)))
