"""A link to the journal: one connection, made when needed and again after it was lost.

    link = Link(conninfo, deadline=10)
    rows = await link.run("select version from journal_schema")

One statement at a time, whoever asks. What is asked beside the group commit goes over a few
links, so that however much is asked at once, the database serves few connections.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from psycopg.rows import TupleRow

from portico.journal import connect
from portico.journal.connect import Connection, Parameters, Statement


class Link:
    """conninfo: where the journal is now. deadline: seconds that a statement takes. settings:
    statements for each new connection. reads: only that is done, so nothing is ever unclear.
    """

    def __init__(
        self,
        conninfo: Callable[[], str],
        *,
        deadline: float,
        name: str = "portico",
        settings: Sequence[str] = (),
        reads: bool = False,
    ) -> None:
        self._conninfo, self._deadline = conninfo, deadline
        self._name, self._settings, self._reads = name, settings, reads
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()

    async def run(self, statement: Statement, parameters: Parameters = None) -> list[TupleRow]:
        """The rows of one statement. Raises JournalError."""
        async with self.held() as connection:
            return await connect.run(
                connection, statement, parameters, deadline=self._deadline, reads=self._reads
            )

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Connection]:
        """The connection, for one at a time; closed after whatever went wrong."""
        async with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = await self._made()
            try:
                yield self._connection
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        """Close the connection; the next statement makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _made(self) -> Connection:
        connection = await connect.connect(self._conninfo(), application_name=self._name)
        try:
            for setting in self._settings:
                await connect.run(connection, setting, deadline=self._deadline)
        except BaseException:
            await connection.close()
            raise
        return connection
