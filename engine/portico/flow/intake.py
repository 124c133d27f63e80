"""Intake: bytes in, journal, Receipt out. The one place where an answer is timed.

Promise P1: a positive Receipt leaves only from `stored`, after the commit. Promise P7: when
the journal cannot store there is no answer; the connection is closed, because some senders
drop a message on AE, and the peer's repeat is recognised.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from msgspec.structs import replace

from portico.clock import Clock
from portico.errors import JournalError, MessageError
from portico.events.emit import Emit
from portico.events.metrics import Metrics
from portico.flow.runs import Ending, Run
from portico.ids import IdMaker, SignalId
from portico.journal.contract import Conclusion, Earlier, ParkedRow, SessionRow, Writer
from portico.language.context import Context
from portico.listeners.contract import Arrival
from portico.model.receipt import Receipt
from portico.model.signal import Signal
from portico.model.states import SignalState
from portico.model.verdict import Refusal
from portico.policy import answer, routing
from portico.policy.answer import Answering
from portico.policy.routing import Routed, Rules

_LOOK_AGAIN = 0.5  # seconds between looks at the earlier of two repeats while it is running


@dataclass(frozen=True, slots=True)
class Policy:
    """A channel's settings as intake uses them; replaced as a whole at a reload.

    timeout: seconds until a sender that waits for a verdict is told that we failed. repeats:
    seconds that a message counts as earlier; same: `answer process`; changed: `process refuse
    park`. unmatched: `drop park refuse`.
    """

    rules: Rules
    answering: Answering
    timeout: float = 30.0
    repeats: float = 7 * 86_400.0
    same: str = "answer"
    changed: str = "process"
    unmatched: str = "drop"


class Dispatch(Protocol):
    """Where committed Signals go."""

    def matching(self, context: Context) -> tuple[str, ...]:
        """The agents that answer this Signal."""
        ...

    def offer(self, run: Run) -> None:
        """Run it, or leave it in the journal when memory is full; it comes back then."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What intake needs of the engine. state_of: what became of an earlier Signal."""

    writer: Writer
    dispatch: Dispatch
    ids: IdMaker
    clock: Clock
    later: Callable[[float, Callable[[], None]], asyncio.TimerHandle]
    emit: Emit
    metrics: Metrics
    state_of: Callable[[SignalId], Awaitable[SignalState]]


class Intake:
    """One channel's intake. `receive` is what its listener calls.

    owed: answers not given yet; pressed: called when that grows or shrinks.
    """

    def __init__(
        self, policy: Policy, world: World, pressed: Callable[["Intake"], None]
    ) -> None:
        self.policy = policy
        self.world = world
        self.pressed = pressed
        self.name = policy.rules.origin
        self.owed = 0
        self.looking: set[asyncio.Task[None]] = set()

    def receive(self, arrival: Arrival) -> None:
        """Take one message; its answer follows."""
        content = arrival.content
        if not content.strip():
            arrival.answer(answer.NOTHING)
            return
        policy = self.policy
        routed = routing.route(policy.rules, content, arrival.peer, arrival.connection)
        envelope = routing.envelope(
            routed, self.name, arrival.received, arrival.peer, len(content)
        )
        agents: tuple[str, ...] = ()
        if routed.fault is None:
            try:
                agents = self.world.dispatch.matching(Context(routed.view, envelope))
            except MessageError as fault:
                routed = replace(routed, fault=fault)
        signal = Signal(
            self.world.ids.next(),
            self.name,
            arrival.received,
            content,
            sha256(content).digest(),
            arrival.peer,
            routed.type,
            routed.control_id,
            routed.sender,
            routed.patient,
            routed.order_key,
            routed.repeat_key,
            routed.flags,
            None,
            self._ended(routed, agents),
        )
        self.owed += 1
        self.pressed(self)
        self.world.writer.accept(Entry(self, policy, arrival, signal, routed, agents, envelope))

    def _ended(self, routed: Routed, agents: tuple[str, ...]) -> str:
        if routed.fault is not None:
            return f"refused:{routed.fault.code}"
        if agents:
            return ""
        return {"drop": "unmatched", "refuse": "refused:unmatched"}.get(
            self.policy.unmatched, ""
        )


