"""Signals that no sender brings now: read back from the journal, or emitted by an agent."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from portico.agents.item import RESULT
from portico.clock import Clock
from portico.errors import JournalError, MessageError
from portico.flow import endings
from portico.flow.arrivals import desk
from portico.flow.arrivals.deferring import ANSWERED, Deferral, Deferring, Terms
from portico.flow.arrivals.desk import Dispatch, Policy
from portico.flow.runs import STATE, Run, Waiter
from portico.ids import IdMaker
from portico.journal.contract import Conclusion, Earlier, Recovered, Writer
from portico.language.content import parse_json
from portico.language.context import Context
from portico.model.signal import Signal
from portico.model.states import SignalState
from portico.model.verdict import Emission, Kind
from portico.policy import answer, repeats, routing
from portico.policy.repeats import Kinship
from portico.policy.routing import Routed, Rules

REPLAY = "replay"  # the flag of a Signal that a person made of another
AGENT = "agent"  # in a Signal's `about`: the one that it was made for
VERSIONS = "versions"  # in the `about` of a replay as recorded: by agent
HAD = "had"  # in the `about` of an edited copy: the agents that have had the original


@dataclass(frozen=True, slots=True)
class Recaller:
    """Makes Runs of journaled Signals. policy: a channel's, None when the site has no such.
    rules: how Signals of any other origin are read. agent: what the one of this name is called
    now.
    """

    policy: Callable[[str], Policy | None]
    dispatch: Dispatch
    writer: Writer
    ids: IdMaker
    clock: Clock
    deferring: Deferring
    rules: Callable[[str], Rules]
    agent: Callable[[str], str] = str

    def recall(self, recovered: Recovered, waiter: Waiter | None) -> Run | None:
        """The Run of a waiting Signal; None when it ended here, as a repeat or unmatched.
        waiter: whose intake has let it run, so that it is no repeat."""
        signal = recovered.signal
        policy = self.policy(signal.origin)
        kin = _kinship(recovered, policy)
        if policy is not None and waiter is None:
            end = self._end(recovered, kin, policy.duplicates.changed)
            if end is not None:
                flag = routing.CHANGED if kin is Kinship.CHANGED else ""
                self.writer.conclude(replace(end, flag=flag))
                return None
        routed, envelope, agents = self.read(signal, policy)
        if kin is Kinship.CHANGED:
            envelope = routing.changed(envelope)
            with suppress(MessageError):
                agents = self._matching(routed, envelope)
        run = Run(
            signal,
            recovered.seq,
            agents - set(recovered.agents),
            envelope,
            waiter,
            max(recovered.sessions, len(recovered.agents)),
            recovered.deliveries,
            self.today(versions_of(signal)),
        )
        verdicts = set(recovered.verdicts) - {ANSWERED}
        run.kinds |= {STATE[Kind(verdict)] for verdict in verdicts}
        run.recalled = recovered.deliveries > 0
        run.flag = routing.CHANGED if kin is Kinship.CHANGED else ""
        if policy is not None and waiter is None:
            run.waiter = self._deferral(recovered, policy, routed, envelope)
        if run.todo:
            return run
        self._alone(run, policy, routed)
        return None

    def _deferral(
        self,
        recovered: Recovered,
        policy: Policy,
        routed: Routed,
        envelope: dict[str, Any],
    ) -> Deferral | None:
        """The answer that an earlier engine owed its sender; not again after a person's act."""
        signal, header = recovered.signal, routed.header
        answered = "" in recovered.agents or recovered.sessions > len(recovered.agents)
        if answered or "replay" in signal.flags or header is None:
            return None
        if not answer.defers(policy.answering, header):
            return None
        text = answer.text_of(policy.answering, Context(routed.view, envelope))
        terms = Terms(policy.answering, header, policy.timeout, text)
        return self.deferring.owe(signal, terms)

    def _alone(self, run: Run, policy: Policy | None, routed: Routed) -> None:
        """Nobody is left to run it: end it, unless its sender is to hear of its Deliveries."""
        waiter = run.waiter if isinstance(run.waiter, Deferral) else None
        if waiter is not None and policy is not None and not run.sessions:
            if self._turned_away(run, waiter, policy, routed):
                return
        if waiter is not None and run.kinds and waiter.waits(run):
            waiter.resume(run)
            return
        if (
            policy is not None
            and not run.sessions
            and desk.undecided(policy, self.dispatch, routed, run.envelope)
        ):
            end = endings.dropped(run.signal, run.seq, self.clock)
        else:
            end = endings.unanswered(run, self.clock)
        if waiter is None:
            self.writer.conclude(end)
        else:
            receipt = waiter.receipt(end.state or run.state(), run.refusal)
            waiter.finish(end, receipt, run.deliveries)

    def _turned_away(self, run: Run, waiter: Deferral, policy: Policy, routed: Routed) -> bool:
        """End a message that was refused at the door and whose sender was yet to be told."""
        if routed.fault is None and policy.unmatched != "refuse":
            return False
        if not desk.told_elsewhere(policy, routed):
            return False
        code = "unmatched" if routed.fault is None else routed.fault.code
        end = endings.refused(run.signal, run.seq, self.clock, code)
        waiter.finish(end, desk.turned_away(policy, routed, run.signal.id, late=True))
        return True

    def _end(self, recovered: Recovered, kin: Kinship, changed: str) -> Conclusion | None:
        """The end of a repeat whose own conclusion was lost in a crash."""
        signal, seq = recovered.signal, recovered.seq
        if kin is Kinship.SAME:
            return endings.duplicate(signal, seq, self.clock)
        if kin is Kinship.CHANGED and changed == "refuse":
            return endings.refused(signal, seq, self.clock, "changed")
        if kin is Kinship.CHANGED and changed == "park":
            return endings.parked(signal, seq, self.clock, endings.CHANGED)
        return None

    def emitted(self, parent: Signal, emission: Emission) -> "Emitted":
        """What an agent emits, on its way into the journal."""
        content = parent.content if emission.content is None else emission.content
        key = parent.order_key if emission.order_key is None else emission.order_key
        origin = f"signal:{emission.signal}"
        drafted = Signal(
            self.ids.next(),
            origin,
            self.clock.time_ns(),
            content,
            sha256(content).digest(),
            order_key=key,
            parent=parent.id,
        )
        routed, envelope, agents = self.read(drafted, None)
        signal = replace(
            drafted,
            type=routed.type,
            control_id=routed.control_id,
            patient=routed.patient,
            ended="" if agents else "unmatched",
        )
        return Emitted(self, signal, agents, envelope)

    def read(
        self, signal: Signal, policy: Policy | None
    ) -> tuple[Routed, dict[str, Any], set[str]]:
        """What its content says, its envelope, and the agents that answer it."""
        rules = policy.rules if policy else self.rules(signal.origin)
        about = parse_json(signal.about) if signal.about else routing.NOTHING
        versions = self.today(versions_of(signal))
        had = set(map(self.agent, had_of(signal)))
        if versions or had:
            about = {key: about[key] for key in about if key not in (VERSIONS, HAD)}
        routed = routing.route(rules, signal.content, signal.peer, 0, about)
        envelope = routing.envelope(
            routed, signal.origin, signal.received, signal.peer, len(signal.content), about
        )
        if policy is not None and policy.answering.reply == RESULT:
            envelope[RESULT] = True
        if REPLAY in signal.flags:
            envelope = {**envelope, "flags": (REPLAY, *envelope["flags"])}
        if versions:
            return routed, envelope, set(versions)
        if AGENT in about:
            return routed, envelope, self.dispatch.called(self.agent(about[AGENT]))
        try:
            return routed, envelope, self._matching(routed, envelope) - had
        except MessageError as unreadable:
            return replace(routed, fault=routed.fault or unreadable), envelope, set()

    def today(self, versions: Mapping[str, str]) -> dict[str, str]:
        """By agent, as it is called now."""
        return {self.agent(name): version for name, version in versions.items()}

    def _matching(self, routed: Routed, envelope: dict[str, Any]) -> set[str]:
        return set(self.dispatch.matching(Context(routed.view, envelope)))


