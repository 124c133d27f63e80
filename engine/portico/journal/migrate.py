"""Brings a journal's schema to what this engine needs, and refuses one from the future.

A migration is a file in migrations/versions, `0002_pre_what_it_does.py`, with its number as
revision. Phase `pre` only adds, so that an engine of the last version works on beside it;
`post` takes away what nobody reads any more, and runs when the last older engine has gone.
Its `compat` is the oldest schema version whose engine can still use the journal after it.

A journal that is up to date costs one query. Any other is brought there by `upgrade.py`, in a
process of its own: Alembic and SQLAlchemy are twenty megabytes that an engine has no use for.
"""

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from portico.errors import JournalFromFuture, JournalRefused, JournalUnavailable
from portico.journal import connect

Phase = Literal["pre", "post"]
SCRIPTS = Path(__file__).with_name("migrations")
_NAME = re.compile(r"(\d{4})_(pre|post)_\w+\.py")
_UPGRADE = "-P", "-m", "portico.journal.upgrade"
_UNDEFINED_TABLE = "42P01"


@dataclass(frozen=True, slots=True)
class Schema:
    """version: the last migration applied, 0 for none. compat: the oldest that can use it."""

    version: int
    compat: int


@dataclass(frozen=True, slots=True)
class Migrated:
    """The schema versions before and after; equal when there was nothing to do."""

    before: int
    after: int


async def migrate(
    conninfo: str, *, phase: Phase = "pre", deadline: float = 600.0, scripts: Path = SCRIPTS
) -> Migrated:
    """Apply what is missing, one engine at a time.

    phase: `pre` stops before the `post` migrations at the end; `post` applies them too, and is
    right when no older engine uses this journal. deadline: seconds for all of them.
    Raises JournalFromFuture, JournalUnavailable, JournalUnsafe and JournalRefused.
    """
    before = await _schema(conninfo)
    if before.compat > target("post", scripts):
        raise JournalFromFuture(
            f"the journal's schema is version {before.version} and needs an engine that knows "
            f"version {before.compat}; this one knows {target('post', scripts)}: install the "
            "newer Portico again, or restore a backup from before it"
        )
    goal = target(phase, scripts)
    if before.version >= goal:
        return Migrated(before.version, before.version)
    await _upgrade(conninfo, goal, scripts, deadline)
    return Migrated(before.version, goal)


def target(phase: Phase, scripts: Path = SCRIPTS) -> int:
    """The last version for this phase: all of them, or without the `post` ones at the end."""
    found = [
        match for path in scripts.glob("versions/*.py") if (match := _NAME.match(path.name))
    ]
    return max(int(match[1]) for match in found if phase == "post" or match[2] == "pre")


async def _upgrade(conninfo: str, goal: int, scripts: Path, deadline: float) -> None:
    """Have it done; told by its standard input, since a conninfo may hold a password."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *_UPGRADE, stdin=PIPE, stdout=PIPE
    )
    asked = json.dumps([conninfo, goal, str(scripts), deadline]).encode()
    try:
        told, _ = await process.communicate(asked)
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode == 0:
        return
    if not told:
        status = process.returncode
        raise JournalUnavailable(f"the journal's migration ended with status {status}")
    text, state = json.loads(told)
    raise JournalRefused(text, state) if state else JournalUnavailable(text)


async def _schema(conninfo: str) -> Schema:
    """What the journal says of itself; 0 before the first migration."""
    connection = await connect.connect(conninfo)
    try:
        statement = "select version, compat from journal_schema"
        rows = await connect.run(connection, statement, reads=True)
    except JournalRefused as error:
        if error.sqlstate == _UNDEFINED_TABLE:
            return Schema(0, 0)
        raise
    finally:
        await connection.close()
    return Schema(*rows[0])
