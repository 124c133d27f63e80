"""What a channel's desk is: its policy, and what it needs of the engine to keep it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from msgspec import structs

from portico import ids
from portico.clock import Clock
from portico.errors import MessageError
from portico.events.emit import Emit
from portico.events.metrics import Metrics
from portico.flow.arrivals.deferring import Deferring
from portico.flow.arrivals.repeated import Repeated
from portico.flow.runs import Run
from portico.hl7.ack import Outcome
from portico.hl7.reading import Reading
from portico.ids import IdMaker, SignalId
from portico.journal.contract import Earlier, Writer
from portico.language.context import Context
from portico.model.receipt import Receipt
from portico.model.signal import Signal
from portico.model.states import SignalState
from portico.policy import answer, repeats, routing
from portico.policy.answer import Answering, BatchRules
from portico.policy.routing import Routed, Rules


@dataclass(frozen=True, slots=True)
class Policy:
    """A channel's settings as intake uses them; replaced as a whole at a reload.

    timeout: seconds until a sender that waits for a verdict is told that we failed.
    unmatched: `drop park refuse`. batch: None: several messages in one frame are refused.
    answers: destinations get their answers here.
    """

    rules: Rules
    answering: Answering
    timeout: float = 30.0
    duplicates: repeats.Rules = repeats.DEFAULT
    unmatched: str = "drop"
    batch: BatchRules | None = None
    answers: bool = False


class Dispatch(Protocol):
    """Where committed Signals go."""

    def matching(self, context: Context) -> tuple[str, ...]:
        """The agents that answer this Signal."""
        ...

    def called(self, agent: str) -> set[str]:
        """The agent of that name, if it is in force."""
        ...

    def offer(self, run: Run) -> None:
        """Run it, or leave it in the journal when memory is full; it comes back then."""
        ...

    def aside(self, seq: int) -> None:
        """The Signal at this place is its channel's matter."""
        ...

    def resume(self, run: Run) -> None:
        """Run a Signal that was set aside."""
        ...


@dataclass(frozen=True, slots=True)
class IntakeWorld:
    """What intake needs of the engine.

    state_of: what became of an earlier Signal; with True, of its Deliveries too. forget: the
    sender that waited for this Signal's end has been told. answer_of: what an earlier Signal's
    agent (`result`) or destination answered, None when nothing is known. credit: an answer came
    to this channel by which a Delivery may have waited.
    """

    writer: Writer
    dispatch: Dispatch
    ids: IdMaker
    clock: Clock
    later: Callable[[float, Callable[[], None]], asyncio.TimerHandle]
    emit: Emit
    metrics: Metrics
    state_of: Callable[[SignalId, bool], Awaitable[SignalState]]
    forget: Callable[[SignalId], None]
    deferring: Deferring
    answer_of: Callable[[SignalId, str], Awaitable[bytes | None]]
    credit: Callable[[str, bytes], None]


class Desk(Protocol):
    """What an Entry needs of its channel's intake.

    looking: the tasks that look after earlier messages; repeated: what they found.
    """

    world: IntakeWorld
    name: str
    repeated: Repeated
    looking: set[asyncio.Task[None]]

    def told(self) -> None:
        """One more answer has been given."""
        ...


def by_name(policy: Policy) -> Policy:
    """The same for a message that is known by a name of its source's: one that comes again is
    always a repeat, because the source hands up again only what it does not know to be stored.
    """
    known = structs.replace(policy.duplicates, same="answer", changed="process")
    return replace(policy, duplicates=known)


def counted(policy: Policy, signal: Signal, earlier: tuple[Earlier, ...]) -> list[Earlier]:
    """Those before it that still count for its channel, newest first."""
    since = ids.millis(signal.id) - policy.duplicates.window * 1000
    return [one for one in earlier if ids.millis(one.signal) >= since]


def undecided(
    policy: Policy, dispatch: Dispatch, routed: Routed, envelope: dict[str, Any]
) -> bool:
    """Whether a message that no agent takes is to wait for its end all the same: its sender is
    told by a Delivery of its own, or an agent takes it if it turns out to be changed."""
    if policy.unmatched == "drop" and answer.defers(policy.answering, routed.header):
        return True
    if policy.unmatched == "refuse" and told_elsewhere(policy, routed):
        return True
    if not routed.repeat_key or policy.duplicates.changed != "process":
        return False
    with suppress(MessageError):
        view = Context(routed.view, routing.changed(envelope))
        return bool(dispatch.matching(view))
    return False


def told_elsewhere(policy: Policy, routed: Routed) -> bool:
    """Whether a message that is turned away at the door is told so on the reverse link."""
    outcome = Outcome.REJECT if routed.fault is None else Outcome.ERROR
    return answer.elsewhere(policy.answering, routed.header, outcome)


def turned_away(policy: Policy, routed: Routed, signal: SignalId, late: bool) -> Receipt:
    """The answer to a message that no agent runs: it is unacceptable, or nobody takes its
    type. late: the accept phase has had its answer, or asks for none."""
    rules, header = policy.answering, routed.header
    if routed.fault is not None:
        return answer.unacceptable(rules, header, signal, routed.fault, late)
    return answer.unmatched(rules, header, signal, late)


def is_answer(routed: Routed) -> bool:
    """Whether it answers a message of ours."""
    return isinstance(routed.view, Reading) and routed.view.raw("MSA") is not None
