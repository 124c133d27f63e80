"""Retention: which days may go, and how a day goes without anybody waiting for it.

A day goes whole: its partition of bodies first, those with what is known about them later. A
day stays while anything of it is unfinished (waiting, queued, parked) or under a legal hold.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from uuid import UUID

from portico.ids import SignalId
from portico.journal import partitions
from portico.journal.link import Link

Part = Literal["bodies", "headers"]
Kept = Literal["", "unfinished", "held"]

TABLES: dict[Part, tuple[str, ...]] = {
    "bodies": ("body", "call"),
    "headers": (
        "body",
        "call",
        "attempt",
        "delivery",
        "session",
        "signal",
    ),  # `signal` at the last
}
_UNFINISHED = ("waiting", "queued", "parked")
_NAME = re.compile(r"(body|call|attempt|delivery|session|signal)_(\d{8})")
_LOCKS = "2s"  # a drop that does not get its locks by then is tried again later
_DEADLINE = 30.0
_EPOCH = date(1970, 1, 1)

# Every partition there is: whether it is attached, and how large it is. One that is not, or
# whose detaching was cut short, is the rest of a drop.
_PARTITIONS = r"""
    select c.relname, i.inhrelid is not null, coalesce(i.inhdetachpending, false),
        pg_total_relation_size(c.oid)
    from pg_class c left join pg_inherits i on i.inhrelid = c.oid
    where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace
        and c.relname ~ '^(body|call|attempt|delivery|session|signal)_\d{8}$'
    """
# The days, since 1970, of which anything is unfinished: an id begins with its milliseconds.
_DAYS = """
    select distinct ('x' || left(translate(signal::text, '-', ''), 12))::bit(48)::bigint
        / 86400000
    from (
        select signal from waiting union all select signal from queued
        union all select signal from parked
    ) u
    """
_HELD = """
    select exists (select from hold where signal >= %(first)s and signal < %(end)s) or exists (
        select from hold h where h.patient <> '' and exists (
            select from signal s
            where s.patient = h.patient and s.patient <> ''
                and s.id >= %(first)s and s.id < %(end)s))
    """


@dataclass(frozen=True, slots=True)
class RetentionTerms:
    """How long bodies, and what is known about them, are kept. Seconds."""

    bodies: float
    headers: float


@dataclass(frozen=True, slots=True)
class Due:
    """One part of one day that may go. at: the day from which on it may. kept: why it stays
    nevertheless. size: bytes on disk, indexes included; 0 where it is `channel`'s alone, whose
    bytes go before the day's."""

    day: date
    part: Part
    at: date
    size: int
    kept: Kept = ""
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold of one Signal or of all Signals of one patient (PID-3.1)."""

    number: int
    signal: SignalId | None
    patient: str
    reason: str
    since: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A day's partition. attached, pending: how far an earlier drop came."""

    table: str
    day: date
    size: int
    attached: bool = True
    pending: bool = False


def plan(stored: Iterable[Stored], terms: RetentionTerms, through: date) -> list[Due]:
    """What goes up to this day, oldest first; headers never before their bodies."""
    sizes: dict[date, dict[str, int]] = {}
    for one in stored:
        sizes.setdefault(one.day, {})[one.table] = one.size
    return list(_dues(sizes, terms, through))


def _dues(
    sizes: dict[date, dict[str, int]], terms: RetentionTerms, through: date
) -> Iterator[Due]:
    for day, tables in sorted(sizes.items()):
        bodies = due(day, terms.bodies)
        headers = max(due(day, terms.headers), bodies)
        if "body" in tables and bodies <= through:
            size = sum(tables.get(table, 0) for table in TABLES["bodies"])
            yield Due(day, "bodies", bodies, size)
        if headers <= through:
            whole = TABLES["bodies"]
            rest = sum(size for table, size in tables.items() if table not in whole)
            yield Due(day, "headers", headers, rest)


def due(day: date, kept: float) -> date:
    """The first day on which what came on that day has been kept for so many seconds."""
    whole = timedelta(seconds=min(kept, 3e9))
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) + whole
    return end.date() + timedelta(days=end.time() != end.time().min)


