"""What the journal takes and gives, and what each verb promises.

`accept`, `conclude` and `mark` queue work for the next group commit and return at once; what
they were given is called back once its commit is durable. While the journal is down, inbound
work fails at once and the rest waits: a conclusion or a mark that was taken is stored sooner
or later, in the order given, exactly once, or the engine has ended.
"""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from portico.errors import JournalError
from portico.ids import SignalId
from portico.model.delivery import Attempt
from portico.model.signal import Signal
from portico.model.states import SignalState


class Earlier(Struct, frozen=True, gc=False):
    """An accepted Signal with the same repeat key, newest first. Of one that was read back:
    state, what became of it; stuck, whether a Delivery of it is parked."""

    signal: SignalId
    sha256: bytes
    state: SignalState = SignalState.WAITING
    stuck: bool = False


class Pending(Protocol):
    """A Signal on its way into the journal.

    known: what it repeats, where that is known: the journal is then not asked for it.
    """

    signal: Signal
    known: tuple[Earlier, ...]

    def stored(self, seq: int, earlier: tuple[Earlier, ...]) -> None:
        """It is durable, at this place of the journal's order."""
        ...

    def failed(self, error: JournalError) -> None:
        """It is not known to be stored: answer nobody. After JournalUnclear, `stored` may
        still follow when the journal is back and turns out to have it."""
        ...


class SessionRow(Struct, frozen=True, gc=False):
    """What is kept of a session. verdict: of model.verdict.Kind, or `duplicate`.

    concluded: nanoseconds since 1970 UTC. detail: a JSON object (runs, refusal, failure, logs).
    """

    number: int
    agent: str
    version: str
    verdict: str
    concluded: int
    step: str = ""
    error: str = ""
    micros: int = 0
    detail: bytes = b"{}"


class Owed(Struct, frozen=True, gc=False):
    """A Delivery to be made durable and queued.

    part: the body it sends (0: the received bytes). content: given when that part is new.
    """

    number: int
    destination: str
    lane: str
    part: int
    content: bytes | None = None
    control_id: str = ""
    file: str = ""


class ParkedRow(Struct, frozen=True, gc=False):
    """Why something waits for a person. kind `signal` (number: its session) or `delivery`."""

    signal: SignalId
    kind: str
    number: int
    seq: int
    name: str
    since: int
    agent: str = ""
    lane: str = ""
    hold: bool = False
    code: str = ""
    reason: str = ""
    step: str = ""
    at: str = ""
    location: str = ""
    tries: int = 0


class Conclusion(Struct, frozen=True):
    """One session's end: its row, its Deliveries, what it emits, and, with the Signal's last
    session, the Signal's end. state: what the Signal becomes then, None while others run.

    stored: called with the sequence number of the first Delivery; the others follow it. value:
    what the sender is told of it, kept for repeats. flag: to stand among the Signal's flags,
    known only since it was journaled.
    """

    signal: SignalId
    origin: str
    waiting: int
    row: SessionRow
    stored: Callable[[int], None]
    owed: tuple[Owed, ...] = ()
    emitted: tuple[Pending, ...] = ()
    parked: ParkedRow | None = None
    state: SignalState | None = None
    value: bytes | None = None
    flag: str = ""


class Mark(Struct, frozen=True):
    """One attempt's end. outcome: `delivered`, `retry` (it stays queued) or `parked`.

    tries: attempts so far, this one included. at: nanoseconds since 1970 UTC.
    """

    signal: SignalId
    number: int
    destination: str
    seq: int
    outcome: str
    tries: int
    at: int
    attempt: Attempt
    stored: Callable[[], None]
    parked: ParkedRow | None = None


class ActRow(Struct, frozen=True, gc=False):
    """What a person did to a message, as it is kept (table `act`).

    what: `release discard edit resend replay`. kind `signal` (number: its session, 0 for all)
    or `delivery`. tries: of a Delivery until then. other: the Signal that came of it.
    """

    signal: SignalId
    kind: str
    number: int
    what: str
    who: str
    at: int
    reason: str = ""
    tries: int = 0
    other: SignalId | None = None
    job: bytes | None = None


class Requeued(Struct, frozen=True, gc=False):
    """A parked Delivery that goes back to its place in its destination's queue."""

    signal: SignalId
    number: int
    destination: str
    seq: int
    lane: str
    tries: int


class Added(Struct, frozen=True, gc=False):
    """A Delivery that a person adds to a Signal. seq: its place; None: the end."""

    signal: SignalId
    owed: Owed
    seq: int | None = None


class JobRow(Struct, frozen=True, gc=False):
    """A replay of many Signals as it is now. state: `running done cancelled failed`."""

    id: bytes
    at: int
    who: str
    query: str
    state: str
    total: int
    made: int = 0
    skipped: int = 0
    cursor: SignalId | None = None
    note: str = ""


class Act(Struct, frozen=True):
    """A person's act, all of it in one transaction.

    freed: parked rows that go, (signal, kind, number); if one is gone already, nothing of this
    act is stored. waits: Signals that wait again, (seq, signal, origin). arrived: new Signals,
    counted as such. books: all other changes. stored: called with the place of the first
    Delivery that was added at the end. failed: nobody knows that it is stored.
    """

    rows: tuple[ActRow, ...]
    stored: Callable[[int], None]
    failed: Callable[[JournalError], None]
    freed: tuple[tuple[SignalId, str, int], ...] = ()
    waits: tuple[tuple[int, SignalId, str], ...] = ()
    queued: tuple[Requeued, ...] = ()
    added: tuple[Added, ...] = ()
    arrived: tuple[Pending, ...] = ()
    books: tuple[tuple[str, str, str, int], ...] = ()
    jobs: tuple[JobRow, ...] = ()


class Writer(Protocol):
    """The writing side, as flow sees it."""

    def accept(self, pending: Pending) -> None:
        """Make a Signal durable. Fails it at once while the journal is down."""
        ...

    def conclude(self, conclusion: Conclusion) -> None:
        """Make a session's end durable."""
        ...

    def mark(self, mark: Mark, urgent: bool) -> None:
        """Make an attempt's end durable. urgent: a lane waits for it, so do not linger."""
        ...

    def act(self, act: Act) -> None:
        """Make a person's act durable. Fails it at once while the journal is down."""
        ...


class Recovered(Struct, frozen=True):
    """A waiting Signal read back. agents: those that have concluded it; verdicts: theirs, each
    once; sessions that a person released do not count. deliveries: how many it has had, and
    sessions in all. earlier: journaled before it with the same repeat key, newest first; none
    when a person released it.
    """

    seq: int
    signal: Signal
    agents: tuple[str, ...]
    deliveries: int
    earlier: tuple[Earlier, ...]
    verdicts: tuple[str, ...] = ()
    sessions: int = 0
