"""Statements of many callers: those that come while some are under way share the next commit.

rows = await Together(link, 10).run("insert ... returning 1", {...})
"""

import asyncio
from collections.abc import Sequence

from psycopg.rows import TupleRow

from portico.errors import JournalRefused
from portico.journal import connect
from portico.journal.connect import Connection, Parameters, Statement
from portico.journal.link import Link

_MOST = 256  # statements of one commit


class _Asked:
    __slots__ = ("done", "parameters", "statement")

    def __init__(self, statement: Statement, parameters: Parameters) -> None:
        self.statement, self.parameters = statement, parameters
        self.done: asyncio.Future[list[TupleRow]]
        self.done = asyncio.get_running_loop().create_future()


class Together:
    """One commit at a time. deadline: seconds that one may take."""

    def __init__(self, link: Link, deadline: float) -> None:
        self._link = link
        self._deadline = deadline
        self._waiting: list[_Asked] = []
        self._task: asyncio.Task[None] | None = None

    async def run(self, statement: Statement, parameters: Parameters) -> list[TupleRow]:
        """The rows that it returned, once they are durable. Raises JournalError."""
        write = _Asked(statement, parameters)
        self._waiting.append(write)
        if self._task is None:
            self._task = asyncio.ensure_future(self._work())
        return await write.done

    async def _work(self) -> None:
        try:
            while self._waiting:
                group = self._waiting[:_MOST]
                del self._waiting[:_MOST]
                await self._flush(group)
        finally:
            self._task = None

    async def _flush(self, group: Sequence[_Asked]) -> None:
        """What the database refuses is tried alone, so that it fails nobody else."""
        try:
            found = await self._commit(group)
        except Exception as error:  # noqa: BLE001  the fence: every caller is told
            if isinstance(error, JournalRefused) and len(group) > 1:
                for write in group:
                    await self._flush([write])
                return
            for write in group:
                if not write.done.done():
                    write.done.set_exception(error)
            return
        for write, rows in zip(group, found, strict=True):
            if not write.done.done():  # its caller may have been cancelled
                write.done.set_result(rows)

    async def _commit(self, group: Sequence[_Asked]) -> list[list[TupleRow]]:
        async with self._link.held() as connection:
            with connect.within(connection, self._deadline):
                return await _made(connection, group)
        raise AssertionError("within() raises what it catches")


async def _made(connection: Connection, group: Sequence[_Asked]) -> list[list[TupleRow]]:
    """One transaction, one round trip."""
    async with connection.pipeline(), connection.transaction():
        cursors = [await connection.execute(one.statement, one.parameters) for one in group]
    return [await cursor.fetchall() for cursor in cursors]
