"""Signals that no sender brings now: read back from the journal, or emitted by an agent."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from portico.clock import Clock
from portico.errors import JournalError, MessageError
from portico.flow import intake
from portico.flow.intake import Dispatch, Policy
from portico.flow.runs import Run, Waiter
from portico.ids import IdMaker
from portico.journal.contract import Earlier, Recovered, Writer
from portico.language.context import Context
from portico.model.signal import Signal
from portico.model.verdict import Emission
from portico.policy import routing
from portico.policy.routing import Routed, Rules


@dataclass(frozen=True, slots=True)
class Recaller:
    """Makes Runs of journaled Signals. policy: a channel's, None when the site has no such."""

    policy: Callable[[str], Policy | None]
    dispatch: Dispatch
    writer: Writer
    ids: IdMaker
    clock: Clock

    def recall(self, recovered: Recovered, waiter: Waiter | None) -> Run | None:
        """The Run of a waiting Signal; None when it ended here, as a repeat or unmatched."""
        signal = recovered.signal
        policy = self.policy(signal.origin)
        if self._repeats(recovered, policy):
            self.writer.conclude(intake.duplicate(signal, recovered.seq, self.clock))
            return None
        _, envelope, agents = self._read(
            signal.origin, signal.received, signal.content, signal.peer, policy
        )
        agents -= set(recovered.agents)
        if not agents:
            park = policy is None or policy.unmatched == "park"
            self.writer.conclude(
                intake.unmatched(
                    signal, recovered.seq, self.clock, park and not recovered.agents
                )
            )
            return None
        sessions = len(recovered.agents)
        return Run(
            signal, recovered.seq, agents, envelope, waiter, sessions, recovered.deliveries
        )

    def emitted(self, parent: Signal, emission: Emission) -> "Emitted":
        """What an agent emits, on its way into the journal."""
        content = parent.content if emission.content is None else emission.content
        key = parent.order_key if emission.order_key is None else emission.order_key
        origin = f"signal:{emission.signal}"
        routed, envelope, agents = self._read(origin, self.clock.time_ns(), content, "", None)
        signal = Signal(
            self.ids.next(),
            origin,
            envelope["received"],
            content,
            sha256(content).digest(),
            type=routed.type,
            control_id=routed.control_id,
            patient=routed.patient,
            order_key=key,
            parent=parent.id,
            ended="" if agents else "unmatched",
        )
        return Emitted(self, signal, agents, envelope)

    def _read(
        self, origin: str, received: int, content: bytes, peer: str, policy: Policy | None
    ) -> tuple[Routed, dict[str, Any], set[str]]:
        rules = policy.rules if policy else Rules(origin, "auto")
        routed = routing.route(rules, content, peer, 0)
        envelope = routing.envelope(routed, origin, received, peer, len(content))
        try:
            agents = set(self.dispatch.matching(Context(routed.view, envelope)))
        except MessageError:
            agents = set()
        return routed, envelope, agents

    def _repeats(self, recovered: Recovered, policy: Policy | None) -> bool:
        """A repeat whose conclusion was lost in a crash. One that had a session is none."""
        if policy is None or policy.same != "answer" or recovered.agents:
            return False
        return any(one.sha256 == recovered.signal.sha256 for one in recovered.earlier)


class Emitted:
    """An emitted Signal between its session's commit and its run (journal Pending)."""

    __slots__ = ("_agents", "_envelope", "_recaller", "signal")

    def __init__(
        self,
        recaller: Recaller,
        signal: Signal,
        agents: set[str],
        envelope: dict[str, Any],
    ) -> None:
        self._recaller = recaller
        self.signal = signal
        self._agents = agents
        self._envelope = envelope

    def stored(self, seq: int, earlier: tuple[Earlier, ...]) -> None:
        """It is durable: run it."""
        if self._agents:
            self._recaller.dispatch.offer(Run(self.signal, seq, self._agents, self._envelope))

    def failed(self, error: JournalError) -> None:
        """Never called: it is stored with its session or not at all."""
