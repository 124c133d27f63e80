"""Connections to the journal: checked when made, with a deadline on every use, quiet in errors.

    connection = await connect.connect(conninfo, deadline=5)
    with connect.within(connection, 2):
        await connection.execute(...)

TCP time-outs do not notice a frozen server, and psycopg answers a cancelled task by waiting
for the server; so a deadline shuts the socket itself, and the statement fails at once. A
connection that met its deadline is broken for good: close it and make another.

psycopg's errors quote the row that failed. None of their text goes further than this file.
"""

import asyncio
import os
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.abc import QueryNoTemplate
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq.abc import PGconn
from psycopg.rows import TupleRow

from portico.errors import (
    ConfigError,
    JournalError,
    JournalRefused,
    JournalUnavailable,
    JournalUnclear,
)
from portico.journal import safety

Connection = psycopg.AsyncConnection[TupleRow]
Statement = QueryNoTemplate
Parameters = Sequence[Any] | Mapping[str, Any] | None

# libpq's own watch over a remote peer that went away without a word: seconds, milliseconds.
WATCH: Mapping[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# Starts of SQLSTATEs after which the same work may succeed: connection, a standby where the
# primary was, another transaction, resources, locks, an operator's act, the system, damage.
# Source: PostgreSQL, appendix A.
_PASSING = ("08", "25006", "40", "53", "55", "57", "58", "XX")
# Whatever the defaults of the server and of the database are: the one style of dates that the
# driver reads, and writers of one row that wait for each other instead of failing.
_OURS = (
    "set_config('datestyle', 'iso', false), "
    "set_config('default_transaction_isolation', 'read committed', false)"
)
# What libpq and the server say of a connect that failed. It holds no row; what else it may
# hold (a broken URL with its password) does not match.
_CONNECT_FAILED = re.compile(r".*failed: (?:FATAL:\s+)?(.+)|(failed to resolve host .+)")


async def connect(
    conninfo: str,
    *,
    deadline: float = 5.0,
    autocommit: bool = True,
    application_name: str = "portico",
) -> Connection:
    """A connection to a database that passed the safety check.

    Raises JournalUnavailable (also after `deadline` seconds) and JournalUnsafe.
    """
    try:
        async with asyncio.timeout(deadline):
            connection = await psycopg.AsyncConnection.connect(
                conninfo,
                autocommit=autocommit,
                application_name=application_name,
                client_encoding="utf8",
                connect_timeout=max(2, round(deadline)),
                **WATCH,
            )
    except (psycopg.Error, TimeoutError) as error:
        raise unreachable(conninfo, error) from None
    try:
        await _check(connection, place(conninfo), deadline)
    except JournalError:
        await connection.close()
        raise
    return connection


async def run(
    connection: Connection,
    statement: Statement,
    parameters: Parameters = None,
    *,
    deadline: float = 5.0,
    reads: bool = False,
) -> list[TupleRow]:
    """The rows of one statement, none for one that gives none. Raises as `within` does."""
    with within(connection, deadline, reads=reads):
        cursor = await connection.execute(statement, parameters)
        return await cursor.fetchall() if cursor.description else []
    raise AssertionError("within() raises what it catches")


class within:
    """Bounds what is done with a connection inside the block, and translates its errors.

    Raises JournalUnavailable (not stored), JournalUnclear (the connection was lost on the
    way: stored or not) or JournalRefused (the statement itself is at fault); with
    `reads=True` a lost connection is JournalUnavailable.
    """

    __slots__ = ("_alarm", "_connection", "_late", "_reads", "_seconds")

    def __init__(self, connection: Connection, seconds: float, *, reads: bool = False) -> None:
        self._connection = connection
        self._seconds = seconds
        self._reads = reads
        self._late = False

    def __enter__(self) -> Self:
        self._alarm = asyncio.get_running_loop().call_later(self._seconds, self._sever)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._alarm.cancel()
        if isinstance(error, psycopg.Error):
            raise self._translated(error) from None

    def _sever(self) -> None:
        self._late = True
        sever(self._connection.pgconn)

    def _translated(self, error: psycopg.Error) -> JournalError:
        if not (self._late or self._connection.closed):
            return refused(error)
        why = (
            f"no answer within {self._seconds:g} s" if self._late else "the connection was lost"
        )
        if self._reads:
            return JournalUnavailable(why)
        return JournalUnclear(why)


def refused(error: psycopg.Error) -> JournalError:
    """What the server's own refusal means. Its text stays here; it may hold a row."""
    state = error.sqlstate or "unknown"
    if state.startswith(_PASSING):
        return JournalUnavailable(f"the database refused for now, SQLSTATE {state}")
    return JournalRefused(f"the database refused the statement, SQLSTATE {state}", state)


def sever(pgconn: PGconn) -> None:
    """End a connection under whoever waits for it: they get an error at once."""
    with suppress(psycopg.Error, OSError):
        with socket.socket(fileno=os.dup(pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)


def place(conninfo: str) -> str:
    """Where a conninfo or URL leads, for people: `db.internal:5432/portico`. No secrets."""
    try:
        parts = conninfo_to_dict(conninfo)
    except psycopg.Error:
        return "an address that is not a PostgreSQL URL"
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    return f"{host}:{parts.get('port') or 5432}/{parts.get('dbname') or ''}"


def require_url(text: str) -> None:
    """Raises ConfigError when this can be no address of a PostgreSQL."""
    try:
        conninfo_to_dict(text)
    except psycopg.Error:
        raise ConfigError(
            "journal.url (or PORTICO_JOURNAL_URL) is no PostgreSQL URL; one looks like "
            "postgresql://USER@HOST:5432/DATABASE"
        ) from None


def unreachable(conninfo: str, error: Exception) -> JournalUnavailable:
    """Where nobody answered, and why: the server's or the system's words."""
    if match := _CONNECT_FAILED.search(str(error)):
        reason = match[1] or match[2]
    else:
        wrong = isinstance(error, psycopg.ProgrammingError)
        reason = "it is not a PostgreSQL URL" if wrong else "no answer in time"
    return JournalUnavailable(f"no connection to {place(conninfo)}: {reason}")


async def _check(connection: Connection, where: str, deadline: float) -> None:
    asked = f"{safety.QUERY}, {_OURS}"
    ((*settings, _, _),) = await run(connection, asked, deadline=deadline, reads=True)
    safety.require(safety.Settings(*settings), where)
