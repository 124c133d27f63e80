"""Delivering: the queue of one destination, lane by lane.

A lane (destination and order key) has one Delivery in flight; the next leaves when the mark
of the last is committed (promise P3), so a crash repeats at most one message a lane. A lane
whose answer was bad backs off alone; a destination that cannot be reached backs off as a
whole, with one probe.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from portico import ids
from portico.clock import Clock
from portico.destinations.contract import Destination
from portico.errors import JournalError
from portico.events.delivering import (
    DeliveryDeferred,
    DeliveryParked,
    DestinationDown,
    DestinationUp,
    QueueUnreadable,
)
from portico.events.emit import Emit
from portico.events.metrics import Metrics
from portico.flow.lanes import PAGE, Lane, Lanes
from portico.journal.contract import Mark, ParkedRow, Writer
from portico.model.delivery import Answered, Attempt, Delivery
from portico.policy import retry

Later = Callable[[float, Callable[[], None]], asyncio.TimerHandle]

_LANE_PAGE = 64
_READ_AGAIN = 1.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What a destination's document says about failure. Times in seconds."""

    first: float = 1.0
    most: float = 60.0
    lasting: float = float("inf")
    answers: dict[str, retry.Rule] | None = None
    stop_on_reject: bool = False


class Queue(Protocol):
    """The journal's side of a destination's queue. Raises JournalError."""

    def queued(self, destination: str, after: int, limit: int) -> Awaitable[list[Delivery]]:
        """Deliveries after this place, in order, with their bytes."""
        ...

    def queued_in_lane(
        self, destination: str, lane: str, first: int, last: int, limit: int
    ) -> Awaitable[list[Delivery]]:
        """The same for one lane, both places included."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What an outbox needs of the engine. later: the loop's timer. chance: 0 to 1.

    settled: called when a Delivery has left the queue, with `delivered` or `parked`.
    """

    writer: Writer
    queue: Queue
    clock: Clock
    later: Later
    chance: Callable[[], float]
    emit: Emit
    metrics: Metrics
    settled: Callable[[Delivery, str, Attempt], None]


