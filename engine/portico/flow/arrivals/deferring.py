"""Deferred answers: the application's ACK as a message of its own, on another connection (A12).

The accept answer leaves on the sender's connection once the message is journaled. The other is
a Delivery to the destination that `acknowledge.deferred` names, journaled with the end of the
Signal: with its last session, or, where the channel waits for its destinations, when they have
settled. Until then the Signal waits in the journal, so that a crash finds it there and the
answer is owed again. Source: HL7 v2.5.1 chapter 2.9.3.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from portico import ids
from portico.clock import Clock
from portico.errors import JournalError
from portico.events.metrics import Metrics
from portico.flow import rows
from portico.flow.runs import Ending, Run
from portico.hl7.header import Header
from portico.ids import SignalId
from portico.journal.contract import Conclusion, Owed, SessionRow, Writer
from portico.model.delivery import Delivery
from portico.model.receipt import Receipt
from portico.model.signal import Signal
from portico.model.states import SignalState
from portico.model.verdict import Output, Refusal
from portico.policy import answer
from portico.policy.answer import Answering

ANSWERED = "answer"  # the verdict of the session in which a channel answers
_LOOK_AGAIN = 1.0  # seconds between looks at Deliveries that an earlier engine left


@dataclass(frozen=True, slots=True)
class DeferringWorld:
    """What deferred answers need of the engine.

    queue: takes a committed Delivery. owing: of each Signal, whether a Delivery is queued and
    whether one is parked; raises JournalError. forget: nobody waits for this Signal any more.
    """

    writer: Writer
    clock: Clock
    later: Callable[[float, Callable[[], None]], asyncio.TimerHandle]
    metrics: Metrics
    queue: Callable[[Delivery], None]
    lane: rows.Lane
    owing: Callable[[list[SignalId]], Awaitable[dict[SignalId, tuple[bool, bool]]]]
    forget: Callable[[SignalId], None]


@dataclass(frozen=True, slots=True)
class Terms:
    """How one message is to be answered. timeout: seconds; text: of a positive answer."""

    rules: Answering
    header: Header
    timeout: float
    text: str = ""


class Deferral:
    """The application answer that is owed for one message (Run waiter)."""

    __slots__ = ("_desk", "_left", "_terms", "_timer", "answered", "lasting", "run", "signal")

    def __init__(self, desk: "Deferring", signal: Signal, terms: Terms) -> None:
        self._desk, self._terms = desk, terms
        self.signal = signal
        self.run: Run | None = None
        self.answered = False
        self.lasting = False  # all agents have concluded, Deliveries have not settled
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def open(self) -> bool:
        """The sender can still be told."""
        return not self.answered

    def begun(self, run: Run) -> None:
        """It runs; from now on there is a limit to the sender's wait."""
        self.run = run
        if self._timer is None and not self.answered:
            self._timer = self._desk.world.later(self._terms.timeout, self._overdue)

    def resume(self, run: Run) -> None:
        """An earlier engine concluded it and left Deliveries: answer when they settle."""
        self.lasting = True
        self.begun(run)
        self._desk.watch(self)

    def closing(self, run: Run, owed: int) -> tuple[tuple[Output, ...], bool]:
        """What the last session owes the sender, in its own commit; and whether it ends the
        Signal, which it does not while Deliveries are waited for."""
        if self.answered:
            return (), True
        if self.waits(run, owed):
            self.lasting = True
            return (), False
        return self._outputs(self.receipt(run.state(), run.refusal)), True

    def waits(self, run: Run, owed: int = 0) -> bool:
        """Whether the answer is about Deliveries that may not have settled."""
        asked = self._terms.rules.when == "delivered" and run.deliveries + owed > 0
        return asked and run.state() is SignalState.DONE

    def ended(self, ending: Ending) -> None:
        """The last session is committed."""
        if self.answered:
            return
        if not self.lasting:  # it ended without a last session: its agents have left the site
            self._conclude(self.receipt(ending.state, ending.refusal), None)
        elif self.run is not None and self.run.recalled:
            self._desk.watch(self)
        else:
            self._count(ending.deliveries)

    def settled(self, outcome: str, destination: str = "", content: bytes = b"") -> None:
        """One of its Deliveries has left its queue."""
        if self.answered:
            return
        if outcome == "delivered":
            self._count(-1)
        else:
            self.over(parked=True)

    def over(self, *, parked: bool) -> None:
        """Its Deliveries have settled, or one was parked: tell the sender."""
        if not self.answered:
            receipt = self._failed("a destination did not take it") if parked else self._taken()
            self._conclude(receipt, self._state())

    def finish(self, conclusion: Conclusion, receipt: Receipt, made: int = 0) -> None:
        """The channel itself ends the Signal: tell the sender in the same commit. made: the
        Deliveries that it has had."""
        run = Run(self.signal, conclusion.waiting, set(), {}, deliveries=made)
        outputs = self._outputs(receipt)
        owed = self._owed(run, outputs)
        stored = partial(self._stored, owed, outputs)
        self._desk.world.writer.conclude(replace(conclusion, owed=owed, stored=stored))

    def _count(self, change: int) -> None:
        self._left += change
        if not self._left and self.lasting:
            self.over(parked=False)

    def _overdue(self) -> None:
        self._timer = None
        if self.run is None:  # it waits in the journal for its turn
            self._timer = self._desk.world.later(_LOOK_AGAIN, self._overdue)
            return
        text = "no verdict in time; the message is kept and work goes on"
        self._conclude(self._failed(text), self._state())

    def _state(self) -> SignalState | None:
        assert self.run is not None
        return self.run.state() if self.lasting else None

    def receipt(self, state: SignalState, refusal: Refusal | None = None) -> Receipt:
        """The answer to a Signal that ended so."""
        terms = self._terms
        if state is SignalState.REFUSED:
            worst = refusal or Refusal(text="refused")
            return answer.refused(terms.rules, terms.header, self.signal.id, worst, late=True)
        return self._failed(answer.KEPT) if state is SignalState.PARKED else self._taken()

    def _taken(self) -> Receipt:
        terms = self._terms
        return answer.accepted(terms.rules, terms.header, self.signal.id, terms.text, late=True)

    def _failed(self, text: str) -> Receipt:
        terms = self._terms
        return answer.failed(terms.rules, terms.header, self.signal.id, text, late=True)

    def _outputs(self, receipt: Receipt) -> tuple[Output, ...]:
        """It is answered: what is owed for that, nothing where the sender asked for silence."""
        self.answered = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        desk, signal = self._desk, self.signal
        desk.gone(self)
        desk.world.metrics.acknowledged(signal.origin, receipt.code or "silent")
        named = ids.short(signal.id)
        to = self._terms.rules.deferred
        return tuple(Output(to, reply, control_id=named) for reply in receipt.replies)

    def _owed(self, run: Run, outputs: tuple[Output, ...]) -> tuple[Owed, ...]:
        return rows.owed(run, outputs, self._desk.world.lane, _no_name)

    def _conclude(self, receipt: Receipt, state: SignalState | None) -> None:
        """Answer in a session of the channel's own."""
        run, world = self.run, self._desk.world
        assert run is not None
        run.sessions += 1
        outputs = self._outputs(receipt)
        owed = self._owed(run, outputs)
        row = SessionRow(run.sessions, "", "", ANSWERED, world.clock.time_ns())
        stored = partial(self._stored, owed, outputs)
        world.writer.conclude(
            Conclusion(
                self.signal.id, self.signal.origin, run.seq, row, stored, owed, state=state
            )
        )

    def _stored(self, owed: tuple[Owed, ...], outputs: tuple[Output, ...], seq: int) -> None:
        for delivery in rows.deliveries(self.signal, owed, outputs, seq):
            self._desk.world.queue(delivery)


