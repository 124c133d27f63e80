"""Entries: one message between its arrival and its answer.

Promise P1: a positive Receipt leaves only from `stored`, after the commit. Promise P7: when
the journal cannot store there is no answer; the connection is closed, because some senders
drop a message on AE, and the peer's repeat is recognised.
"""

import asyncio
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from portico.errors import JournalError, MessageError
from portico.flow import endings
from portico.flow.arrivals import desk
from portico.flow.arrivals.deferring import Deferral, Terms
from portico.flow.arrivals.desk import Desk, Policy, counted, is_answer
from portico.flow.runs import Ending, Run, Waiter
from portico.ids import SignalId
from portico.journal.contract import Conclusion, Earlier
from portico.language.context import Context
from portico.listeners.contract import Arrival
from portico.model.receipt import Receipt
from portico.model.signal import Signal
from portico.model.states import SignalState
from portico.model.verdict import Output, Refusal
from portico.policy import answer, repeats, routing
from portico.policy.repeats import Kinship
from portico.policy.routing import Routed

_LOOK_AGAIN = 0.5  # seconds between looks at the earlier of two repeats while it is running


class Entry:
    """One message between its arrival and its answer (journal Pending, Run waiter)."""

    __slots__ = (
        "agents",
        "arrival",
        "aside",
        "committed",
        "deferral",
        "envelope",
        "flag",
        "intake",
        "known",
        "left",
        "policy",
        "routed",
        "signal",
        "timer",
        "value",
    )

    def __init__(
        self,
        intake: Desk,
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
        self.known = intake.repeated.of(signal)
        self.aside = False
        self.committed = False  # the accept answer has left; the application's is owed
        self.timer: asyncio.TimerHandle | None = None
        self.deferral: Deferral | None = None  # owes the application's answer
        self.flag = ""  # what is known of it only since it was journaled
        self.value: bytes | None = None  # what the answer holds, where it is not ours

    @property
    def open(self) -> bool:
        """The sender has not been told yet."""
        return self.arrival is not None

    def stored(self, seq: int, earlier: tuple[Earlier, ...]) -> None:
        """The commit is durable: answer, and go on."""
        self.intake.world.metrics.received(self.intake.name)
        if self.policy.answers and is_answer(self.routed):
            self.intake.world.credit(self.intake.name, self.signal.content)
        if self.signal.ended:
            self._tell(self._at_once())
        elif self.routed.fault is not None:
            self._turn_away(seq, self.routed.fault.code)
        elif earlier and (known := counted(self.policy, self.signal, earlier)):
            self._repeats(seq, known)
        else:
            self._go_on(seq)

    def failed(self, error: JournalError) -> None:
        """Not stored, or nobody knows: no answer, and the connection closes (P7)."""
        self._tell(answer.CLOSE)

    def begun(self, run: Run) -> None:
        """It runs (Run waiter)."""

    def closing(self, run: Run, owed: int) -> tuple[tuple[Output, ...], bool]:
        """The sender is told on its connection, so nothing is owed (Run waiter)."""
        return (), True

    def ended(self, ending: Ending) -> None:
        """All agents have concluded (Run waiter)."""
        if self.policy.answering.reply == "result":
            self.value = ending.value
        if ending.state is SignalState.REFUSED:
            self._tell(self._refused(ending.refusal or Refusal(text="refused")))
        elif ending.state is SignalState.PARKED:
            self._fail(answer.KEPT)
        elif self.policy.answering.when == "processed":
            self._tell(self._accepted(self.signal.id))
        else:
            self._count(ending.deliveries)

    def settled(self, outcome: str, destination: str = "", content: bytes = b"") -> None:
        """One of its Deliveries has left its queue (Run waiter, `delivered`)."""
        if destination and destination == self.policy.answering.replier:
            self.value = content
        if outcome == "delivered":
            self._count(-1)
        else:
            self._fail("a destination did not take it")

    def _count(self, change: int) -> None:
        """Deliveries that are out; below nought while an agent whose Deliveries have settled
        waits for another to conclude."""
        self.left += change
        if not self.left:
            self._tell(self._accepted(self.signal.id))

    def _at_once(self) -> Receipt:
        """The answer to what ended at intake."""
        if self.routed.fault is None and self.signal.ended == "unmatched":
            return self._accepted(self.signal.id)
        return desk.turned_away(self.policy, self.routed, self.signal.id, late=False)

    def _turn_away(self, seq: int, code: str) -> None:
        """No agent runs it. Its sender hears of it, on the reverse link if not here."""
        if not self.committed and desk.told_elsewhere(self.policy, self.routed):
            self._owe(answer.SILENCE)
        signal = self.signal
        receipt = desk.turned_away(self.policy, self.routed, signal.id, self.committed)
        end = endings.refused(signal, seq, self.intake.world.clock, code)
        self._close(seq, end, receipt)

    def _accepted(self, signal: SignalId) -> Receipt:
        rules, header = self.policy.answering, self.routed.header
        if self.value:
            return answer.relayed(rules, header, signal, self.value, self.committed)
        text = answer.text_of(rules, Context(self.routed.view, self.envelope))
        return answer.accepted(rules, header, signal, text, self.committed)

    def _go_on(self, seq: int) -> None:
        """Answer, or set a limit to the sender's wait; and run it."""
        if self.known:
            self.intake.repeated.drop(self.signal)
        if not self.agents:
            self._unmatched(seq)
            return
        self._promise()
        told = self.policy.answering.when == "journaled"
        waiter: Waiter | None = None if told else self.deferral or self
        run = Run(self.signal, seq, set(self.agents), self.envelope, waiter)
        run.flag = self.flag
        dispatch = self.intake.world.dispatch
        (dispatch.resume if self.aside else dispatch.offer)(run)

    def _unmatched(self, seq: int) -> None:
        """No agent takes it, which is known only now."""
        signal, world = self.signal, self.intake.world
        if self.policy.unmatched == "refuse":
            self._turn_away(seq, "unmatched")
            return
        self._promise()
        if self.policy.unmatched == "drop":
            end = endings.dropped(signal, seq, world.clock)
            self._close(seq, end, self._accepted(signal.id))
        else:
            self._park(seq, endings.NOBODY)

    def _promise(self) -> None:
        """The accept answer, or the only one; and a limit to the wait for another."""
        rules, header, arrival = self.policy.answering, self.routed.header, self.arrival
        if rules.when == "journaled":
            self._tell(self._accepted(self.signal.id))
            return
        first = answer.committed(rules, header, self.signal.id)
        if header is not None and self.open and answer.defers(rules, header):
            self._owe(answer.SILENCE if first is None else replace(first, more=False))
            return
        if first is not None and first.more and arrival is not None and not self.committed:
            self.committed = True
            arrival.answer(first)
        elif first is not None and not first.more:
            self._tell(first)
        if self.arrival is not None and self.timer is None:
            self.timer = self.intake.world.later(self.policy.timeout, self._overdue)

    def _owe(self, first: Receipt) -> None:
        """This is all that is said on the line; the application's answer goes its own way."""
        rules, header = self.policy.answering, self.routed.header
        assert header is not None
        self._tell(first)
        self.committed = True
        text = answer.text_of(rules, Context(self.routed.view, self.envelope))
        terms = Terms(rules, header, self.policy.timeout, text)
        self.deferral = self.intake.world.deferring.owe(self.signal, terms)

    def _set_aside(self, seq: int) -> None:
        if not self.aside:
            self.aside = True
            self.intake.world.dispatch.aside(seq)

    def _park(self, seq: int, why: tuple[str, str]) -> None:
        """Keep it for a person; who waits for a verdict hears of it."""
        end = endings.parked(self.signal, seq, self.intake.world.clock, why)
        self._close(seq, end, self._failed(answer.KEPT))

    def _close(self, seq: int, end: Conclusion, receipt: Receipt) -> None:
        """The channel itself ends it."""
        self._set_aside(seq)
        end = replace(end, flag=self.flag) if self.flag else end
        if self.deferral is not None:
            self.deferral.finish(end, receipt)
        else:
            self._tell(receipt)
            self.intake.world.writer.conclude(end)

    def _repeats(self, seq: int, known: list[Earlier]) -> None:
        """Others came before it under the same identity."""
        if self.policy.answering.when != "journaled":
            self._promise()
            self._set_aside(seq)
            task = asyncio.ensure_future(self._look(seq, known))
            self.intake.looking.add(task)
            task.add_done_callback(self.intake.looking.discard)
            return
        digest, digests = self.signal.sha256, [one.sha256 for one in known]
        kin = repeats.kinship(self.policy.duplicates, digest, digests)
        first = max((n for n, one in enumerate(digests) if one == digest), default=0)
        self._take_as(seq, kin, known[first].signal)

    async def _look(self, seq: int, known: list[Earlier]) -> None:
        """End as the earlier one ended; after a refusal or an error this one runs anew."""
        world, rules = self.intake.world, self.policy.duplicates
        limit = world.clock.monotonic() + self.policy.timeout
        while (states := await self._states(known)) is None or (
            found := repeats.resolve(rules, self.signal.sha256, states)
        ) is None:
            if world.clock.monotonic() >= limit:
                receipt = self._failed("the same message is still being processed")
                self._close(seq, endings.duplicate(self.signal, seq, world.clock), receipt)
                return
            await asyncio.sleep(_LOOK_AGAIN)
        kin, first = found
        if kin is Kinship.SAME and (asked := self.policy.answering.reply) != "ack":
            with suppress(JournalError):
                self.value = await world.answer_of(known[first].signal, asked)
        self._take_as(seq, kin, known[first].signal)

    async def _states(self, known: list[Earlier]) -> list[tuple[bytes, SignalState]] | None:
        world, deep = self.intake.world, self.policy.answering.when == "delivered"
        try:
            return [(one.sha256, await world.state_of(one.signal, deep)) for one in known]
        except JournalError:
            return None

    def _take_as(self, seq: int, kin: Kinship, first: SignalId) -> None:
        """first: the one that it repeats, if it does."""
        world, changed = self.intake.world, self.policy.duplicates.changed
        self.flag = routing.CHANGED if kin is Kinship.CHANGED else ""
        if kin is Kinship.SAME:
            self.intake.repeated.add(self.signal, first)
            end = endings.duplicate(self.signal, seq, world.clock)
            self._close(seq, end, self._accepted(first))
        elif kin is Kinship.CHANGED and changed == "refuse":
            end = endings.refused(self.signal, seq, world.clock, "changed")
            self._close(seq, end, self._refused(answer.CHANGED))
        elif kin is Kinship.CHANGED and changed == "park":
            self._promise()
            self._park(seq, endings.CHANGED)
        else:
            if kin is Kinship.CHANGED:
                self._flag()
            self._go_on(seq)

    def _flag(self) -> None:
        """Say that it is changed; agents may ask for that."""
        self.envelope = routing.changed(self.envelope)
        with suppress(MessageError):
            context = Context(self.routed.view, self.envelope)
            self.agents = self.intake.world.dispatch.matching(context)

    def _refused(self, refusal: Refusal) -> Receipt:
        rules, header = self.policy.answering, self.routed.header
        return answer.refused(rules, header, self.signal.id, refusal, self.committed)

    def _overdue(self) -> None:
        self._fail("no verdict in time; the message is kept and work goes on")

    def _fail(self, text: str) -> None:
        self._tell(self._failed(text))

    def _failed(self, text: str) -> Receipt:
        rules, header = self.policy.answering, self.routed.header
        return answer.failed(rules, header, self.signal.id, text, self.committed)

    def _tell(self, receipt: Receipt) -> None:
        arrival, self.arrival = self.arrival, None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
            self.intake.world.forget(self.signal.id)
        if arrival is not None:
            self.intake.told()
            code = receipt.code or ("closed" if receipt.close else "silent")
            self.intake.world.metrics.acknowledged(self.intake.name, code)
            (arrival.say if self.committed else arrival.answer)(receipt)
