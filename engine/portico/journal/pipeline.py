"""One connection in libpq's pipeline mode, on the engine's loop: a batch, one sync, one answer.

A batch is one implicit transaction: all of it is committed when its answer says so. Batches
follow each other without waiting, and are answered in order. The connection is psycopg's; its
public `pq` layer is used because the higher one costs more per flush than the flush (PostgreSQL
documentation, 32.5 "Pipeline Mode").
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection, pq

from portico.errors import JournalError, JournalFenced, JournalRefused, JournalUnclear

Rows = dict[str, list[tuple[bytes | None, ...]]]
Answer = Callable[[Rows | None, JournalError | None], None]

_BINARY = 1
_WORDS = {
    "53100": ", disk full",
    "53200": ", out of memory",
    "58030": ", input or output error",
}


class _Sent:
    """A batch on its way. at: the statement whose answer comes next."""

    __slots__ = ("answer", "at", "error", "names", "rows", "timer")

    def __init__(self, names: list[str], answer: Answer, timer: asyncio.TimerHandle) -> None:
        self.names, self.answer, self.timer = names, answer, timer
        self.rows: Rows = {}
        self.error: JournalError | None = None
        self.at = 0


class Pipeline:
    """Sends batches of prepared statements.

    deadline: seconds a batch may take; after it the connection is closed and the batch unclear.
    closed: called once the connection is gone, whoever closed it.
    """

    def __init__(
        self,
        connection: AsyncConnection[Any],
        loop: asyncio.AbstractEventLoop,
        deadline: float,
        closed: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._pg: pq.abc.PGconn = connection.pgconn
        self._loop = loop
        self._deadline = deadline
        self._closed = closed
        self._socket = self._pg.socket
        self._sent: deque[_Sent] = deque()
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        loop.add_reader(self._socket, self._readable)

    def send(self, batch: Sequence[tuple[str, list[bytes]]], answer: Answer) -> None:
        """Send (statement name, binary parameters) pairs and one sync.

        `answer` is called once, after those of all batches before: with the rows of the
        statements that gave any, or an error.
        JournalUnavailable: nothing of the batch is stored. JournalUnclear: nobody knows.
        """
        timer = self._loop.call_later(self._deadline, self._overdue)
        self._sent.append(_Sent([name for name, _ in batch], answer, timer))
        try:
            for name, params in batch:
                self._pg.send_query_prepared(
                    name.encode(), params, [_BINARY] * len(params), result_format=_BINARY
                )
            self._pg.pipeline_sync()
            self._flush()
        except psycopg.Error:
            self.close()

    def close(self, error: JournalError | None = None) -> None:
        """Close the connection; what is on its way ends with `error`, unclear by default."""
        if self._socket >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket = -1
            self._pg.finish()
        while self._sent:
            self._done(error or JournalUnclear("the connection was lost during a batch"))
        self._closed()

    def _overdue(self) -> None:
        self.close(JournalUnclear(f"no answer within {self._deadline:g} s"))

    def _flush(self) -> None:
        if self._pg.flush():
            self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        try:
            if not self._pg.flush():
                self._loop.remove_writer(self._socket)
        except psycopg.Error:
            self.close()

    def _readable(self) -> None:
        try:
            self._pg.consume_input()
            while self._socket >= 0 and self._sent and not self._pg.is_busy():
                self._take(self._pg.get_result())
        except psycopg.Error:
            self.close()

    def _take(self, result: pq.abc.PGresult | None) -> None:
        """One result: a statement's end (None), its rows or error, or the sync."""
        sent = self._sent[0]
        if result is None:
            sent.at += 1
        elif result.status == pq.ExecStatus.TUPLES_OK:
            sent.rows[sent.names[sent.at]] = [
                tuple(result.get_value(row, column) for column in range(result.nfields))
                for row in range(result.ntuples)
            ]
        elif result.status == pq.ExecStatus.PIPELINE_SYNC:
            self._done(sent.error)
        elif result.status == pq.ExecStatus.FATAL_ERROR and sent.error is None:
            # Behind the last statement it is the commit's.
            name = sent.names[sent.at] if sent.at < len(sent.names) else "commit"
            sent.error = _error_of(result, name)

    def _done(self, error: JournalError | None) -> None:
        sent = self._sent.popleft()
        sent.timer.cancel()
        sent.answer(None if error else sent.rows, error)


def _error_of(result: pq.abc.PGresult, statement: str) -> JournalError:
    """The error of a failed statement; never the server's text, which may show a row."""
    state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"?").decode()
    if state == "PF001":
        return JournalFenced("another engine has taken this journal's lease")
    words = _WORDS.get(state, "")
    return JournalRefused(f"{statement} failed with SQLSTATE {state}{words}", state)
