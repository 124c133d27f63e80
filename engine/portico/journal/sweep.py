"""Walking over many Signals, oldest first, page by page: for replays of many (Search.ask)."""

from collections.abc import Callable
from uuid import UUID

import sqlalchemy as sa

from portico.ids import SignalId
from portico.journal.found import Query
from portico.journal.search import filtered
from portico.journal.tables import signal


def page(
    query: Query, after: SignalId | None, before: SignalId, limit: int
) -> Callable[[sa.Connection], list[SignalId]]:
    """The ids that fit, after and before these."""
    clauses = [*filtered(query), signal.c.id < UUID(bytes=before)]
    if after is not None:
        clauses.append(signal.c.id > UUID(bytes=after))
    chosen = sa.select(signal.c.id).where(*clauses).order_by(signal.c.id).limit(limit)
    return lambda db: [SignalId(row.id.bytes) for row in db.execute(chosen)]


def count(query: Query, before: SignalId, most: int) -> Callable[[sa.Connection], int]:
    """How many fit, `most` at most: all of them are going to be read anyway."""
    clauses = [*filtered(query), signal.c.id < UUID(bytes=before)]
    some = sa.select(signal.c.id).where(*clauses).limit(most).subquery()
    chosen = sa.select(sa.func.count()).select_from(some)
    return lambda db: int(db.execute(chosen).scalar_one())
