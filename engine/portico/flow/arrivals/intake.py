"""Intake: bytes in, and an Entry for each message on its way into the journal."""

import asyncio
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from portico import ids
from portico.agents.item import RESULT
from portico.errors import MessageError
from portico.flow.arrivals import desk
from portico.flow.arrivals.bundles import Bundle
from portico.flow.arrivals.desk import IntakeWorld, Policy, by_name
from portico.flow.arrivals.entries import Entry
from portico.flow.arrivals.reading import LARGE, Queue
from portico.flow.arrivals.repeated import Repeated
from portico.hl7.batch import is_batch
from portico.language.content import encode_json
from portico.language.context import Context
from portico.listeners.contract import Arrival
from portico.model.signal import Signal
from portico.policy import answer, routing
from portico.policy.answer import BatchRules
from portico.policy.routing import Routed, Rules


class Intake:
    """One channel's intake. `receive` is what its listener calls.

    owed: answers not given yet; pressed: called when that grows or shrinks.
    """

    def __init__(
        self, policy: Policy, world: IntakeWorld, pressed: Callable[["Intake"], None]
    ) -> None:
        self.policy = policy
        self.world = world
        self.pressed = pressed
        self.name = policy.rules.origin
        self.owed = 0
        self.repeated = Repeated()
        self.looking: set[asyncio.Task[None]] = set()
        self._reading = Queue(self._read)

    def receive(self, arrival: Arrival) -> None:
        """Take what arrived: one message or a batch of them; the answer follows."""
        content = arrival.content
        if self._blank(content):
            arrival.answer(answer.NOTHING)
        elif self.policy.batch is not None and is_batch(content) and self._hl7:
            self._unbundle(arrival, self.policy.batch)
        else:
            self._take(arrival, None)

    def once(self, arrival: Arrival, identity: str, fault: MessageError | None = None) -> None:
        """Take one message that is known by this name where its content has none of its own."""
        if self._blank(arrival.content):
            arrival.answer(answer.NOTHING)
        else:
            self._take(arrival, fault, identity)

    @property
    def _hl7(self) -> bool:
        return self.policy.rules.content.type == "hl7"  # the rows of CSV are a file's matter

    def _blank(self, content: bytes) -> bool:
        return not content if self.policy.rules.content.type == "bytes" else not content.strip()

    def _unbundle(self, arrival: Arrival, rules: BatchRules) -> None:
        limit = len(arrival.content)  # the listener's own limit held already
        bundle = Bundle.of(arrival, rules, limit, lambda: ids.short(self.world.ids.next()))
        for part in bundle.parts:
            self._take(part, bundle.fault)
        if not bundle.parts:
            bundle.finish()

    def _take(self, arrival: Arrival, fault: MessageError | None, identity: str = "") -> None:
        """Take one message. fault: why it cannot be taken, whatever it says."""
        rules = self.policy.rules
        large = len(arrival.content) > LARGE and rules.content.type == "xml"
        if large or self._reading.busy:
            self._reading.put((arrival, fault, identity))
        else:
            self._taken(arrival, fault, identity, _routed(rules, arrival))

    async def _read(self, waiting: "tuple[Arrival, MessageError | None, str]") -> None:
        arrival = waiting[0]
        routed = await asyncio.to_thread(_routed, self.policy.rules, arrival)
        self._taken(*waiting, routed)

    def _taken(
        self, arrival: Arrival, fault: MessageError | None, identity: str, routed: Routed
    ) -> None:
        content, policy = arrival.content, self.policy
        about = arrival.about
        envelope = routing.envelope(
            routed, self.name, arrival.received, arrival.peer, len(content), about
        )
        if policy.answering.reply == RESULT:
            envelope[RESULT] = True
        if identity and not routed.repeat_key:
            routed = replace(
                routed, repeat_key=routing.repeat_key_of(policy.rules.identity, identity)
            )
            policy = by_name(policy)
        agents: tuple[str, ...] = ()
        if fault is not None:
            routed = replace(routed, fault=fault)
        elif routed.fault is None:
            try:
                agents = self.world.dispatch.matching(Context(routed.view, envelope))
            except MessageError as unreadable:
                routed = replace(routed, fault=unreadable)
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
            self._ended(routed, agents, envelope, of_batch=fault is not None),
            encode_json(about) if about else b"",
        )
        self.owed += 1
        self.pressed(self)
        self.world.writer.accept(Entry(self, policy, arrival, signal, routed, agents, envelope))

    def told(self) -> None:
        """One more answer has been given."""
        self.owed -= 1
        self.pressed(self)

    def stop(self) -> None:
        """Look after no earlier message any more; what waits for one stays in the journal."""
        for task in self.looking:
            task.cancel()
        self._reading.stop()

    def _ended(
        self,
        routed: Routed,
        agents: tuple[str, ...],
        envelope: dict[str, Any],
        *,
        of_batch: bool,
    ) -> str:
        """How it ends at the door; empty when it does not. of_batch: what is wrong is its
        batch, which a restart would not see in it."""
        policy = self.policy
        if routed.fault is not None:
            if not of_batch and desk.told_elsewhere(policy, routed):
                return ""
            return f"refused:{routed.fault.code}"
        if policy.answers and desk.is_answer(routed):
            return "" if agents else "unmatched"
        if agents or desk.undecided(policy, self.world.dispatch, routed, envelope):
            return ""
        return {"drop": "unmatched", "refuse": "refused:unmatched"}.get(policy.unmatched, "")


def _routed(rules: Rules, arrival: Arrival) -> Routed:
    about = arrival.about
    return routing.route(rules, arrival.content, arrival.peer, arrival.connection, about)
