"""Purging: what goes row by row, slowly, a small part of the time: the bytes of channels that
keep theirs for less long than a day's partition stays, and what people did long ago."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import date, timedelta
from functools import partial

from portico.check.site import Site
from portico.clock import Clock, moment
from portico.errors import JournalError
from portico.events.emit import Emit
from portico.events.keeping import AuditPurged, BodiesPurged, RetentionFailed
from portico.ids import SignalId
from portico.journal.purging import Purge, PurgedPage
from portico.journal.retention import Due, due
from portico.server import faults
from portico.server.kept import shorter, terms_of

_SHARE = 0.1  # of the time: when the database is slow, the pauses grow with its answers
_LEAST = 0.02  # seconds between two pages
_FOREVER = timedelta(days=40_000)

NextPage = Callable[[SignalId | None], Awaitable[PurgedPage]]


class Purging:
    """lock: held by whoever acts on a message, so that none gives its bytes away while they go.

    site: the one in force.
    """

    def __init__(
        self,
        journal: Purge,
        site: Callable[[], Site],
        clock: Clock,
        emit: Emit,
        lock: asyncio.Lock,
    ) -> None:
        self._journal, self._site, self._clock, self._emit = journal, site, clock, emit
        self._lock = lock
        self._looked: dict[tuple[str, date], date] = {}  # what must stay is seen once a day
        self._soon = asyncio.Event()

    async def close(self) -> None:
        """Close the connections; the last act."""
        await self._journal.close()

    def soon(self) -> None:
        """Look now at what is due."""
        self._soon.set()

    async def plan(self, through: date) -> list[Due]:
        """The bytes of channels that go by that day, while their days stay. Raises
        JournalError."""
        done, found = await self._journal.done(), []
        for channel, day, at in self._due(await self._journal.days(), through):
            names = [*await self._journal.names(channel), _emitted(channel)]
            if any((name, day) not in done for name in names):
                found.append(Due(day, "bodies", at, 0, channel=channel))
        return found

    async def round(self) -> None:
        """Let go what is due today. Raises JournalError."""
        days, today = await self._journal.days(), self._today()
        if days:
            await self._journal.forget(days[0])
        done = await self._journal.done()
        self._looked = {key: seen for key, seen in self._looked.items() if seen == today}
        for channel, day, _ in self._due(days, today):
            names = await self._journal.names(channel)
            for name in (*names, _emitted(channel)):
                if (name, day) not in done and self._looked.get((name, day)) != today:
                    await self._bodies(channel, name, day, names)
                    self._looked[name, day] = today
        await self._audit()

    async def watch(self) -> None:
        """Let go what is due each time that it is told, for ever."""
        while True:
            await self._soon.wait()
            self._soon.clear()
            try:
                await self.round()
            except JournalError as error:
                self._emit(RetentionFailed(faults.code(error)))

    def _due(self, days: list[date], through: date) -> Iterator[tuple[str, date, date]]:
        """(channel, day, from when on) of what goes by then, while the day itself stays."""
        site = self._site()
        longest = terms_of(site).bodies
        for channel, kept in shorter(site).items():
            for day in days:
                if (at := due(day, kept)) <= through and due(day, longest) > self._today():
                    yield channel, day, at

    async def _bodies(self, channel: str, origin: str, day: date, names: list[str]) -> None:
        """origin: one of the channel's names, or what stands for all that was emitted."""
        if origin != _emitted(channel):
            gone, kept = await self._pages(partial(self._journal.bodies, origin, day))
        else:
            gone = kept = 0
            for each in await self._journal.emitted(day):
                page = partial(self._journal.bodies_after, names, each, day)
                counts = await self._pages(page)
                gone, kept = gone + counts[0], kept + counts[1]
        if gone:
            await self._journal.sweep(day)
            self._emit(BodiesPurged(channel, day.isoformat(), gone, kept))
        if not kept:
            await self._journal.finish(origin, day)

    async def _pages(self, next_page: NextPage) -> tuple[int, int]:
        """Of how many Signals the bytes went, and how many had to stay."""
        gone, kept, last = 0, 0, None
        while True:
            began = self._clock.monotonic()
            async with self._lock:
                page = await next_page(last)
            gone, kept, last = gone + page.bodies, kept + page.kept, page.last
            if last is None:
                return gone, kept
            await self._rest(began)

    async def _audit(self) -> None:
        kept = self._site().config.retention.audit
        if kept > _FOREVER.total_seconds():
            return
        before = moment(self._clock.time_ns()) - timedelta(seconds=kept)
        acts, last = 0, -1
        while True:
            began = self._clock.monotonic()
            gone, more = await self._journal.acts(before, last)
            acts += gone
            if more is None:
                break
            last = more
            await self._rest(began)
        jobs = await self._journal.jobs(before)
        if acts or jobs:
            self._emit(AuditPurged(acts, jobs))

    async def _rest(self, began: float) -> None:
        took = self._clock.monotonic() - began
        await asyncio.sleep(max(_LEAST, took * (1 - _SHARE) / _SHARE))

    def _today(self) -> date:
        return moment(self._clock.time_ns()).date()


def _emitted(channel: str) -> str:
    """What stands, in the list of what is done, for all that agents emitted from a channel."""
    return f"{channel}/emitted"
