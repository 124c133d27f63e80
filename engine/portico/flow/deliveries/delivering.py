"""Delivering: the queue of one destination, lane by lane.

A lane (destination and order key) has one Delivery in flight; the next leaves when the mark
of the last is committed (promise P3), so a crash repeats at most one message a lane. A lane
whose answer was bad backs off alone; a destination that cannot be reached backs off as a
whole, with one probe.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from portico import ids
from portico.clock import Clock
from portico.destinations.contract import Creditor, Destination
from portico.events.delivering import (
    DeliveryDeferred,
    DeliveryParked,
    DestinationDown,
    DestinationUp,
)
from portico.events.emit import Emit
from portico.events.metrics import Metrics
from portico.flow.deliveries.lanes import Lane, Lanes
from portico.flow.deliveries.refill import Later, Queue, Refill
from portico.journal.contract import Mark, ParkedRow, Writer
from portico.model import lane as names
from portico.model.delivery import Answered, Attempt, Delivery
from portico.policy import retry


@dataclass(frozen=True, slots=True)
class Terms:
    """What a destination's document says about failure. Times in seconds."""

    first: float = 1.0
    most: float = 60.0
    lasting: float = float("inf")
    answers: dict[str, retry.Rule] | None = None
    stop_on_reject: bool = False


