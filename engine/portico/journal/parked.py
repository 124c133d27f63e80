"""What waits for a person and what people did, read for people: by `Search`, with or
without an engine.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from portico.ids import SignalId, floor_at
from portico.journal import found
from portico.journal.found import ActFound, Heap, JobFound, ParkedFilter, ParkedSummary
from portico.journal.tables import act, job, parked, signal


def listing(wanted: ParkedFilter) -> Callable[[sa.Connection], list[ParkedSummary]]:
    """For Selects.read: those that fit, in the journal's order."""
    chosen = (
        sa.select(parked, signal.c.origin, signal.c.type, signal.c.control_id)
        .join(signal, signal.c.id == parked.c.signal)
        .where(*_clauses(wanted))
        .order_by(parked.c.seq, parked.c.kind, parked.c.number)
        .limit(wanted.limit)
    )
    return lambda db: [_parked(row._mapping) for row in db.execute(chosen)]


def heaps(wanted: ParkedFilter) -> Callable[[sa.Connection], list[Heap]]:
    """For Selects.read: those that fit, counted by reason; what is parked is few."""
    by = (parked.c.kind, parked.c.name, parked.c.agent, parked.c.code)
    chosen = (
        sa.select(*by, sa.func.count(), sa.func.min(parked.c.since))
        .where(*_clauses(wanted))
        .group_by(*by)
        .order_by(*by)
    )
    return lambda db: [Heap(*row) for row in db.execute(chosen)]


def acts(of: SignalId | None, limit: int) -> Callable[[sa.Connection], list[ActFound]]:
    """For Selects.read: what people did, newest first; `of` one Signal, or that made it."""
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
    """For Selects.read: the latest replays of many, newest first."""
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
