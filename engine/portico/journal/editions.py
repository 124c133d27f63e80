"""Editions: what agents were made of, kept by the version that their sessions bear.

A version is a hash over a document and the files it uses (agents/plan.py), so an edition is
stored once, and a file that many editions use is stored once. An edition goes when no day is
left whose sessions can name it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct
from psycopg.rows import TupleRow

from portico.journal import connect

_DEADLINE = 30.0
_NAME = "portico editions"
_MARGIN = timedelta(days=1)  # `last` is written now and then, not with each session

_IN_FORCE = "update edition set last = %s where version = any(%s) returning version"
_KEEP = """
    with made as (
        insert into source (sha256, content) select * from unnest(%s::bytea[], %s::bytea[])
        on conflict do nothing
    )
    insert into edition (version, agent, document, files, first, last)
    values (%s, %s, %s, %s, %s, %s)
    on conflict (version) do update set last = excluded.last
    """
_EDITION = "select agent, document from edition where version = %s"
_FILES = """
    select f.key, s.content
    from edition e cross join lateral json_each_text(e.files) f
    join source s on s.sha256 = decode(f.value, 'hex')
    where e.version = %s
    """
# Of a day that is gone every session is gone; the oldest day left decides.
_OLDEST = """
    select min(right(inhrelid::regclass::text, 8)) from pg_inherits
    where inhparent = 'session'::regclass
    """
_GONE = "delete from edition where last < %s returning version"
_UNUSED = """
    delete from source s where not exists (
        select from edition e, json_each_text(e.files) f
        where f.value = encode(s.sha256, 'hex'))
    """


class Edition(Struct, frozen=True):
    """document: as agents/plan.py compiles it. files: name below the site to bytes."""

    version: str
    agent: str
    document: dict[str, Any]
    files: Mapping[str, bytes]


class Editions:
    """conninfo: where the journal is now. Every verb raises JournalError.

    What is asked is rare, so each verb has a connection of its own and keeps none.
    """

    def __init__(self, conninfo: Callable[[], str]) -> None:
        self._conninfo = conninfo

    async def in_force(self, versions: Iterable[str], at: datetime) -> set[str]:
        """Those of these that are kept; they stay for what they run until then."""
        (rows,) = await self._run((_IN_FORCE, (at, list(versions))))
        return {row[0] for row in rows}

    async def keep(self, editions: Sequence[Edition], at: datetime) -> None:
        """Store them, each whole."""
        await self._run(*((_KEEP, _row(one, at)) for one in editions))

    async def read(self, version: str) -> Edition | None:
        """An edition whole; None when it was never kept, or is gone."""
        rows, files = await self._run((_EDITION, (version,)), (_FILES, (version,)))
        if not rows:
            return None
        ((agent, document),) = rows
        return Edition(version, agent, document, dict(files))

    async def purge(self) -> int:
        """Let go what no session can name any more; how many editions that were."""
        (((oldest,),),) = await self._run((_OLDEST, ()))
        if oldest is None:
            return 0
        before = datetime.strptime(f"{oldest}+0000", "%Y%m%d%z") - _MARGIN
        gone, _ = await self._run((_GONE, (before,)), (_UNUSED, ()))
        return len(gone)

    async def _run(self, *asked: tuple[str, Sequence[Any]]) -> list[list[TupleRow]]:
        """The rows of each statement; each is a transaction."""
        connection = await connect.connect(self._conninfo(), application_name=_NAME)
        try:
            return [
                await connect.run(connection, text, given, deadline=_DEADLINE)
                for text, given in asked
            ]
        finally:
            await connection.close()


def _row(edition: Edition, at: datetime) -> tuple[Any, ...]:
    contents = {sha256(one).digest(): one for one in edition.files.values()}
    digests = {name: sha256(one).hexdigest() for name, one in edition.files.items()}
    document = msgspec.json.encode(edition.document).decode()
    files = msgspec.json.encode(digests).decode()
    whose = edition.version, edition.agent
    return (list(contents), list(contents.values()), *whose, document, files, at, at)
