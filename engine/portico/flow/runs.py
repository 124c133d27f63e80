"""A Run: one journaled Signal on its way through the agents that answer it."""

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from portico.model import crews
from portico.model.signal import Signal
from portico.model.states import SignalState
from portico.model.verdict import Failure, Kind, Output, Refusal

STATE = {
    Kind.DELIVER: SignalState.DONE,
    Kind.DROP: SignalState.FILTERED,
    Kind.REFUSE: SignalState.REFUSED,
    Kind.FAULT: SignalState.PARKED,
}

_IN_FORCE: Mapping[str, str] = {}


class Ending(Struct, frozen=True):
    """How a Signal ended. refusal: the worst an agent gave; failure: why it was parked; value:
    an agent's last, where the channel answers with it."""

    state: SignalState
    refusal: Refusal | None = None
    failure: Failure | None = None
    deliveries: int = 0
    value: bytes | None = None


class Waiter(Protocol):
    """Who is told when a Run has ended: the channel that still owes an answer."""

    @property
    def open(self) -> bool:
        """The sender has not been told yet."""
        ...

    def begun(self, run: "Run") -> None:
        """It runs."""
        ...

    def closing(self, run: "Run", owed: int) -> tuple[tuple[Output, ...], bool]:
        """What the last session owes the sender beside its own `owed` Deliveries, in its
        commit; and whether the Signal ends with it."""
        ...

    def ended(self, ending: Ending) -> None:
        """All sessions are concluded and journaled."""
        ...

    def settled(self, outcome: str, destination: str = "", content: bytes = b"") -> None:
        """One of its Deliveries has left its queue: `delivered` or `parked`. content: what
        the destination answered."""
        ...


class Run:
    """One Signal in flight.

    seq: its place in the journal. todo: agents that have not concluded; kinds: what the others
    made of it. sessions, deliveries: the numbers given so far. waiter: who still owes its
    sender an answer. recalled: it was read back from the journal. value: an agent's last.
    flag: what is known of the Signal only since it was journaled. editions: by agent, the
    version that is to run it, where that is not the one in force. shelved: agents of `todo`
    that are paused; unstored: sessions that have concluded and are not committed. cancelled: a
    person ended it before an agent that was paused had begun; what begins now has this verdict.
    """

    __slots__ = (
        "cancelled",
        "deliveries",
        "editions",
        "envelope",
        "failure",
        "flag",
        "kinds",
        "recalled",
        "refusal",
        "seq",
        "sessions",
        "shelved",
        "signal",
        "todo",
        "unstored",
        "value",
        "waiter",
    )

    def __init__(
        self,
        signal: Signal,
        seq: int,
        todo: set[str],
        envelope: dict[str, Any],
        waiter: Waiter | None = None,
        sessions: int = 0,
        deliveries: int = 0,
        editions: Mapping[str, str] = _IN_FORCE,
    ) -> None:
        self.signal, self.seq, self.todo, self.envelope = signal, seq, todo, envelope
        self.waiter = waiter
        self.sessions, self.deliveries = sessions, deliveries
        self.kinds: set[SignalState] = set()
        self.refusal: Refusal | None = None
        self.failure: Failure | None = None
        self.recalled = False
        self.flag = ""
        self.value: bytes | None = None
        self.editions = editions
        self.shelved: set[str] = set()
        self.unstored = 0
        self.cancelled: Failure | None = None

    @property
    def awaited(self) -> bool:
        """Its sender still waits for the end."""
        return self.waiter is not None and self.waiter.open

    def state(self) -> SignalState:
        """What the Signal is once every agent has concluded: the gravest of their verdicts."""
        for state in (
            SignalState.PARKED,
            SignalState.REFUSED,
            SignalState.DONE,
            SignalState.FILTERED,
        ):
            if state in self.kinds:
                return state
        return SignalState.DONE

    def ending(self) -> Ending:
        """How it ended, once every agent has concluded."""
        return Ending(self.state(), self.refusal, self.failure, self.deliveries, self.value)

    def crew(self, agent: str) -> str:
        """Who runs it for this agent: its own workers, or those of an edition."""
        version = self.editions.get(agent)
        return crews.name(agent, version) if version else agent

    def refuse(self, refusal: Refusal) -> None:
        """Keep the worst refusal: AR before AE."""
        if self.refusal is None or (self.refusal.ack != "AR" and refusal.ack == "AR"):
            self.refusal = refusal
