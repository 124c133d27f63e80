"""What goes row by row: the bytes of a channel that keeps them for less long than others do,
and what people did long ago.

A day's partition of bodies stays for the channel that keeps its bytes the longest; those of
another, and of what agents emitted from them, are deleted from it page by page. Nothing goes
that is unfinished or held by law.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from portico.ids import SignalId
from portico.journal import partitions
from portico.journal.link import Link

PAGE = 500  # Signals of one statement: some milliseconds, 2 MB of WAL at most
_ACTS = 2_000
_DEADLINE = 30.0
_VACUUM = 3600.0
_STEPS = 32  # agents behind each other that are followed back to a source
_LOCKS = "2s"  # whoever works on a row goes first; the page is tried again later

_NAMES = """
    select %(name)s union select old from renamed where scope = 'channel' and new = %(name)s
    """
# The places of the narrow rows are their Signal's and its Deliveries' own, so that a page
# needs no look at a whole queue.
_BODIES = """
    with page as (
        select id, seq, patient from signal
        where origin = %(origin)s and id > %(after)s and id < %(end)s
        order by id limit %(limit)s
    ),
    {ours}
    free as (
        select id from {chosen} s where not (
            exists (select from waiting w where w.seq = s.seq and w.signal = s.id)
            or exists (select from parked p where p.signal = s.id)
            or exists (select from delivery d
                join queued q on q.destination = d.destination and q.seq = d.seq
                where d.signal = s.id)
            or exists (select from hold h
                where h.signal = s.id or (h.patient <> '' and h.patient = s.patient)))
    ),
    bytes as (
        delete from body b using free f
        where b.signal = f.id and b.signal > %(after)s and b.signal < %(end)s
        returning b.signal
    ),
    calls as (
        delete from call c using free f
        where c.signal = f.id and c.signal > %(after)s and c.signal < %(end)s
    )
    select (select count(*) from {chosen}), (select count(*) from free),
        (select count(distinct signal) from bytes),
        (select id from page order by id desc limit 1)
    """
_RECEIVED = _BODIES.format(ours="", chosen="page")
# What agents emitted says what it came from; of that the first that a source received counts.
_EMITTED = _BODIES.format(
    ours="""
    lines as (
        with recursive line (leaf, at, steps) as (
            select p.id, s.parent, 1 from page p join signal s on s.id = p.id
            union all
            select l.leaf, s.parent, l.steps + 1 from line l join signal s on s.id = l.at
            where s.origin like 'signal:%%' and l.steps < %(steps)s
        )
        select leaf from line l join signal s on s.id = l.at where s.origin = any(%(names)s)
    ),
    ours as (select p.* from page p join lines l on l.leaf = p.id),""",
    chosen="ours",
)
_ORIGINS = """
    select distinct origin from signal
    where origin >= 'signal:' and origin < 'signal;' and id >= %(first)s and id < %(end)s
    """
# Oldest first. What tells how a Signal that is not finished came to be so stays with it, and
# so does what keeps a replay that has not ended from taking a Signal twice.
_ACTS_GONE = """
    with page as (
        select place, at, signal, job from act
        where place > %(after)s order by place limit %(limit)s
    ),
    gone as (
        delete from act a using page p
        where a.place = p.place and p.at < %(before)s
            and not exists (select from job j where j.id = p.job and j.state = 'running')
            and not exists (select from waiting w where w.signal = p.signal)
            and not exists (select from queued q where q.signal = p.signal)
            and not exists (select from parked k where k.signal = p.signal)
        returning 1
    )
    select (select count(*) from gone), max(place),
        count(*) = %(limit)s and bool_or(at < %(before)s)
    from page
    """
_JOBS_GONE = """
    delete from job j where j.at < %(before)s and j.state <> 'running'
        and not exists (select from act a where a.job = j.id)
    returning 1
    """


@dataclass(frozen=True, slots=True)
class PurgedPage:
    """What became of some Signals. bodies: of how many the bytes went; kept: how many had to
    stay; last: where the next page begins, None at the end."""

    bodies: int
    kept: int
    last: SignalId | None


class Purge:
    """conninfo: where the journal is now. Every verb raises JournalError."""

    def __init__(self, conninfo: Callable[[], str]) -> None:
        settings: tuple[str, ...] = (f"set lock_timeout = '{_LOCKS}'",)
        self._link = Link(conninfo, deadline=_DEADLINE, name="portico purge", settings=settings)
        settings += ("set vacuum_cost_delay = '5ms'",)
        self._sweeper = Link(
            conninfo, deadline=_VACUUM, name="portico purge", settings=settings
        )

    async def days(self) -> list[date]:
        """The days that still have their partition of bodies, oldest first."""
        rows = await self._link.run(
            "select right(inhrelid::regclass::text, 8) from pg_inherits "
            "where inhparent = 'body'::regclass and not inhdetachpending order by 1"
        )
        return [datetime.strptime(row[0], "%Y%m%d").date() for row in rows]  # noqa: DTZ007

    async def done(self) -> set[tuple[str, date]]:
        """(origin, day) of which nothing is left to do."""
        rows = await self._link.run("select origin, day from purged")
        return {(row[0], row[1]) for row in rows}

    async def names(self, channel: str) -> list[str]:
        """The origins of this channel's history: its name, and those that it had."""
        return [row[0] for row in await self._link.run(_NAMES, {"name": channel})]

    async def bodies(self, origin: str, day: date, after: SignalId | None) -> PurgedPage:
        """Let the bytes of a page of that day go, behind this Signal; None: from the first."""
        return await self._page(_RECEIVED, origin, day, after)

    async def emitted(self, day: date) -> list[str]:
        """The origins of what agents emitted on that day."""
        first, end = partitions.bounds(day)
        rows = await self._link.run(_ORIGINS, {"first": first, "end": end})
        return sorted(row[0] for row in rows)

    async def bodies_after(
        self, names: list[str], origin: str, day: date, after: SignalId | None
    ) -> PurgedPage:
        """The same of what agents emitted, where it came from a channel of these names."""
        return await self._page(_EMITTED, origin, day, after, names)

    async def _page(
        self,
        statement: str,
        origin: str,
        day: date,
        after: SignalId | None,
        names: Sequence[str] = (),
    ) -> PurgedPage:
        first, end = partitions.bounds(day)
        asked = {
            "origin": origin,
            "after": UUID(bytes=after) if after else first,
            "end": end,
            "limit": PAGE,
            "names": list(names),
            "steps": _STEPS,
        }
        seen, free, bodies, last = (await self._link.run(statement, asked))[0]
        return PurgedPage(bodies, seen - free, SignalId(last.bytes) if last else None)

    async def finish(self, origin: str, day: date) -> None:
        """Nothing of it is left."""
        await self._link.run(
            "insert into purged values (%s, %s) on conflict do nothing", (origin, day)
        )

    async def forget(self, before: date) -> None:
        """Days before this one have no bodies at all."""
        await self._link.run("delete from purged where day < %s", (before,))

    async def sweep(self, day: date) -> None:
        """Have the database give back what was deleted of that day, as far as it can."""
        for table in ("body", "call"):
            await self._sweeper.run(f"vacuum {partitions.name(table, day)}")

    async def acts(self, before: datetime, after: int) -> tuple[int, int | None]:
        """Let a page of what people did before then go, behind this place: how many went, and
        where the next page begins, None at the end."""
        asked = {"before": before, "after": after, "limit": _ACTS}
        gone, last, more = (await self._link.run(_ACTS_GONE, asked))[0]
        return gone, last if more else None

    async def jobs(self, before: datetime) -> int:
        """Let replays of many that began before then go, once nothing is left of them."""
        return len(await self._link.run(_JOBS_GONE, {"before": before}))

    async def close(self) -> None:
        """Close the connections."""
        await self._link.close()
        await self._sweeper.close()
