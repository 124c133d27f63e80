"""Which Signals a query means, as SQL, and the state that each of them is in."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from portico.ids import floor_at
from portico.journal.found import Page, Query
from portico.journal.tables import act, parked, renamed, session, signal, waiting

# Of several sessions the first of these says what became of the Signal.
_VERDICTS = ("duplicate", "refuse", "deliver", "drop", "fault")
_OF_CHANNELS = (renamed.c.scope == "channel",)
_ENDS = ("duplicate", "refused", "done", "filtered", "discarded")


def select_signals(query: Query, page: Page, names: Sequence[str] = ()) -> sa.Select[Any]:
    """The statement behind `signals`; what is not asked for leaves no trace in it.
    names: what the channel has been called, where that is more than its name.

    The page is cut first, so that a state is looked up for its rows alone.
    """
    wanted = sa.select(signal).where(*_clauses(query, page, names))
    if query.state:
        wanted = wanted.where(_in_state(query.state))
    cut = wanted.order_by(signal.c.id.desc()).limit(page.limit).subquery("page")
    return sa.select(cut, state_of(cut).label("state")).order_by(cut.c.id.desc())


def filtered(query: Query, names: Sequence[str] = ()) -> list[sa.ColumnElement[bool]]:
    """What a Signal must fulfil to be found. names: as of `select_signals`."""
    clauses = _clauses(query, Page(), names)
    return [*clauses, _in_state(query.state)] if query.state else clauses


def names_of(db: sa.Connection, channel: str) -> tuple[str, ...]:
    """A channel's name and those that it had; empty when it had no other."""
    now = sa.select(renamed.c.new).where(renamed.c.old == channel, *_OF_CHANNELS)
    new = db.execute(now).scalar_one_or_none() or channel
    had = sa.select(renamed.c.old).where(renamed.c.new == new, *_OF_CHANNELS)
    old = db.execute(had).scalars().all()
    return (new, *old) if old else ()


def _clauses(
    query: Query, page: Page, names: Sequence[str] = ()
) -> list[sa.ColumnElement[bool]]:
    clauses: list[sa.ColumnElement[bool]] = []
    if names:
        clauses.append(signal.c.origin.in_(names))
    for column, value in (
        (signal.c.origin, "" if names else query.channel),
        (signal.c.control_id, query.control_id),
        (signal.c.patient, query.patient),
    ):
        if value:
            clauses.append(column == value)
    if query.patient:
        clauses.append(signal.c.patient != "")  # lets the planner use the partial index
    if "*" in query.type:
        clauses.append(signal.c.type.like(_like(query.type), escape="\\"))
    elif query.type:
        clauses.append(signal.c.type == query.type)
    if query.since is not None:
        clauses.append(signal.c.id >= _floor(query.since))
    if query.until is not None:
        clauses.append(signal.c.id < _floor(query.until))
    if page.before is not None:
        clauses.append(signal.c.id < UUID(bytes=page.before))
    return clauses


def _floor(ns: int) -> UUID:
    return UUID(bytes=floor_at(max(0, min(ns // 1_000_000, (1 << 48) - 1))))


def _like(pattern: str) -> str:
    """`ADT^A0*` for LIKE, in which `%` and `_` of the text mean themselves."""
    for character in ("\\", "%", "_"):
        pattern = pattern.replace(character, "\\" + character)
    return pattern.replace("*", "%")


def state_of(of: sa.FromClause) -> sa.ColumnElement[str]:
    """What state a Signal is in: by the narrow tables, by what people did, then by its
    sessions' verdicts."""
    waits = one_in(waiting, waiting.c.origin == of.c.origin, waiting.c.seq == of.c.seq)
    is_parked = one_in(parked, parked.c.signal == of.c.id, parked.c.kind == "signal")
    rank = sa.case({v: n for n, v in enumerate(_VERDICTS)}, value=session.c.verdict)
    mine = act.c.signal == session.c.signal, act.c.number == session.c.number
    released = one_in(act, *mine, act.c.kind == "signal", act.c.what == "release")
    counts = session.c.signal == of.c.id, sa.not_(released)
    least = sa.select(sa.func.min(rank)).where(*counts).scalar_subquery()
    given_up = act.c.kind == "signal", act.c.what.in_(("discard", "edit"))
    discarded = one_in(act, act.c.signal == of.c.id, *given_up)
    ends = {n: sa.literal(end) for n, end in enumerate(_ENDS)}
    return sa.case(
        (of.c.ended.startswith("refused:"), sa.literal("refused")),
        (of.c.ended != "", sa.literal("filtered")),
        (waits, sa.literal("waiting")),
        (is_parked, sa.literal("parked")),
        (discarded, sa.literal("discarded")),
        else_=sa.case(ends, value=least, else_=sa.literal("done")),
    )


def one_in(table: sa.Table, *clauses: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether the table has such a row. EXISTS may be hashed, which reads the whole table."""
    found = sa.select(sa.literal(1)).select_from(table).where(*clauses).limit(1)
    return found.scalar_subquery().is_not(None)


def _in_state(name: str) -> sa.ColumnElement[bool]:
    """The narrow tables find what waits and what is parked; the rest is read along history."""
    if name == "waiting":
        return signal.c.id.in_(sa.select(waiting.c.signal))
    state = state_of(signal)
    if name == "parked":
        some = sa.select(parked.c.signal).where(parked.c.kind == "signal")
        return sa.and_(signal.c.id.in_(some), state == name)
    return state == name