class Retention:
    """Looks at days and drops them. conninfo: where the journal is now. Raises JournalError."""

    def __init__(self, conninfo: Callable[[], str]) -> None:
        self._link = Link(
            conninfo,
            deadline=_DEADLINE,
            name="portico retention",
            settings=(f"set lock_timeout = '{_LOCKS}'",),
        )

    async def due(self, terms: RetentionTerms, through: date) -> list[Due]:
        """What goes up to that day, and what would but must stay."""
        found = plan(await self._stored(), terms, through)
        rows = await self._link.run(_DAYS)
        kept: dict[date, Kept] = {_EPOCH + timedelta(days=row[0]): "unfinished" for row in rows}
        for one in found:
            if one.day not in kept:
                kept[one.day] = "held" if await self._held(one.day) else ""
        return [Due(d.day, d.part, d.at, d.size, kept[d.day]) for d in found]

    async def mend(self) -> None:
        """Put back what a drop that was cut short has detached: nobody sees such a day, so no
        hold would keep it, and nothing else of its table could be detached."""
        for one in await self._stored():
            name = partitions.name(one.table, one.day)
            if one.pending:
                await self._link.run(
                    f"alter table {one.table} detach partition {name} finalize"
                )
            if one.pending or not one.attached:
                await self._link.run(
                    f"alter table {one.table} attach partition {name} "
                    "for values from ('{}') to ('{}')".format(*partitions.bounds(one.day))
                )

    async def drop(self, due: Due) -> bool:
        """Let it go; False when something of that day must stay after all.

        Nobody who writes waits: a partition is detached concurrently, and dropped when nobody
        sees it any more. Cut short at any point, the same call goes on there.
        """
        if await self._kept(due.day):
            return False
        for table in TABLES[due.part]:
            for one in await self._stored():
                if (one.table, one.day) == (table, due.day):
                    await self._drop(one)
        return True

    async def holds(self) -> list[Hold]:
        """Every legal hold, oldest first."""
        rows = await self._link.run("select * from hold order by number")
        return [
            Hold(row[0], SignalId(row[1].bytes) if row[1] else None, *row[2:]) for row in rows
        ]

    async def hold(
        self, signal: SignalId | None, patient: str, reason: str, since: datetime, by: str
    ) -> int:
        """Keep a Signal, or all of a patient, now and to come; the number of the hold."""
        rows = await self._link.run(
            "insert into hold (signal, patient, reason, since, by) values (%s, %s, %s, %s, %s) "
            "returning number",
            (UUID(bytes=signal) if signal else None, patient, reason, since, by),
        )
        return int(rows[0][0])

    async def knows(self, signal: SignalId) -> bool:
        """Whether it has that Signal still."""
        asked = "select exists (select from signal where id = %s)"
        return bool((await self._link.run(asked, (UUID(bytes=signal),)))[0][0])

    async def unhold(self, number: int) -> bool:
        """End a hold; False when there is none of that number."""
        asked = "delete from hold where number = %s returning number"
        return bool(await self._link.run(asked, (number,)))

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    async def _stored(self) -> list[Stored]:
        return [
            Stored(match[1], _day(match[2]), size, attached, pending)
            for name, attached, pending, size in await self._link.run(_PARTITIONS)
            if (match := _NAME.fullmatch(name))
        ]

    async def _kept(self, day: date) -> Kept:
        """Why a day must stay."""
        first, end = partitions.bounds(day)
        for table in _UNFINISHED:
            asked = f"select exists (select from {table} where signal >= %s and signal < %s)"  # noqa: S608 - a constant
            if (await self._link.run(asked, (first, end)))[0][0]:
                return "unfinished"
        return "held" if await self._held(day) else ""

    async def _held(self, day: date) -> bool:
        first, end = partitions.bounds(day)
        return bool((await self._link.run(_HELD, {"first": first, "end": end}))[0][0])

    async def _drop(self, one: Stored) -> None:
        name = partitions.name(one.table, one.day)
        if one.attached:
            how = "finalize" if one.pending else "concurrently"
            await self._link.run(f"alter table {one.table} detach partition {name} {how}")
        await self._link.run(f"drop table {name}")


def _day(digits: str) -> date:
    return datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC).date()
