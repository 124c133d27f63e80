"""Alembic, driven without its command line or ini file, in a process of its own (`migrate.py`).

    echo '["CONNINFO", GOAL, "SCRIPTS", DEADLINE]' | python -m portico.journal.upgrade

Exit status 1: it failed, and [text, SQLSTATE or nothing] says why.
"""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from portico.errors import JournalError, JournalRefused, JournalUnavailable
from portico.journal import connect

_LOCK = 0x506F_7274_6963_6F00  # "Portico": one engine migrates at a time


def upgrade(conninfo: str, goal: int, scripts: Path, deadline: float) -> None:
    """Apply the migrations up to version `goal`, unless another engine just has.

    Each is one transaction with its version, so that one that fails leaves the journal as it
    was before it and the next start goes on there.
    Raises JournalUnavailable and JournalRefused.
    """
    config = Config(attributes={"record": _record})
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    try:
        with _locked(conninfo, deadline) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, f"{goal:04}")
    except psycopg.Error as error:
        raise _failure(error) from None
    except DBAPIError as error:
        raise _failure(error.orig) from None


@contextmanager
def _locked(conninfo: str, deadline: float) -> Iterator[Connection]:
    """A connection that holds the migration lock, and is severed at the deadline."""
    with psycopg.connect(conninfo, application_name="portico migrate") as line:
        alarm = threading.Timer(deadline, connect.sever, (line.pgconn,))
        alarm.daemon = True
        alarm.start()
        try:
            engine = create_engine(
                "postgresql+psycopg://", creator=lambda: line, poolclass=NullPool
            )
            with engine.connect() as connection:
                connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": _LOCK})
                connection.commit()
                yield connection
        finally:
            alarm.cancel()


def _record(ctx: Any, step: Any, heads: set[str], run_args: dict[str, Any]) -> None:
    """Note the version that was just applied, in its own transaction."""
    revision = step.up_revision
    ctx.connection.execute(
        text("update journal_schema set version = :version, compat = :compat"),
        {"version": int(revision.revision), "compat": revision.module.compat},
    )


def _failure(error: BaseException | None) -> JournalError:
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return connect.refused(error)
    return JournalUnavailable(
        "the connection was lost during a migration; nothing is half done"
    )


def main() -> None:
    """Read what is wanted, do it, and say what was in the way."""
    conninfo, goal, scripts, deadline = json.load(sys.stdin)
    try:
        upgrade(conninfo, goal, Path(scripts), deadline)
    except JournalError as error:
        state = error.sqlstate if isinstance(error, JournalRefused) else ""
        json.dump([str(error), state], sys.stdout)
        sys.exit(1)


if __name__ == "__main__":
    main()
