"""What `search.py` reads in its threads, and SQLAlchemy's engine for it. Everything blocks."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy import exc

from portico.errors import JournalRefused, JournalUnavailable, PorticoError, RequestError
from portico.ids import SignalId
from portico.journal import connect, found, sweep
from portico.journal import parked as handled
from portico.journal.criteria import names_of, one_in, select_signals, state_of
from portico.journal.found import (
    ActFound,
    Book,
    Books,
    Heap,
    JobFound,
    Page,
    ParkedFilter,
    ParkedSummary,
    Query,
    Record,
    Row,
)
from portico.journal.tables import (
    act,
    attempt,
    body,
    call,
    delivery,
    parked,
    queued,
    session,
    signal,
    tally,
    waiting,
)

T = TypeVar("T")

DEADLINE = 10.0  # seconds one statement may take
CONNECTIONS = 2
# The narrow tables change so fast that their statistics lie: never read one from end to end.
SESSION = (
    f"set statement_timeout = {int(DEADLINE * 1000)}",
    "set default_transaction_read_only = on",
    "set enable_seqscan = off",
    "set datestyle = iso",  # the one that the driver reads
)
_CANCELED = "57014"


class Selects:
    """Reads a journal, one statement a connection. Verbs are those of `Search`.

    conninfo: where it is now, asked for each new connection.
    """

    def __init__(self, conninfo: Callable[[], str]) -> None:
        self._conninfo = conninfo
        self._engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
        )

    def signals(self, query: Query, page: Page) -> list[Row]:
        """A page of them."""
        return self.read(lambda db: _signals(db, query, page))

    def signal(self, wanted: SignalId) -> Record | None:
        """One, whole."""
        return self.read(lambda db: _record(db, wanted))

    def books(self) -> Books:
        """All counts."""
        return self.read(_books)

    def parked(self, wanted: ParkedFilter) -> list[ParkedSummary]:
        """What waits for a person."""
        return self.read(handled.listing(wanted))

    def heaps(self, wanted: ParkedFilter) -> list[Heap]:
        """The same, counted."""
        return self.read(handled.heaps(wanted))

    def acts(self, of: SignalId | None, limit: int) -> list[ActFound]:
        """What people did."""
        return self.read(handled.acts(of, limit))

    def jobs(self, limit: int) -> list[JobFound]:
        """Replays of many."""
        return self.read(handled.jobs(limit))

    def sweep(
        self, query: Query, after: SignalId | None, before: SignalId, limit: int
    ) -> list[SignalId]:
        """A page of ids, oldest first."""
        return self.read(sweep.page(query, after, before, limit))

    def count(self, query: Query, before: SignalId, most: int) -> int:
        """How many ids."""
        return self.read(sweep.count(query, before, most))

    def reach(self) -> None:
        """Raises when the database does not answer."""
        self.read(lambda db: db.execute(sa.text("select 1")).one())

    def read(self, read: Callable[[sa.Connection], T]) -> T:
        """What is read. The server's own words may show a row, so they stop here."""
        try:
            with self._engine.connect() as connection:
                return read(connection)
        except (exc.DBAPIError, psycopg.Error, UnicodeEncodeError) as error:
            raise _error_of(error) from None

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _connect(self) -> Any:
        conninfo, timeout = self._conninfo(), int(DEADLINE)
        try:
            connection = psycopg.connect(conninfo, connect_timeout=timeout, **connect.WATCH)
        except psycopg.Error as error:
            raise connect.unreachable(conninfo, error) from None
        for setting in SESSION:
            connection.execute(setting)
        connection.commit()
        return connection


def _error_of(error: Exception) -> PorticoError:
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    state = getattr(cause, "sqlstate", None)
    if state is None and isinstance(cause, psycopg.DataError | UnicodeEncodeError):
        return RequestError("no text holds such a character (NUL, or a byte that is not UTF-8)")
    if state == _CANCELED:
        return JournalUnavailable(
            f"the search took more than {DEADLINE:g} s; narrow it by time, channel or id"
        )
    if state is None or state.startswith(("08", "57", "53", "28", "3D")):
        return JournalUnavailable("the journal cannot be reached")
    return JournalRefused(f"a search failed with SQLSTATE {state}", state)