class Deferring:
    """The deferred answers of one engine."""

    def __init__(self, world: DeferringWorld) -> None:
        self.world = world
        self._watched: dict[SignalId, Deferral] = {}
        self._looking: asyncio.Task[None] | None = None

    def owe(self, signal: Signal, terms: Terms) -> Deferral:
        """The answer to a message that is journaled."""
        return Deferral(self, signal, terms)

    def watch(self, deferral: Deferral) -> None:
        """Look in the journal until its Deliveries have settled: some may have before this
        engine began."""
        self._watched[deferral.signal.id] = deferral
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look())

    def gone(self, deferral: Deferral) -> None:
        """It is answered."""
        self._watched.pop(deferral.signal.id, None)
        self.world.forget(deferral.signal.id)

    def stop(self) -> None:
        """Look no more; what is owed stays in the journal."""
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> None:
        try:
            while self._watched:
                for signal, (queued, parked) in (await self._found()).items():
                    deferral = self._watched.get(signal)
                    if deferral is not None and (parked or not queued):
                        deferral.over(parked=parked)
                if self._watched:
                    await asyncio.sleep(_LOOK_AGAIN)
        finally:
            self._looking = None

    async def _found(self) -> dict[SignalId, tuple[bool, bool]]:
        try:
            return await self.world.owing(list(self._watched))
        except JournalError:
            return {}


def _no_name(run: Run, output: Output, number: int) -> str:
    return ""