def versions_of(signal: Signal) -> dict[str, str]:
    """By agent: the versions that a replay as recorded runs; empty for every other Signal."""
    if REPLAY not in signal.flags or not signal.about:
        return {}
    found: dict[str, str] = parse_json(signal.about).get(VERSIONS, {})
    return found


def had_of(signal: Signal) -> set[str]:
    """The agents that have had the original of an edited copy, and do not run it."""
    if REPLAY not in signal.flags or not signal.about:
        return set()
    return set(parse_json(signal.about).get(HAD, ()))


def _kinship(recovered: Recovered, policy: Policy | None) -> Kinship:
    """What it is to those before it; one that an agent has concluded was judged before. Where
    its sender hears how it ends, that of a refused one or a failure is to run anew."""
    if policy is None or recovered.agents:
        return Kinship.NEW
    if policy.rules.repeat_by is None:  # it has a key all the same: its source named it
        policy = desk.by_name(policy)
    signal = recovered.signal
    earlier = desk.counted(policy, signal, recovered.earlier)
    rules, when, digest = policy.duplicates, policy.answering.when, signal.sha256
    if when == "journaled":
        return repeats.kinship(rules, digest, [one.sha256 for one in earlier])
    parked, deep = SignalState.PARKED, when == "delivered"
    states = [(one.sha256, parked if deep and one.stuck else one.state) for one in earlier]
    found = repeats.resolve(rules, digest, states)
    return Kinship.SAME if found is None else found[0]


class Emitted:
    """An emitted Signal between its session's commit and its run (journal Pending)."""

    __slots__ = ("_recaller", "agents", "envelope", "known", "signal")

    def __init__(
        self,
        recaller: Recaller,
        signal: Signal,
        agents: set[str],
        envelope: dict[str, Any],
    ) -> None:
        self._recaller = recaller
        self.signal = signal
        self.known: tuple[Earlier, ...] = ()
        self.agents = agents
        self.envelope = envelope

    def stored(self, seq: int, earlier: tuple[Earlier, ...]) -> None:
        """It is durable: run it."""
        if self.agents:
            self._recaller.dispatch.offer(Run(self.signal, seq, self.agents, self.envelope))

    def failed(self, error: JournalError) -> None:
        """Never called: it is stored with its session or not at all."""
