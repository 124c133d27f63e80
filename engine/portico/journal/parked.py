"""What waits for a person and what people did, read for people: by `Search.ask`, with or
without an engine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from portico.ids import SignalId, floor_at
from portico.journal import found
from portico.journal.found import ActFound
from portico.journal.tables import act, job, parked, signal


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


def listing(wanted: ParkedFilter) -> Callable[[sa.Connection], list[ParkedSummary]]:
    """For Search.ask: those that fit, in the journal's order."""
    chosen = (
        sa.select(parked, signal.c.origin, signal.c.type, signal.c.control_id)
        .join(signal, signal.c.id == parked.c.signal)
        .where(*_clauses(wanted))
        .order_by(parked.c.seq, parked.c.kind, parked.c.number)
        .limit(wanted.limit)
    )
    return lambda db: [_parked(row._mapping) for row in db.execute(chosen)]


def heaps(wanted: ParkedFilter) -> Callable[[sa.Connection], list[Heap]]:
    """For Search.ask: those that fit, counted by reason. What is parked is few, so counted."""
    by = (parked.c.kind, parked.c.name, parked.c.agent, parked.c.code)
    chosen = (
        sa.select(*by, sa.func.count(), sa.func.min(parked.c.since))
        .where(*_clauses(wanted))
        .group_by(*by)
        .order_by(*by)
    )
    return lambda db: [Heap(*row) for row in db.execute(chosen)]


def acts(of: SignalId | None, limit: int) -> Callable[[sa.Connection], list[ActFound]]:
    """For Search.ask: what people did, newest first; `of` one Signal, or that made it."""
    chosen = sa.select(act).order_by(act.c.place.desc()).limit(limit)
    if of is not None:
        key = UUID(bytes=of)
        mine = sa.union_all(
            sa.select(act).where(act.c.signal == key),
            sa.select(act).where(act.c.other == key, act.c.other.is_not(None)),
        ).subquery()
        chosen = sa.select(mine).order_by(mine.c.place.desc()).limit(limit)
    return lambda db: [found.act(row._mapping) for row in db.execute(chosen)]


def jobs(limit: int) -> Callable[[sa.Connection], list[JobFound]]:
    """For Search.ask: the latest replays of many, newest first."""
    chosen = sa.select(job).order_by(job.c.at.desc()).limit(limit)
    return lambda db: [
        found.of(JobFound, row._mapping, id=str(row.id)) for row in db.execute(chosen)
    ]


def _clauses(wanted: ParkedFilter) -> list[sa.ColumnElement[bool]]:
    pairs = (
        (parked.c.kind, wanted.kind),
        (parked.c.name, wanted.name),
        (parked.c.agent, wanted.agent),
        (parked.c.code, wanted.code),
    )
    clauses: list[sa.ColumnElement[bool]] = [
        column == value for column, value in pairs if value
    ]
    if wanted.since is not None:
        floor = floor_at(max(0, wanted.since // 1_000_000))
        clauses.append(parked.c.signal >= UUID(bytes=floor))
    if wanted.after is not None:
        place = sa.tuple_(parked.c.seq, parked.c.kind, parked.c.number)
        clauses.append(parked.c.seq >= wanted.after[0])  # what an index can begin at
        clauses.append(place > sa.tuple_(*map(sa.literal, wanted.after)))
    return clauses


def _parked(values: Any) -> ParkedSummary:
    return found.of(ParkedSummary, values, signal=SignalId(values["signal"].bytes))
