"""Remaking: a new Signal from the bytes of an old one, for today's agents or for those of then.

It says what it came from (`parent`, flag `replay`), repeats nothing (no repeat key), and owes
no sender an answer. It keeps the time of the old one, so that what is made of it is the same.
"""

from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from portico.errors import JournalError
from portico.flow.arrivals.recalling import HAD, REPLAY, VERSIONS, Recaller
from portico.flow.runs import Run
from portico.journal.contract import Earlier
from portico.language.content import encode_json, parse_json
from portico.model.signal import Signal
from portico.policy.routing import NOTHING


class Remade:
    """A Signal made of another, on its way into the journal (journal Pending).

    versions: by agent, those that are to run it; none: the agents in force that answer it, but
    for those that have `had` the original. why_not: why it is not to be stored, in words; empty
    when agents answer it.
    """

    __slots__ = ("_recaller", "agents", "envelope", "known", "signal", "versions", "why_not")

    def __init__(
        self,
        recaller: Recaller,
        original: Signal,
        content: bytes,
        versions: Mapping[str, str] = NOTHING,
        had: Collection[str] = (),
    ) -> None:
        self._recaller, self.versions = recaller, versions
        self.known: tuple[Earlier, ...] = ()
        policy = recaller.policy(original.origin)
        drafted = replace(
            original,
            id=recaller.ids.next(),
            content=content,
            sha256=sha256(content).digest(),
            repeat_key=0,
            flags=(REPLAY,),
            parent=original.id,
            ended="",
            about=_about(original, versions, had),
        )
        routed, envelope, agents = recaller.read(drafted, policy)
        key = routed.order_key if policy else original.order_key
        self.signal = replace(
            drafted,
            type=routed.type,
            control_id=routed.control_id,
            sender=routed.sender,
            patient=routed.patient,
            order_key=original.order_key if key.startswith("connection ") else key,
            flags=(REPLAY, *routed.flags),
        )
        self.agents: set[str] = agents
        self.envelope: dict[str, Any] = envelope
        self.why_not = _why_not(routed.fault.code if routed.fault else "", agents)

    def stored(self, seq: int, earlier: tuple[Earlier, ...]) -> None:
        """It is durable: run it."""
        todo = set(self.agents)
        run = Run(self.signal, seq, todo, self.envelope, editions=self.versions)
        self._recaller.dispatch.offer(run)

    def failed(self, error: JournalError) -> None:
        """The act that made it hears of it."""


def _about(original: Signal, versions: Mapping[str, str], had: Collection[str]) -> bytes:
    """What its source said of it, and who is to run it or not."""
    about = parse_json(original.about) if original.about else {}
    for key, value in ((VERSIONS, dict(versions)), (HAD, sorted(had))):
        about.pop(key, None)
        if value:
            about[key] = value
    return encode_json(about) if about else b""


def _why_not(fault: str, agents: set[str]) -> str:
    if fault:
        return f"it cannot be taken: {fault}"
    return "" if agents else "no agent of this site answers it"
