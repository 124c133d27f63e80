"""Keeping: days that retention lets go are dropped, a few seconds apart; holds are kept."""

import asyncio
from collections.abc import Callable
from datetime import date, timedelta

from portico.check.site import Site
from portico.clock import Clock, moment
from portico.errors import JournalError, JournalRefused
from portico.events.emit import Emit
from portico.events.keeping import DayDropped, DayKept, HoldEnded, HoldSet, RetentionFailed
from portico.ids import SignalId
from portico.journal.retention import Due, Hold, Retention, Terms

EVERY = 1800.0  # seconds between two looks
_FIRST = 60.0  # seconds after the start
_APART = 2.0  # seconds between two drops, so that no drop adds to another's load


def terms_of(site: Site) -> Terms:
    """How long days are kept. A day holds every channel's messages and what agents emitted, so
    the longest of the site's and its channels' counts; never shorter than repeats are known.
    """
    own = site.config.retention
    bodies, headers = own.bodies, own.headers
    for channel in site.channels.values():
        said = channel.retention.model_fields_set
        bodies = max(bodies, channel.retention.bodies if "bodies" in said else 0.0)
        headers = max(headers, channel.retention.headers if "headers" in said else 0.0)
        headers = max(headers, channel.duplicates.window)
    return Terms(bodies, max(bodies, headers))


class Keeping:
    """Drops what is due, and answers for retention. site: the one in force."""

    def __init__(
        self, journal: Retention, site: Callable[[], Site], clock: Clock, emit: Emit
    ) -> None:
        self._journal, self._site, self._clock, self._emit = journal, site, clock, emit
        self._told: set[tuple[date, str, str]] = set()

    async def close(self) -> None:
        """Close the connection; the last act."""
        await self._journal.close()

    async def plan(self, days: int) -> list[Due]:
        """What goes within so many days, and what must stay. Raises JournalError."""
        through = self._today() + timedelta(days=days)
        return await self._journal.due(terms_of(self._site()), through)

    async def holds(self) -> list[Hold]:
        """Every legal hold. Raises JournalError."""
        return await self._journal.holds()

    async def hold(self, signal: SignalId | None, patient: str, reason: str, by: str) -> int:
        """Keep a Signal or a patient's Signals; the hold's number. Raises JournalError."""
        since = moment(self._clock.time_ns())
        number = await self._journal.hold(signal, patient, reason, since, by)
        self._emit(HoldSet(number, "signal" if signal else "patient", by))
        try:
            await self._journal.mend()
        except JournalError as error:
            self._emit(RetentionFailed(_code(error)))  # the next round begins with it
        return number

    async def unhold(self, number: int, by: str) -> bool:
        """End a hold; False when there is none. Raises JournalError."""
        ended = await self._journal.unhold(number)
        if ended:
            self._emit(HoldEnded(number, by))
        return ended

    async def round(self) -> None:
        """Mend what was cut short, drop what is due today. Raises JournalError."""
        await self._journal.mend()
        for due in await self.plan(0):
            if not due.kept and await self._drop(due):
                await asyncio.sleep(_APART)
            elif due.kept and (due.day, due.part, due.kept) not in self._told:
                self._told.add((due.day, due.part, due.kept))
                self._emit(DayKept(due.day.isoformat(), due.part, due.kept))

    async def _drop(self, due: Due) -> bool:
        began = self._clock.monotonic()
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
                self._emit(RetentionFailed(_code(error)))
            await asyncio.sleep(EVERY)

    def _today(self) -> date:
        return moment(self._clock.time_ns()).date()


def _code(error: JournalError) -> str:
    return error.sqlstate if isinstance(error, JournalRefused) else error.code