class Entry:
    """One message between its arrival and its answer (journal Pending, Run waiter)."""

    __slots__ = (
        "agents",
        "arrival",
        "envelope",
        "intake",
        "left",
        "policy",
        "routed",
        "signal",
        "timer",
    )

    def __init__(
        self,
        intake: Intake,
        policy: Policy,
        arrival: Arrival,
        signal: Signal,
        routed: Routed,
        agents: tuple[str, ...],
        envelope: dict[str, Any],
    ) -> None:
        self.intake, self.policy = intake, policy
        self.arrival: Arrival | None = arrival
        self.signal, self.routed, self.agents, self.envelope = signal, routed, agents, envelope
        self.left = 0
        self.timer: asyncio.TimerHandle | None = None

    @property
    def open(self) -> bool:
        """The sender has not been told yet."""
        return self.arrival is not None

    def stored(self, seq: int, earlier: tuple[Earlier, ...]) -> None:
        """The commit is durable: answer, and go on."""
        signal, policy = self.signal, self.policy
        self.intake.world.metrics.received(self.intake.name)
        if signal.ended:
            self._tell(self._at_once())
            return
        if earlier and policy.repeats and self._repeats(seq, earlier):
            return
        waits = policy.answering.when != "journaled"
        if not waits:
            self._tell(self._accepted(signal.id))
        elif self.arrival is not None:
            self.timer = self.intake.world.later(policy.timeout, self._overdue)
        if not self.agents:
            self.intake.world.writer.conclude(unmatched(signal, seq, self.intake.world.clock))
            return
        run = Run(signal, seq, set(self.agents), self.envelope, self if waits else None)
        self.intake.world.dispatch.offer(run)

    def failed(self, error: JournalError) -> None:
        """Not stored, or nobody knows: no answer, and the connection closes (P7)."""
        self._tell(answer.CLOSE)

    def ended(self, ending: Ending) -> None:
        """All agents have concluded (Run waiter)."""
        if ending.state is SignalState.REFUSED:
            refusal = ending.refusal or Refusal(text="refused")
            self._tell(
                answer.refused(
                    self.policy.answering, self.routed.header, self.signal.id, refusal
                )
            )
        elif ending.state is SignalState.PARKED:
            self._fail("the message is kept, but could not be processed")
        elif self.policy.answering.when == "processed" or not ending.deliveries:
            self._tell(self._accepted(self.signal.id))
        else:
            self.left = ending.deliveries

    def settled(self, outcome: str) -> None:
        """One of its Deliveries has left its queue (Run waiter, `delivered`)."""
        self.left -= 1
        if outcome != "delivered":
            self._fail("a destination did not take it")
        elif not self.left:
            self._tell(self._accepted(self.signal.id))

    def _at_once(self) -> Receipt:
        """The answer to what ended at intake."""
        rules, header = self.policy.answering, self.routed.header
        if self.routed.fault is not None:
            return answer.unacceptable(rules, header, self.signal.id, self.routed.fault)
        if self.signal.ended == "unmatched":
            return self._accepted(self.signal.id)
        refusal = Refusal("AR", "200", "no agent takes this type of message", "MSH-9")
        return answer.refused(rules, header, self.signal.id, refusal)

    def _accepted(self, signal: SignalId) -> Receipt:
        rules = self.policy.answering
        text = ""
        if rules.text is not None:
            text = rules.text.render(Context(self.routed.view, self.envelope))
        return answer.accepted(rules, self.routed.header, signal, text)

    def _repeats(self, seq: int, earlier: tuple[Earlier, ...]) -> bool:
        """Deal with a repeat; False when it is to run like any other."""
        if self.policy.same != "answer":
            return False
        same = [one for one in earlier if one.sha256 == self.signal.sha256]
        if not same:
            return False
        first = same[-1].signal
        if self.policy.answering.when == "journaled":
            self._duplicate(seq, first)
        else:
            task = asyncio.ensure_future(self._wait_for(seq, first))
            self.intake.looking.add(task)
            task.add_done_callback(self.intake.looking.discard)
        return True

    async def _wait_for(self, seq: int, first: SignalId) -> None:
        """Answer as the earlier one ended; after a refusal or an error this one runs anew."""
        world = self.intake.world
        limit = world.clock.monotonic() + self.policy.timeout
        state = SignalState.WAITING
        while world.clock.monotonic() < limit and state is SignalState.WAITING:
            try:
                state = await world.state_of(first)
            except JournalError:
                state = SignalState.WAITING
            if state is SignalState.WAITING:
                await asyncio.sleep(_LOOK_AGAIN)
        if state in (SignalState.DONE, SignalState.FILTERED, SignalState.WAITING):
            if state is SignalState.WAITING:
                self._fail("the same message is still being processed")
            self._duplicate(seq, first)
            return
        waiter = self if self.open else None
        run = Run(self.signal, seq, set(self.agents), self.envelope, waiter)
        world.dispatch.offer(run)

    def _duplicate(self, seq: int, first: SignalId) -> None:
        """Tell the sender what it was told before, and conclude without running anything."""
        self._tell(self._accepted(first))
        self.intake.world.writer.conclude(duplicate(self.signal, seq, self.intake.world.clock))

    def _overdue(self) -> None:
        self.timer = None
        self._fail("no verdict in time; the message is kept and work goes on")

    def _fail(self, text: str) -> None:
        header = self.routed.header
        self._tell(answer.failed(self.policy.answering, header, self.signal.id, text))

    def _tell(self, receipt: Receipt) -> None:
        arrival, self.arrival = self.arrival, None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if arrival is not None:
            self.intake.owed -= 1
            self.intake.pressed(self.intake)
            self.intake.world.metrics.acknowledged(
                self.intake.name, receipt.code or receipt.told
            )
            arrival.answer(receipt)


def duplicate(signal: Signal, seq: int, clock: Clock) -> Conclusion:
    """The end of a Signal that repeats an earlier one: nothing runs twice (A13)."""
    row = SessionRow(1, "", "", "duplicate", clock.time_ns())
    return Conclusion(signal.id, signal.origin, seq, row, _nothing, state=SignalState.DUPLICATE)


def unmatched(signal: Signal, seq: int, clock: Clock, park: bool = True) -> Conclusion:
    """The end of a Signal that no agent answers: parked, or dropped and counted."""
    now = clock.time_ns()
    row = SessionRow(1, "", "", "fault" if park else "drop", now, "unmatched")
    if not park:
        return Conclusion(
            signal.id, signal.origin, seq, row, _nothing, state=SignalState.FILTERED
        )
    parked = ParkedRow(
        signal.id,
        "signal",
        1,
        seq,
        signal.origin,
        now,
        lane=signal.order_key,
        code="unmatched",
        reason="no agent answers it",
    )
    return Conclusion(
        signal.id,
        signal.origin,
        seq,
        row,
        _nothing,
        parked=parked,
        state=SignalState.PARKED,
    )


def _nothing(seq: int) -> None:
    """There is nobody to tell."""
