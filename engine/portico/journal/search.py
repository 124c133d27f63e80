"""The read side: find Signals, show one whole, read the books. It never writes.

Rows come newest first and page by id; a time is a range of ids, so that partitions outside it
are not touched. History is never counted: counts are the books' (`tally`). Statements run in
two threads of their own, ten seconds each: slow ones keep no thread from messages.

SQLAlchemy is loaded by the first search, in its thread: an engine that nobody searches has no
use for its fifteen megabytes.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from portico.errors import JournalUnavailable
from portico.ids import SignalId
from portico.journal.found import (
    ActFound,
    Books,
    Heap,
    JobFound,
    Page,
    ParkedFilter,
    ParkedSummary,
    Query,
    Record,
    Row,
)

T = TypeVar("T")

_THREADS = 2
_PATIENCE = 20.0  # seconds: that of a statement (journal/selects.py), and as long in the queue


class Search:
    """Reads a journal. conninfo: where it is now, libpq's text or URL; it may hold a password:
    never printed.

    Every verb raises JournalUnavailable when the journal cannot be read in time, and
    RequestError when it is asked for characters that no text has.
    """

    def __init__(self, conninfo: Callable[[], str]) -> None:
        self._conninfo = conninfo
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="search")
        self._lock = Lock()
        self._selects: Any = None

    async def signals(self, query: Query, page: Page = Page()) -> list[Row]:  # noqa: B008 - frozen
        """The Signals that fit, newest first, at most `page.limit`."""
        return await self.ask(lambda journal: journal.signals(query, page))

    async def signal(self, wanted: SignalId) -> Record | None:
        """One Signal with its body, sessions, Deliveries, attempts; None when there is none."""
        return await self.ask(lambda journal: journal.signal(wanted))

    async def books(self) -> Books:
        """What the journal counts by channel and by destination, in one snapshot."""
        return await self.ask(lambda journal: journal.books())

    async def parked(self, wanted: ParkedFilter) -> list[ParkedSummary]:
        """What waits for a person and fits, in the journal's order."""
        return await self.ask(lambda journal: journal.parked(wanted))

    async def heaps(self, wanted: ParkedFilter) -> list[Heap]:
        """The same, counted by reason."""
        return await self.ask(lambda journal: journal.heaps(wanted))

    async def acts(self, of: SignalId | None, limit: int) -> list[ActFound]:
        """What people did, newest first; `of` one Signal, or that made it."""
        return await self.ask(lambda journal: journal.acts(of, limit))

    async def jobs(self, limit: int) -> list[JobFound]:
        """The latest replays of many, newest first."""
        return await self.ask(lambda journal: journal.jobs(limit))

    async def sweep(
        self, query: Query, after: SignalId | None, before: SignalId, limit: int
    ) -> list[SignalId]:
        """The ids of those that fit, oldest first, after and before these."""
        return await self.ask(lambda journal: journal.sweep(query, after, before, limit))

    async def count(self, query: Query, before: SignalId, most: int) -> int:
        """How many those are, `most` at most: all of them are going to be read anyway."""
        return await self.ask(lambda journal: journal.count(query, before, most))

    async def reach(self) -> None:
        """Return when the database answers; whether it holds a journal is not asked."""
        await self.ask(lambda journal: journal.reach())

    async def ask(self, read: Callable[[Any], T]) -> T:
        """What is read in a thread. read: of journal.selects.Selects."""
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._read, read)
        try:
            return await asyncio.wait_for(work, _PATIENCE)
        except TimeoutError:
            raise JournalUnavailable("too many searches at once; try again") from None

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._selects is not None:
            self._selects.close()

    def _read(self, read: Callable[[Any], T]) -> T:
        from portico.journal.selects import Selects

        with self._lock:
            if self._selects is None:
                self._selects = Selects(self._conninfo)
        return read(self._selects)
