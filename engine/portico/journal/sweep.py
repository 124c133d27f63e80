"""Walking over many Signals, oldest first, page by page: for replays of many (Search)."""

from collections.abc import Callable
from uuid import UUID

import sqlalchemy as sa

from portico.ids import SignalId
from portico.journal.criteria import filtered, names_of
from portico.journal.found import Query
from portico.journal.tables import signal


def page(
    query: Query, after: SignalId | None, before: SignalId, limit: int
) -> Callable[[sa.Connection], list[SignalId]]:
    """The ids that fit, after and before these."""

    def read(db: sa.Connection) -> list[SignalId]:
        clauses = _within(db, query, before)
        if after is not None:
            clauses.append(signal.c.id > UUID(bytes=after))
        chosen = sa.select(signal.c.id).where(*clauses).order_by(signal.c.id).limit(limit)
        return [SignalId(row.id.bytes) for row in db.execute(chosen)]

    return read


def count(query: Query, before: SignalId, most: int) -> Callable[[sa.Connection], int]:
    """How many fit, `most` at most: all of them are going to be read anyway."""

    def read(db: sa.Connection) -> int:
        some = sa.select(signal.c.id).where(*_within(db, query, before)).limit(most).subquery()
        return int(db.execute(sa.select(sa.func.count()).select_from(some)).scalar_one())

    return read


def _within(db: sa.Connection, query: Query, before: SignalId) -> list[sa.ColumnElement[bool]]:
    names = names_of(db, query.channel) if query.channel else ()
    return [*filtered(query, names), signal.c.id < UUID(bytes=before)]