class Outbox:
    """The queue of one destination. held: lanes that wait for a person."""

    def __init__(
        self,
        name: str,
        adapter: Destination,
        terms: Terms,
        world: World,
        held: frozenset[str] = frozenset(),
    ) -> None:
        self.name, self.adapter, self.terms = name, adapter, terms
        self._world = world
        self._lanes = Lanes(held)
        self._flying = 0
        self._failures = 0
        self._knock: asyncio.TimerHandle | None = None
        self._marking = 0
        self._reading: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[None]] = set()
        self._paused = True
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def flying(self) -> int:
        """Deliveries out now."""
        return self._flying

    @property
    def down(self) -> bool:
        """The peer cannot be reached at the moment."""
        return self._failures > 0

    @property
    def oldest(self) -> int:
        """When the oldest Signal in the queue came, nanoseconds since 1970 UTC; 0 for none."""
        return self._lanes.oldest()

    def start(self) -> None:
        """Read the journal's queue and send."""
        self._paused = False
        self._read_on()
        self._pump()

    async def pause(self, grace: float) -> None:
        """Send nothing more; returns when nothing is out and every mark is committed, or
        after `grace` seconds."""
        self._paused = True
        for task in (self._reading, *self._chores):
            if task is not None:
                task.cancel()
        if self._knock is not None:
            self._knock.cancel()
            self._knock = None
        try:
            await asyncio.wait_for(self._quiet.wait(), grace)
        except TimeoutError:
            return

    async def stop(self, grace: float) -> None:
        """Close the destination for good; what is queued stays in the journal.

        What is out may end within `grace` seconds and is unclear then. Returns once every
        mark is committed, however long the journal takes: who reads the queue after this
        finds nothing that was delivered.
        """
        await self.pause(grace)
        await self.adapter.stop(grace)
        await self._quiet.wait()

    def enqueue(self, delivery: Delivery) -> None:
        """A Delivery that has just been journaled. Must come in the journal's order."""
        self._lanes.offer(delivery)
        self._pump()
        if self._lanes.behind:
            self._read_on()

    def _pump(self) -> None:
        while self._knock is None and not self._paused:
            if self._flying >= (1 if self._failures else self.adapter.width):
                return
            lane = self._lanes.next()
            if lane is None:
                return
            self._flying += 1
            self._quiet.clear()
            self.adapter.deliver(lane.items[0], partial(self._answered, lane))

    def _answered(self, lane: Lane, attempt: Attempt) -> None:
        self._flying -= 1
        if attempt.answered is Answered.NO_CONNECTION:
            self._unreachable(attempt)
        elif self._failures:
            self._failures = 0
            self._world.emit(DestinationUp(self.name))
        delivery = lane.items[0]
        verdict = self._judge(lane, attempt, delivery.tries + 1)
        self._world.metrics.delivered(self.name, verdict, attempt.micros)
        self._mark(lane, delivery, verdict, attempt)
        self._pump()

    def _judge(self, lane: Lane, attempt: Attempt, tries: int) -> str:
        verdict = retry.judge(self.terms.answers or retry.HL7_ANSWERS, attempt, tries)
        if verdict == retry.RETRY:
            now = self._world.clock.monotonic()
            lane.since = now if lane.since is None else lane.since
            if now - lane.since > self.terms.lasting:
                return retry.REJECTED
        return verdict

    def _unreachable(self, attempt: Attempt) -> None:
        """The whole destination rests; afterwards one Delivery probes it."""
        if not self._failures:
            self._world.emit(DestinationDown(self.name, attempt.code))
        if self._knock is None:
            self._failures += 1
            self._knock = self._world.later(self._delay(self._failures), self._knocked)

    def _knocked(self) -> None:
        self._knock = None
        self._pump()

    def _delay(self, failures: int) -> float:
        return retry.delay(self.terms.first, self.terms.most, failures, self._world.chance())

    def _mark(self, lane: Lane, delivery: Delivery, verdict: str, attempt: Attempt) -> None:
        tries = delivery.tries + 1
        parked, stored = None, partial(self._settled, lane, verdict, attempt)
        if verdict == retry.RETRY:
            lane.items[0] = replace(delivery, tries=tries)
            stored = partial(self._deferred, lane, attempt)
        elif verdict == retry.REJECTED:
            verdict = "parked"
            stored = partial(self._settled, lane, verdict, attempt)
            parked = self._parked(delivery, tries, attempt)
        mark = Mark(
            delivery.signal,
            delivery.number,
            self.name,
            delivery.seq,
            verdict,
            tries,
            self._world.clock.time_ns(),
            attempt,
            stored,
            parked,
        )
        self._marking += 1
        self._world.writer.mark(mark, urgent=len(lane.items) > 1)

    def _parked(self, delivery: Delivery, tries: int, attempt: Attempt) -> ParkedRow:
        code, text = attempt.code, ids.delivery_text(delivery.signal, delivery.number)
        self._world.emit(DeliveryParked(self.name, code, text))
        return ParkedRow(
            delivery.signal,
            "delivery",
            delivery.number,
            delivery.seq,
            self.name,
            self._world.clock.time_ns(),
            lane=delivery.lane,
            hold=self.terms.stop_on_reject,
            code=code,
            reason=attempt.detail,
            tries=tries,
        )

    def _settled(self, lane: Lane, outcome: str, attempt: Attempt) -> None:
        """The mark is committed: the Delivery has left the queue and its lane goes on."""
        self._marked()
        delivery = lane.items[0]
        if outcome == "parked" and self.terms.stop_on_reject:
            lane.blocked = True
        self._lanes.drop_head(lane)
        if self._lanes.hungry(lane):
            self._chore(self._read_lane(lane))
        self._world.settled(delivery, outcome, attempt)
        self._pump()
        if self._lanes.room():
            self._read_on()

    def _deferred(self, lane: Lane, attempt: Attempt) -> None:
        """The failed attempt is committed: try again later."""
        self._marked()
        if attempt.answered is Answered.NO_CONNECTION:
            self._lanes.again(lane)
            self._pump()
            return
        head = lane.items[0]
        text = ids.delivery_text(head.signal, head.number)
        self._world.emit(DeliveryDeferred(self.name, attempt.code, text, head.tries))
        self._lanes.block(lane)
        lane.timer = self._world.later(self._delay(head.tries), partial(self._unblock, lane))

    def _marked(self) -> None:
        self._marking -= 1
        if not self._marking and not self._flying:
            self._quiet.set()

    def _unblock(self, lane: Lane) -> None:
        self._lanes.unblock(lane)
        if self._lanes.hungry(lane):
            self._chore(self._read_lane(lane))
        self._pump()

    def _read_on(self) -> None:
        if self._reading is None and self._lanes.room() and not self._paused:
            self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        """Read pages of the journal's queue while there is room."""
        lanes = self._lanes
        try:
            while lanes.room():
                lanes.missed = False
                page = await self._world.queue.queued(self.name, lanes.cursor, PAGE)
                for delivery in page:
                    lanes.admit(delivery)
                lanes.behind = len(page) == PAGE or lanes.missed
                self._pump()
        except JournalError:
            self._world.emit(QueueUnreadable(self.name))
            self._world.later(_READ_AGAIN, self._read_on)
        finally:
            self._reading = None

    async def _read_lane(self, lane: Lane) -> None:
        """Fetch more of a lane whose Deliveries were left in the journal."""
        assert lane.shut is not None
        lane.missed, last = False, self._lanes.cursor
        try:
            page = await self._world.queue.queued_in_lane(
                self.name, lane.key, lane.shut, last, _LANE_PAGE
            )
        except JournalError:
            again = partial(self._unblock, lane)
            lane.blocked, lane.timer = True, self._world.later(_READ_AGAIN, again)
            return
        full = len(page) == _LANE_PAGE
        lane.shut = page[-1].seq + 1 if full else (last + 1 if lane.missed else None)
        for delivery in page:
            self._lanes.append(lane, delivery)
        if self._lanes.hungry(lane):
            self._chore(self._read_lane(lane))
        self._pump()

    def _chore(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
