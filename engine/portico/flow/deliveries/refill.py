"""Refill: what was left in the journal comes back into a destination's lanes, page by page."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from portico.errors import JournalError
from portico.events.delivering import QueueUnreadable
from portico.events.emit import Emit
from portico.flow.deliveries.lanes import PAGE, Lane, Lanes
from portico.journal.statements import PAGE_BYTES
from portico.model.delivery import Delivery

Later = Callable[[float, Callable[[], None]], asyncio.TimerHandle]

_LANE_PAGE = 64
_READ_AGAIN = 1.0


class Queue(Protocol):
    """The journal's side of a destination's queue. Raises JournalError."""

    def queued(self, destination: str, after: int, limit: int) -> Awaitable[list[Delivery]]:
        """Deliveries after this place, in order, with their bytes; fewer than `limit` when
        PAGE_BYTES are reached, or nothing more is there."""
        ...

    def queued_in_lane(
        self, destination: str, lane: str, first: int, last: int, limit: int
    ) -> Awaitable[list[Delivery]]:
        """The same for one lane, barriers across it too, both places included."""
        ...


class Refill:
    """Reads for one destination. pump: called when lanes may have become ready."""

    def __init__(
        self,
        name: str,
        lanes: Lanes,
        queue: Queue,
        later: Later,
        emit: Emit,
        pump: Callable[[], None],
    ) -> None:
        self._name, self._lanes, self._queue = name, lanes, queue
        self._later, self._emit, self._pump = later, emit, pump
        self._reading: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[None]] = set()
        self._stopped = True

    def start(self) -> None:
        """Read on, and each lane that a stop left without its tail."""
        self._stopped = False
        self.on()
        for lane in self._lanes.starving():
            self.lane(lane)

    def stop(self) -> None:
        """Read no more until `start`."""
        self._stopped = True
        for task in (self._reading, *self._chores):
            if task is not None:
                task.cancel()

    def on(self) -> None:
        """Read the queue's next pages, if there is room for one."""
        if self._reading is None and self._lanes.room() and not self._stopped:
            self._reading = asyncio.ensure_future(self._read())

    def lane(self, lane: Lane) -> None:
        """Fetch more of a lane that ran dry, if the journal has more of it."""
        if self._lanes.hungry(lane) and not self._stopped:
            lane.reading = True
            self._chore(self._read_lane(lane))

    async def _read(self) -> None:
        lanes = self._lanes
        try:
            while lanes.room():
                lanes.missed = False
                with self._reads():
                    page = await self._queue.queued(self._name, lanes.cursor, PAGE)
                    for delivery in page:
                        lanes.admit(delivery)
                lanes.behind = _full(page, PAGE) or lanes.missed
                self._pump()
        except JournalError:
            self._emit(QueueUnreadable(self._name))
            self._later(_READ_AGAIN, self.on)
        finally:
            self._reading = None

    async def _read_lane(self, lane: Lane) -> None:
        assert lane.shut is not None
        lane.missed, last = False, self._lanes.cursor
        with self._reads():
            try:
                page = await self._queue.queued_in_lane(
                    self._name, lane.key, lane.shut, last, _LANE_PAGE
                )
            except JournalError:
                lane.missed = True
                self._later(_READ_AGAIN, partial(self.lane, lane))
                return
            finally:
                lane.reading = False
            full = _full(page, _LANE_PAGE)
            lane.shut = page[-1].seq + 1 if full else (last + 1 if lane.missed else None)
            self._lanes.extend(lane, page)
        self.lane(lane)
        self._pump()

    @contextmanager
    def _reads(self) -> Iterator[None]:
        """One more read of the journal is under way until its page is in the lanes."""
        self._lanes.reading(1)
        try:
            yield
        finally:
            self._lanes.reading(-1)

    def _chore(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


def _full(page: list[Delivery], most: int) -> bool:
    """The journal may have more: it is as long, or as heavy, as one page may be."""
    return len(page) == most or sum(len(one.content) for one in page) >= PAGE_BYTES