@dataclass(frozen=True, slots=True)
class DeliveringWorld:
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
    """The queue of one destination. held: lanes that wait for a person. trouble: why the last
    try is to be made again, for people; empty once one is delivered.
    """

    def __init__(
        self,
        name: str,
        adapter: Destination,
        terms: Terms,
        world: DeliveringWorld,
        held: frozenset[str] = frozenset(),
    ) -> None:
        self.name, self.adapter, self.terms = name, adapter, terms
        self.trouble = ""
        self._world = world
        self._lanes = Lanes(held)
        self._refill = Refill(
            name, self._lanes, world.queue, world.later, world.emit, self._pump
        )
        self._flying = 0  # out now, and not aside
        self._aside = 0
        self._failures = 0
        self._knock: asyncio.TimerHandle | None = None
        self._marking = 0
        self._pumping = False
        self._paused = True
        self._quiet = asyncio.Event()
        self._quiet.set()
        if isinstance(adapter, Creditor):
            adapter.aside = self._stand_aside

    @property
    def flying(self) -> int:
        """Deliveries out now."""
        return self._flying + self._aside

    @property
    def down(self) -> bool:
        """The peer cannot be reached at the moment."""
        return self._failures > 0

    @property
    def oldest(self) -> int:
        """Since when the oldest in the queue waits, nanoseconds since 1970 UTC; 0 for none."""
        return self._lanes.oldest()

    @property
    def paused(self) -> bool:
        """Nothing is sent."""
        return self._paused

    def wait(self) -> None:
        """Read the journal's queue, so that its age is known, and send nothing."""
        self._refill.start()

    def start(self) -> None:
        """Read the journal's queue and send."""
        self._paused = False
        self._refill.start()
        self._pump()

    @property
    def through(self) -> int | None:
        """The last place that may leave; None: all may."""
        return self._lanes.through

    def let(self, through: int | None) -> None:
        """Send what stands in the queue up to this place and nothing after it; None: all."""
        self._lanes.let(through)
        self._pump()

    async def pause(self, grace: float) -> None:
        """Send nothing more; returns when nothing is out and every mark is committed, or
        after `grace` seconds."""
        self._paused = True
        self._refill.stop()
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
            self._refill.on()

    @property
    def crowded(self) -> bool:
        """Whoever releases more is to wait until some of what was released has left."""
        return self._lanes.crowded

    def expect(self, delivery: Delivery) -> None:
        """A person is about to release this one: `put_back` brings it, nothing else does."""
        self._lanes.expect(delivery.seq)

    def forgo(self, place: int) -> None:
        """What stood there does not come back after all."""
        self._lanes.forgo(place)

    def put_back(self, delivery: Delivery) -> None:
        """A Delivery whose release is committed goes to its old place in its lane."""
        self._lanes.returned[delivery.seq] = self._world.clock.time_ns()
        self._lanes.put_back(delivery)
        for key in names.keys(delivery.lane):
            if lane := self._lanes.find(key):
                self._refill.lane(lane)
        self._pump()

    def free(self, lane: str) -> None:
        """A lane that a person was to look at goes on."""
        for one in self._lanes.held(lane):
            self._unblock(one)

    def _pump(self) -> None:
        """Send what may leave. An adapter may answer at once: the loop that is under way then
        takes the next one, since a stack has an end before the queue has."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while (lane := self._due()) is not None:
                self._flying += 1
                self._quiet.clear()
                self.adapter.deliver(lane.items[0], partial(self._answered, lane))
        finally:
            self._pumping = False

    def _due(self) -> Lane | None:
        """The lane whose head is to leave now."""
        if self._knock is not None or self._paused:
            return None
        if self._flying >= (1 if self._failures else self.adapter.width):
            return None
        return self._lanes.next()

    def _stand_aside(self, change: int) -> None:
        """A Delivery waits for its answer alone, in nobody's way; or does no more."""
        self._aside += change
        self._flying -= change
        if change > 0:
            self._pump()

    def _answered(self, lane: Lane, attempt: Attempt) -> None:
        self._flying -= 1
        if attempt.answered is Answered.NO_CONNECTION:
            self._unreachable(attempt)
        elif self._failures and attempt.code != "unsendable":  # which the peer never saw
            self._failures = 0
            self._world.emit(DestinationUp(self.name))
        delivery = lane.items[0]
        verdict = self._judge(lane, attempt, delivery)
        if verdict == retry.RETRY:
            self.trouble = attempt.detail or attempt.code
        elif verdict == retry.DELIVERED:
            self.trouble = ""
        self._world.metrics.delivered(self.name, verdict, attempt.micros)
        self._mark(lane, delivery, verdict, attempt)
        self._pump()

    def _judge(self, lane: Lane, attempt: Attempt, delivery: Delivery) -> str:
        """Tries from before a person released it do not count; after a restart its first
        failure is known from the journal."""
        tries = delivery.tries - delivery.spent + 1
        verdict = retry.judge(self.terms.answers or retry.HL7_ANSWERS, attempt, tries)
        if verdict == retry.RETRY:
            clock = self._world.clock
            if lane.since is None:
                ago = (clock.time_ns() - delivery.since) / 1e9 if delivery.since else 0.0
                lane.since = clock.monotonic() - max(0.0, ago)
            if clock.monotonic() - lane.since > self.terms.lasting:
                return retry.REJECTED
        return verdict

    def _unreachable(self, attempt: Attempt) -> None:
        """The whole destination rests; afterwards one Delivery probes it."""
        if not self._failures:
            self._world.emit(DestinationDown(self.name, attempt.code, attempt.detail))
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
            since = delivery.since or self._world.clock.time_ns()
            self._lanes.amend(lane, replace(delivery, tries=tries, since=since))
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
        across = self._lanes.abreast(lane)
        if outcome == "parked" and self.terms.stop_on_reject:
            self._lanes.hold(lane)
        else:
            self._lanes.drop_head(lane)
        for one in across:
            self._refill.lane(one)
        self._world.settled(delivery, outcome, attempt)
        self._pump()
        if self._lanes.room():
            self._refill.on()

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
        wait = max(self._delay(head.tries - head.spent), attempt.after)
        lane.timer = self._world.later(wait, partial(self._unblock, lane))

    def _marked(self) -> None:
        self._marking -= 1
        if not self._marking and not self.flying:
            self._quiet.set()

    def _unblock(self, lane: Lane) -> None:
        self._lanes.unblock(lane)
        self._refill.lane(lane)
        self._pump()
