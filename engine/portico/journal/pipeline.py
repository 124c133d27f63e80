"""One connection in libpq's pipeline mode, on the engine's loop: a batch, one sync, one answer.

A batch is one implicit transaction: all of it is committed when its answer says so. The
connection is psycopg's; its public `pq` layer is used because the higher one costs more per
flush than the flush (PostgreSQL documentation, 32.5 "Pipeline Mode").
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection, pq

from portico.errors import JournalError, JournalFenced, JournalRefused, JournalUnclear

Rows = dict[str, list[tuple[bytes | None, ...]]]
Answer = Callable[[Rows | None, JournalError | None], None]

_BINARY = 1


class Pipeline:
    """Sends batches of prepared statements, one batch at a time.

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
        self._names: list[str] = []
        self._rows: Rows = {}
        self._error: JournalError | None = None
        self._at = 0
        self._answer: Answer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        loop.add_reader(self._socket, self._readable)

    @property
    def busy(self) -> bool:
        """A batch is on its way."""
        return self._answer is not None

    def send(self, batch: Sequence[tuple[str, list[bytes]]], answer: Answer) -> None:
        """Send (statement name, binary parameters) pairs and one sync.

        `answer` is called once: with the rows of the statements that gave any, or an error.
        JournalUnavailable: nothing of the batch is stored. JournalUnclear: nobody knows.
        """
        assert not self.busy
        self._names = [name for name, _ in batch]
        self._rows, self._error, self._at, self._answer = {}, None, 0, answer
        self._timer = self._loop.call_later(self._deadline, self._overdue)
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
        """Close the connection; a batch on its way ends with `error`, unclear by default."""
        if self._socket >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket = -1
            self._pg.finish()
        if self._answer is not None:
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
            while self._socket >= 0 and self._answer is not None and not self._pg.is_busy():
                self._take(self._pg.get_result())
        except psycopg.Error:
            self.close()

    def _take(self, result: pq.abc.PGresult | None) -> None:
        """One result: a statement's end (None), its rows or error, or the sync."""
        if result is None:
            self._at += 1
        elif result.status == pq.ExecStatus.TUPLES_OK:
            self._rows[self._names[self._at]] = [
                tuple(result.get_value(row, column) for column in range(result.nfields))
                for row in range(result.ntuples)
            ]
        elif result.status == pq.ExecStatus.PIPELINE_SYNC:
            self._done(self._error)
        elif result.status == pq.ExecStatus.FATAL_ERROR and self._error is None:
            self._error = _error_of(result, self._names[self._at])

    def _done(self, error: JournalError | None) -> None:
        answer, self._answer = self._answer, None
        if self._timer is not None:
            self._timer.cancel()
        assert answer is not None
        answer(None if error else self._rows, error)


def _error_of(result: pq.abc.PGresult, statement: str) -> JournalError:
    """The error of a failed statement; never the server's text, which may show a row."""
    state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"?").decode()
    if state == "PF001":
        return JournalFenced("another engine has taken this journal's lease")
    return JournalRefused(f"{statement} failed with SQLSTATE {state}", state)