def _signals(db: sa.Connection, query: Query, page: Page) -> list[Row]:
    names = names_of(db, query.channel) if query.channel else ()
    return [found.row(r._mapping) for r in db.execute(select_signals(query, page, names))]


def _record(db: sa.Connection, wanted: SignalId) -> Record | None:
    key = UUID(bytes=wanted)
    head = db.execute(
        sa.select(signal, state_of(signal).label("state")).where(signal.c.id == key)
    ).one_or_none()
    if head is None:
        return None
    bodies = {
        r.part: bytes(r.content)
        for r in db.execute(sa.select(body.c.part, body.c.content).where(body.c.signal == key))
    }
    return found.record(
        head._mapping,
        bodies,
        _all(db, session, key),
        _deliveries(db, key),
        _all(db, attempt, key),
        _all(db, parked, key),
        _acts(db, key),
        _calls(db, key),
    )


def _calls(db: sa.Connection, key: UUID) -> list[Any]:
    """What its steps asked, without what left and came back."""
    names = "agent", "step", "verb", "target", "at", "micros", "error"
    columns = (call.c[name] for name in names)
    chosen = sa.select(*columns).where(call.c.signal == key).order_by(call.c.at)
    return [r._mapping for r in db.execute(chosen)]


def _acts(db: sa.Connection, key: UUID) -> list[Any]:
    """What people did to it, and what made it, in order."""
    mine = sa.select(act).where(act.c.signal == key)
    made = sa.select(act).where(act.c.other == key, act.c.other.is_not(None))
    return sorted(
        (r._mapping for chosen in (mine, made) for r in db.execute(chosen)),
        key=lambda row: row["place"],
    )


def _all(db: sa.Connection, table: sa.Table, key: UUID) -> list[Any]:
    """All rows of a Signal, in the order of the primary key."""
    chosen = sa.select(table).where(table.c.signal == key).order_by(*table.primary_key.columns)
    return [r._mapping for r in db.execute(chosen)]


def _deliveries(db: sa.Connection, key: UUID) -> list[Any]:
    waits = one_in(
        queued, queued.c.destination == delivery.c.destination, queued.c.seq == delivery.c.seq
    )
    chosen = (
        sa.select(delivery, waits.label("queued"))
        .where(delivery.c.signal == key)
        .order_by(delivery.c.number)
    )
    return [r._mapping for r in db.execute(chosen)]


def _oldest(table: sa.Table, name: sa.Column[Any]) -> sa.ScalarSelect[Any]:
    """The first in the order of the journal; one step into the primary key."""
    return (
        sa.select(table.c.signal)
        .where(name == tally.c.name)
        .order_by(table.c.seq)
        .limit(1)
        .scalar_subquery()
    )


def select_books() -> sa.Select[Any]:
    """The statement behind `books`: one, so that all of it is from the same instant."""
    oldest = sa.case(
        (
            sa.and_(tally.c.scope == "channel", tally.c.state == "waiting", tally.c.n > 0),
            _oldest(waiting, waiting.c.origin),
        ),
        (
            sa.and_(tally.c.scope == "destination", tally.c.state == "queued", tally.c.n > 0),
            _oldest(queued, queued.c.destination),
        ),
    )
    return sa.select(
        tally.c.scope, tally.c.name, tally.c.state, tally.c.n, oldest.label("oldest")
    )


def _books(db: sa.Connection) -> Books:
    counts: dict[tuple[str, str], dict[str, int]] = {}
    oldest: dict[tuple[str, str], SignalId] = {}
    for line in db.execute(select_books()):
        key = line.scope, line.name
        counts.setdefault(key, {})[line.state] = line.n
        if line.oldest is not None:
            oldest[key] = SignalId(line.oldest.bytes)

    def scope(wanted: str) -> dict[str, Book]:
        return {
            name: Book(counted, oldest.get((kind, name)))
            for (kind, name), counted in sorted(counts.items())
            if kind == wanted
        }

    return Books(scope("channel"), scope("destination"))
