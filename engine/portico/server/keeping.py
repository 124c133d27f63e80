"""Keeping: days that retention lets go are dropped, a few seconds apart; holds are kept."""

import asyncio
from collections.abc import Callable
from datetime import date, timedelta

from portico.check.site import Site
from portico.clock import Clock, moment
from portico.errors import JournalError
from portico.events.emit import Emit
from portico.events.keeping import DayDropped, DayKept, HoldEnded, HoldSet, RetentionFailed
from portico.ids import SignalId
from portico.journal.retention import Due, Hold, Retention
from portico.server import faults
from portico.server.kept import terms_of
from portico.server.purging import Purging

EVERY = 1800.0  # seconds between two looks
_FIRST = 60.0  # seconds after the start
_APART = 2.0  # seconds between two drops, so that no drop adds to another's load


class Keeping:
    """Drops what is due, and answers for retention. site: the one in force."""

    def __init__(
        self,
        journal: Retention,
        purging: Purging,
        site: Callable[[], Site],
        clock: Clock,
        emit: Emit,
    ) -> None:
        self._journal, self._site, self._clock, self._emit = journal, site, clock, emit
        self._purging = purging
        self._turn = asyncio.Lock()  # one round at a time: a day goes once
        self._going = asyncio.Lock()  # a hold is set before a day goes or after it, not amid
        self._told: set[tuple[date, str, str]] = set()

    async def close(self) -> None:
        """Close the connections; the last act."""
        await self._journal.close()
        await self._purging.close()

    async def plan(self, days: int) -> list[Due]:
        """What goes within so many days, and what must stay. Raises JournalError."""
        through = self._today() + timedelta(days=days)
        whole = await self._journal.due(terms_of(self._site()), through)
        return sorted([*whole, *await self._purging.plan(through)], key=lambda one: one.at)

    async def holds(self) -> list[Hold]:
        """Every legal hold. Raises JournalError."""
        return await self._journal.holds()

    async def hold(
        self, signal: SignalId | None, patient: str, reason: str, by: str
    ) -> int | None:
        """Keep a Signal or a patient's Signals; the hold's number. None where there is no such
        Signal, also once a drop that was cut short is mended. Raises JournalError."""
        since = moment(self._clock.time_ns())
        async with self._going:
            number = await self._journal.hold(signal, patient, reason, since, by)
            try:
                await self._journal.mend()
                if signal is not None and not await self._journal.knows(signal):
                    await self._journal.unhold(number)
                    return None
            except JournalError as error:
                self._emit(RetentionFailed(faults.code(error)))  # the next round begins with it
        self._emit(HoldSet(number, "signal" if signal else "patient", by))
        return number

    async def unhold(self, number: int, by: str) -> bool:
        """End a hold; False when there is none. Raises JournalError."""
        ended = await self._journal.unhold(number)
        if ended:
            self._emit(HoldEnded(number, by))
        return ended

    async def round(self) -> None:
        """Mend what was cut short, drop the days that are due today, and have gone what goes
        row by row. Raises JournalError."""
        self._purging.soon()
        async with self._turn:
            await self._round()

    async def _round(self) -> None:
        await self._journal.mend()
        for due in await self._journal.due(terms_of(self._site()), self._today()):
            if not due.kept and await self._drop(due):
                await asyncio.sleep(_APART)
            elif due.kept and (due.day, due.part, due.kept) not in self._told:
                self._told.add((due.day, due.part, due.kept))
                self._emit(DayKept(due.day.isoformat(), due.part, due.kept))

    async def _drop(self, due: Due) -> bool:
        began = self._clock.monotonic()
        async with self._going:
            if not await self._journal.drop(due):
                return False
        seconds = self._clock.monotonic() - began
        self._emit(DayDropped(due.day.isoformat(), due.part, due.size, seconds))
        return True

    async def watch(self) -> None:
        """Drop what is due, now and then, for ever."""
        await asyncio.sleep(_FIRST)
        while True:
            try:
                await self.round()
            except JournalError as error:
                self._emit(RetentionFailed(faults.code(error)))
            await asyncio.sleep(EVERY)

    def _today(self) -> date:
        return moment(self._clock.time_ns()).date()
