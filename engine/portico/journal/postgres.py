"""The journal on PostgreSQL: the writer, the reader, the lease, and the days ahead.

`open` returns when this engine holds the lease and can write; from then on a lost connection
is made again for as long as it takes, and only a lost lease ends the writing.
"""

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from portico.clock import Clock, moment
from portico.errors import JournalError, JournalFenced, JournalUnavailable, JournalUnclear
from portico.ids import SignalId, floor_at
from portico.journal import acts, connect, lease, migrate, partitions, statements
from portico.journal.calls import Calls
from portico.journal.connect import Connection
from portico.journal.contract import Earlier, Recovered
from portico.journal.editions import Editions
from portico.journal.lease import Lease
from portico.journal.link import Link
from portico.journal.memory import Memories
from portico.journal.migrate import Migrated
from portico.journal.operating import OperatorDesk
from portico.journal.outlines import Outline
from portico.journal.pipeline import Pipeline
from portico.journal.reader import Reader
from portico.journal.writer import GroupCommit, Hooks, Opened

LEASE = "engine"
FLUSH_DEADLINE = 10.0
_SETTLED = 2 * FLUSH_DEADLINE  # seconds after which a flush is stored, or fenced
_FIRST_RETRY, _MOST_RETRY = 0.1, 2.0
_DAYS_EVERY = 3600.0
_KEYS_EVERY = 86_400.0


@dataclass(frozen=True, slots=True)
class Told:
    """Whom the journal tells. waiting: another engine holds the lease; migrated: the schema
    has been changed. See also Hooks."""

    hooks: Hooks
    waiting: Callable[[], None]
    migrated: Callable[[Migrated], None]


