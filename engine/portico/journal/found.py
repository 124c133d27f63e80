"""What a search gives: frozen values made from rows."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from portico.ids import SignalId

# SQLAlchemy's row mappings: not quite typing's Mapping[str, Any].
_Values = Any
_Rows = Iterable[_Values]
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for; an empty part asks for nothing.

    type: `*` stands for any run. since, until: nanoseconds since 1970 UTC, the second one not
    included. state: of model.states.SignalState but `running`, which is in memory only.
    """

    channel: str = ""
    type: str = ""
    control_id: str = ""
    patient: str = ""
    since: int | None = None
    until: int | None = None
    state: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the answer. before: the last id of the page before; None: the newest."""

    before: SignalId | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One Signal in a list. received: to the microsecond. ended: as model.signal.Signal's."""

    id: SignalId
    seq: int
    origin: str
    received: datetime
    type: str
    control_id: str
    sender: str
    patient: str
    order_key: str
    peer: str
    size: int
    flags: str
    ended: str
    state: str


@dataclass(frozen=True, slots=True)
class SessionFound:
    """One session. detail: runs, refusal, failure, logs, as the running side wrote them."""

    number: int
    agent: str
    version: str
    verdict: str
    step: str
    error: str
    micros: int
    concluded: datetime
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AttemptFound:
    """One try of a Delivery, with the peer's exact answer."""

    number: int
    at: datetime
    outcome: str
    code: str
    micros: int
    detail: str
    answer: bytes


@dataclass(frozen=True, slots=True)
class DeliveryFound:
    """One Delivery with the bytes it sends and all its attempts."""

    number: int
    session: int
    destination: str
    lane: str
    control_id: str
    file: str
    state: str
    content: bytes
    attempts: tuple[AttemptFound, ...]


@dataclass(frozen=True, slots=True)
class ParkedFound:
    """Why something waits for a person."""

    kind: str
    number: int
    name: str
    agent: str
    hold: bool
    code: str
    reason: str
    step: str
    at: str
    location: str
    tries: int
    since: datetime


@dataclass(frozen=True, slots=True)
class ActFound:
    """What a person did. place: its order."""

    place: int
    at: datetime
    who: str
    what: str
    signal: SignalId
    kind: str
    number: int
    reason: str
    other: SignalId | None
    job: str


@dataclass(frozen=True, slots=True)
class CallFound:
    """A call of a step, of a model in it or of a tool. at: when it began, or was stored."""

    agent: str
    step: str
    verb: str
    target: str
    at: datetime
    micros: int
    error: str


@dataclass(frozen=True, slots=True)
class Record:
    """One Signal whole."""

    row: Row
    content: bytes
    sha256: bytes
    parent: SignalId | None
    sessions: tuple[SessionFound, ...]
    deliveries: tuple[DeliveryFound, ...]
    parked: tuple[ParkedFound, ...]
    acts: tuple[ActFound, ...] = ()
    calls: tuple[CallFound, ...] = ()


@dataclass(frozen=True, slots=True)
class Book:
    """Counts by state. oldest: the first Signal that waits, or whose Delivery is queued."""

    counts: Mapping[str, int]
    oldest: SignalId | None = None


@dataclass(frozen=True, slots=True)
class Books:
    """The books by channel and by destination, of one instant."""

    channels: Mapping[str, Book]
    destinations: Mapping[str, Book]


@dataclass(frozen=True, slots=True)
class ParkedFilter:
    """Which parked messages; an empty part asks for nothing. name: of the channel or the
    destination; since: nanoseconds since 1970 UTC. before: (seq, number) of the last one seen.
    """

    kind: str = ""
    name: str = ""
    agent: str = ""
    code: str = ""
    since: int | None = None
    after: tuple[int, str, int] | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class ParkedSummary:
    """One that waits for a person. See model.verdict.Failure for code, step, at, location."""

    signal: SignalId
    kind: str
    number: int
    seq: int
    name: str
    agent: str
    lane: str
    hold: bool
    code: str
    reason: str
    step: str
    at: str
    location: str
    tries: int
    since: datetime
    origin: str
    type: str
    control_id: str


@dataclass(frozen=True, slots=True)
class Heap:
    """How many are parked for the same reason."""

    kind: str
    name: str
    agent: str
    code: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class JobFound:
    """A replay of many Signals. query: JSON."""

    id: str
    at: datetime
    who: str
    query: str
    state: str
    total: int
    made: int
    skipped: int
    note: str


def row(values: _Values) -> Row:
    """A Row of the columns with its names."""
    return of(Row, values, id=SignalId(values["id"].bytes))


def record(
    head: _Values,
    bodies: Mapping[int, bytes],
    sessions: _Rows,
    deliveries: _Rows,
    attempts: _Rows,
    parked: _Rows,
    acts: _Rows = (),
    calls: _Rows = (),
) -> Record:
    """One Signal from the rows of all tables. A body that retention has dropped is empty."""
    held = {p["number"] for p in parked if p["kind"] == "delivery"}
    tried: dict[int, list[AttemptFound]] = {}
    for a in attempts:
        tried.setdefault(a["number"], []).append(_attempt(a))
    return Record(
        row=row(head),
        content=bodies.get(0, b""),
        sha256=bytes(head["sha256"]),
        parent=SignalId(head["parent"].bytes) if head["parent"] else None,
        sessions=tuple(of(SessionFound, s) for s in sessions),
        deliveries=tuple(
            _delivery(d, bodies, tuple(tried.get(d["number"], ())), d["number"] in held)
            for d in deliveries
        ),
        parked=tuple(of(ParkedFound, p) for p in parked),
        acts=tuple(act(a) for a in acts),
        calls=tuple(of(CallFound, c) for c in calls),
    )


def act(values: _Values) -> ActFound:
    """One row of `act`."""
    return ActFound(
        values["place"],
        values["at"],
        values["who"],
        values["what"],
        SignalId(values["signal"].bytes),
        values["kind"],
        values["number"],
        values["reason"],
        SignalId(values["other"].bytes) if values["other"] else None,
        str(values["job"]) if values["job"] else "",
    )


def of(kind: Callable[..., Made], values: _Values, **other: Any) -> Made:
    """A dataclass made of the columns with the names of its fields; other: fields made so."""
    names: Any = fields(kind)  # type: ignore[arg-type]
    return kind(**{one.name: values[one.name] for one in names} | other)


def _attempt(values: _Values) -> AttemptFound:
    return AttemptFound(
        values["try"],
        values["at"],
        values["outcome"],
        values["code"],
        values["micros"],
        values["detail"],
        bytes(values["answer"]),
    )


def _delivery(
    values: _Values,
    bodies: Mapping[int, bytes],
    attempts: tuple[AttemptFound, ...],
    parked: bool,
) -> DeliveryFound:
    return DeliveryFound(
        values["number"],
        values["session"],
        values["destination"],
        values["lane"],
        values["control_id"],
        values["file"],
        _delivery_state(values["queued"], parked, attempts),
        bodies.get(values["part"], b""),
        attempts,
    )


def _delivery_state(queued: bool, parked: bool, attempts: tuple[AttemptFound, ...]) -> str:
    if queued:
        return "queued"
    if parked:
        return "parked"
    delivered = any(a.outcome == "delivered" for a in attempts)
    return "delivered" if delivered else "discarded"
