"""The read side: find Signals, show one whole, read the books. It never writes.

Rows come newest first and page by id; a time is a range of ids, so that partitions outside it
are not touched. History is never counted: counts are the books' (`tally`). Statements run in
two threads of their own, ten seconds each: slow ones keep no thread from messages.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy import exc

from portico.errors import JournalRefused, JournalUnavailable
from portico.ids import SignalId, floor_at
from portico.journal import found
from portico.journal.found import Book, Books, Page, Query, Record, Row
from portico.journal.tables import (
    act,
    attempt,
    body,
    call,
    delivery,
    parked,
    queued,
    renamed,
    session,
    signal,
    tally,
    waiting,
)

T = TypeVar("T")

DEADLINE = 10.0  # seconds one statement may take
_CONNECTIONS = 2
# The narrow tables change so fast that their statistics lie: never read one from end to end.
SESSION = (
    f"set statement_timeout = {int(DEADLINE * 1000)}",
    "set default_transaction_read_only = on",
    "set enable_seqscan = off",
)
_CANCELED = "57014"

# Of several sessions the first of these says what became of the Signal.
_VERDICTS = ("duplicate", "refuse", "deliver", "drop", "fault")
_OF_CHANNELS = (renamed.c.scope == "channel",)
_ENDS = ("duplicate", "refused", "done", "filtered", "discarded")


class Search:
    """Reads a journal. conninfo: libpq's text or URL; it may hold a password: never printed.

    Every verb raises JournalUnavailable when the journal cannot be read in time.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._threads = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="search")
        self._engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
        )

    async def signals(self, query: Query, page: Page = Page()) -> list[Row]:  # noqa: B008 - frozen
        """The Signals that fit, newest first, at most `page.limit`."""
        return await self._run(lambda db: _signals(db, query, page))

    async def signal(self, wanted: SignalId) -> Record | None:
        """One Signal with its body, sessions, Deliveries, attempts; None when there is none."""
        return await self._run(lambda db: _record(db, wanted))

    async def books(self) -> Books:
        """What the journal counts by channel and by destination, in one snapshot."""
        return await self._run(_books)

    async def ask(self, read: Callable[[sa.Connection], T]) -> T:
        """What a read of another module of this room gives."""
        return await self._run(read)

    async def reach(self) -> None:
        """Return when the database answers; whether it holds a journal is not asked."""
        await self._run(lambda db: db.execute(sa.text("select 1")).one())

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._engine.dispose()

    def _connect(self) -> Any:
        connection = psycopg.connect(self._conninfo, connect_timeout=int(DEADLINE))
        for setting in SESSION:
            connection.execute(setting)
        connection.commit()
        return connection

    async def _run(self, read: Callable[[sa.Connection], T]) -> T:
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._read, read)
        try:
            return await asyncio.wait_for(work, 2 * DEADLINE)
        except TimeoutError:
            raise JournalUnavailable("too many searches at once; try again") from None

    def _read(self, read: Callable[[sa.Connection], T]) -> T:
        """The server's own words may show a row, so they stop here."""
        try:
            with self._engine.connect() as connection:
                return read(connection)
        except (exc.DBAPIError, psycopg.Error) as error:
            raise _error_of(error) from None


def _error_of(error: Exception) -> JournalUnavailable | JournalRefused:
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    state = getattr(cause, "sqlstate", None)
    if state == _CANCELED:
        return JournalUnavailable(
            f"the search took more than {DEADLINE:g} s; narrow it by time, channel or id"
        )
    if state is None or state.startswith(("08", "57", "53", "28", "3D")):
        return JournalUnavailable("the journal cannot be reached")
    return JournalRefused(f"a search failed with SQLSTATE {state}", state)


def select_signals(query: Query, page: Page, names: Sequence[str] = ()) -> sa.Select[Any]:
    """The statement behind `signals`; what is not asked for leaves no trace in it.
    names: what the channel has been called, where that is more than its name.

    The page is cut first, so that a state is looked up for its rows alone.
    """
    wanted = sa.select(signal).where(*_clauses(query, page, names))
    if query.state:
        wanted = wanted.where(_in_state(query.state))
    cut = wanted.order_by(signal.c.id.desc()).limit(page.limit).subquery("page")
    return sa.select(cut, _state(cut).label("state")).order_by(cut.c.id.desc())


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


def _state(of: sa.FromClause) -> sa.ColumnElement[str]:
    """What state a Signal is in: by the narrow tables, by what people did, then by its
    sessions' verdicts."""
    waits = _one_in(waiting, waiting.c.origin == of.c.origin, waiting.c.seq == of.c.seq)
    is_parked = _one_in(parked, parked.c.signal == of.c.id, parked.c.kind == "signal")
    rank = sa.case({v: n for n, v in enumerate(_VERDICTS)}, value=session.c.verdict)
    mine = act.c.signal == session.c.signal, act.c.number == session.c.number
    released = _one_in(act, *mine, act.c.kind == "signal", act.c.what == "release")
    counts = session.c.signal == of.c.id, sa.not_(released)
    least = sa.select(sa.func.min(rank)).where(*counts).scalar_subquery()
    given_up = act.c.kind == "signal", act.c.what.in_(("discard", "edit"))
    discarded = _one_in(act, act.c.signal == of.c.id, *given_up)
    ends = {n: sa.literal(end) for n, end in enumerate(_ENDS)}
    return sa.case(
        (of.c.ended.startswith("refused:"), sa.literal("refused")),
        (of.c.ended != "", sa.literal("filtered")),
        (waits, sa.literal("waiting")),
        (is_parked, sa.literal("parked")),
        (discarded, sa.literal("discarded")),
        else_=sa.case(ends, value=least, else_=sa.literal("done")),
    )


def _one_in(table: sa.Table, *clauses: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether the table has such a row. EXISTS may be hashed, which reads the whole table."""
    found = sa.select(sa.literal(1)).select_from(table).where(*clauses).limit(1)
    return found.scalar_subquery().is_not(None)


def _in_state(name: str) -> sa.ColumnElement[bool]:
    """The narrow tables find what waits and what is parked; the rest is read along history."""
    if name == "waiting":
        return signal.c.id.in_(sa.select(waiting.c.signal))
    state = _state(signal)
    if name == "parked":
        some = sa.select(parked.c.signal).where(parked.c.kind == "signal")
        return sa.and_(signal.c.id.in_(some), state == name)
    return state == name


def _signals(db: sa.Connection, query: Query, page: Page) -> list[Row]:
    names = names_of(db, query.channel) if query.channel else ()
    return [found.row(r._mapping) for r in db.execute(select_signals(query, page, names))]


def _record(db: sa.Connection, wanted: SignalId) -> Record | None:
    key = UUID(bytes=wanted)
    head = db.execute(
        sa.select(signal, _state(signal).label("state")).where(signal.c.id == key)
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
    waits = _one_in(
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