class Journal:
    """A journal that this engine may write.

    owner: this installation's identity. alone: no other engine can be using this database, so
    that a migration may take away at once what only older engines read.
    """

    def __init__(
        self,
        conninfo: Callable[[], str],
        owner: str,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        told: Told,
        alone: bool = False,
    ) -> None:
        self._conninfo = conninfo
        self._owner = owner
        self._clock = clock
        self._loop = loop
        self._told = told
        self._alone = alone
        self._tasks: list[asyncio.Task[None]] = []
        self._lease: Lease | None = None
        self._fenced = False
        self._writer: GroupCommit | None = None
        self.reader = Reader(conninfo)
        self.memories = Memories(conninfo, clock)
        self.desk = OperatorDesk(conninfo, lambda: self._lease)
        self.calls = Calls(conninfo, lambda: self._lease, clock)
        self.editions = Editions(conninfo)

    @property
    def writer(self) -> GroupCommit:
        """The writing side; there once `open` has begun to write."""
        assert self._writer is not None
        return self._writer

    async def waiting(
        self, after: int, limit: int, without: Sequence[str] = (), only: str = ""
    ) -> list[Recovered]:
        """Signals that wait, after this place, in order: of no origin of `without`, or of one
        alone. Raises JournalError."""
        return await self.reader.waiting(after, limit, self._window(), without, only)

    async def waiting_at(self, places: Sequence[int]) -> list[Recovered]:
        """Those of these places that wait still, in order. Raises JournalError."""
        return await self.reader.waiting_at(places, self._window())

    async def outlines(
        self, after: int, before: int, limit: int
    ) -> list[tuple[Outline, "array[int]"]]:
        """The next so many that wait between these places, by what they have in common.
        Raises JournalError."""
        return await self.reader.outlines(after, before, limit)

    def _window(self) -> int:
        """From when on repeats count, milliseconds since 1970 UTC."""
        return self._clock.time_ns() // 1_000_000 - int(self.writer.window * 1000)

    async def open(self) -> None:
        """Migrate, hold the lease, make the days ahead, start writing.

        Raises JournalUnsafe, JournalFromFuture; waits for a database that is not there yet,
        and for another engine to let go.
        """
        await self._patiently(self._settle)
        held = self._lease
        assert held is not None
        self._writer = GroupCommit(
            held.name,
            self._dial,
            self._make_days,
            replace(self._told.hooks, fenced=self._lose),
            self._clock,
            self._loop,
        )
        self._tasks = [
            self._loop.create_task(self.writer.run(), name="journal writer"),
            self._loop.create_task(self._beat(), name="journal beat"),
            self._loop.create_task(self._days_ahead(), name="journal days"),
            self._loop.create_task(self._know(), name="journal keys"),
        ]
        await self.writer.opened.wait()
        self.reader.first = self.writer.first

    async def close(self, grace: float) -> bool:
        """Store what waits, give the lease back; False when not all could be stored."""
        stored = self._writer is None or await self._writer.drain(grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
        with suppress(JournalError):
            connection = await connect.connect(self._conninfo(), deadline=2)
            if self._lease is not None:
                await lease.leave(connection, self._lease)
            await connection.close()
        for one in (self.reader, self.memories, self.calls):
            await one.close()
        return stored

    def _lose(self) -> None:
        """The lease is another's: say so once."""
        if not self._fenced:
            self._fenced = True
            self._told.hooks.fenced()

    async def _settle(self) -> None:
        phase: migrate.Phase = "post" if self._alone else "pre"
        done = await migrate.migrate(self._conninfo(), phase=phase)
        if done.after != done.before:
            self._told.migrated(done)
        connection = await connect.connect(self._conninfo())
        try:
            self._lease = await lease.acquire(
                connection, LEASE, self._owner, self._clock, self._told.waiting
            )
            await self._make_ahead(connection)
        finally:
            await connection.close()

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it again while the database is not there; other errors pass."""
        wait, told = _FIRST_RETRY, False
        while True:
            try:
                await work()
            except (JournalUnavailable, JournalUnclear) as error:
                if not told:
                    self._told.hooks.down(error)
                    told = True
                await asyncio.sleep(wait)
                wait = min(wait * 2, _MOST_RETRY)
            else:
                return

    async def _dial(self, gone: Callable[[], None]) -> Opened:
        """A writing connection, as soon as there is one."""
        wait = 0.0
        while True:
            await asyncio.sleep(wait)
            wait = min(max(wait * 2, _FIRST_RETRY), _MOST_RETRY)
            try:
                return await self._dial_once(gone)
            except JournalFenced:
                self._lose()
                await asyncio.Event().wait()
            except JournalError as error:
                self._told.hooks.down(error)

    async def _dial_once(self, gone: Callable[[], None]) -> Opened:
        held = self._lease
        assert held is not None
        connection = await connect.connect(self._conninfo(), application_name="portico writer")
        try:
            for setting in statements.SESSION:
                await connect.run(connection, setting)
            renewed = await lease.renew(connection, held)
            if renewed is None:
                raise JournalFenced("another engine has taken this journal's lease")
            self._lease, flushed = renewed
            for name, statement in (*statements.HOT.items(), (acts.ACT, acts.STATEMENT)):
                await connect.run(connection, f'prepare "{name}" as {statement}')
        except JournalError:
            await connection.close()
            raise
        pipeline = Pipeline(connection, self._loop, FLUSH_DEADLINE, gone)
        return Opened(pipeline, self._lease.epoch, flushed, self._repeats)

    async def _repeats(self, signals: list[SignalId]) -> dict[bytes, tuple[Earlier, ...]]:
        """The repeats of Signals that are stored already."""
        window = self._clock.time_ns() // 1_000_000 - int(self.writer.window * 1000)
        return await self.reader.earlier([UUID(bytes=one) for one in signals], window)

    async def _beat(self) -> None:
        """Say that we live, also when there is nothing to store."""
        link = Link(self._conninfo, deadline=lease.BEAT, name="portico beat")
        try:
            while True:
                await asyncio.sleep(lease.BEAT)
                held = self._lease
                assert held is not None
                with suppress(JournalError):
                    async with link.held() as connection:
                        if not await lease.beat(connection, held) and held is self._lease:
                            self._lose()
                            return
        finally:
            await link.close()

    async def _know(self) -> None:
        """Know what may repeat: from the start on, and anew when a day has passed, since what
        has left the window is forgotten so only."""
        known, settled = self.writer.known, 0.0
        while True:
            known.begin()
            await self.writer.opened.wait()
            await asyncio.sleep(settled)
            try:
                await known.fill(floor_at(max(0, self._window())), self.reader.keys)
            except JournalError:
                await asyncio.sleep(_MOST_RETRY)
            else:
                await asyncio.sleep(_KEYS_EVERY)
            settled = _SETTLED

    async def _days_ahead(self) -> None:
        while True:
            await asyncio.sleep(_DAYS_EVERY)
            with suppress(JournalError):
                connection = await connect.connect(self._conninfo())
                try:
                    await self._make_ahead(connection)
                finally:
                    await connection.close()

    async def _make_days(self, signals: list[SignalId]) -> None:
        """The partitions that these ids need; of a day whose bodies have gone, those again."""
        connection = await connect.connect(self._conninfo())
        try:
            days = sorted({partitions.day_of(one) for one in signals})
            await self._make(connection, days, await _made(connection))
        finally:
            await connection.close()

    async def _make_ahead(self, connection: Connection) -> None:
        """Those of days to come. What retention has taken of yesterday stays away."""
        made = await _made(connection)
        days = partitions.days_from(self._today())
        missing = [day for day in days if partitions.name("attempt", day) not in made]
        await self._make(connection, missing, made)

    async def _make(self, connection: Connection, days: list[date], made: set[str]) -> None:
        for statement in partitions.creating(days, made):
            await connect.run(connection, statement, deadline=30)

    def _today(self) -> date:
        return moment(self._clock.time_ns()).date()


# Those that rows can go into: of this journal, and not on their way out.
_MADE = """
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = any(%s::regclass[]) and not i.inhdetachpending
    """


async def _made(connection: Connection) -> set[str]:
    """The names of all partitions."""
    rows = await connect.run(connection, _MADE, (list(partitions.PARTITIONED),))
    return {row[0] for row in rows}
