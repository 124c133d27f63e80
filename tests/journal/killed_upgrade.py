"""Run by test_migrate.py: kills an upgrade before each of its statements, in turn.

    python killed_upgrade.py CONNINFO SCRIPTS GOAL STEP

Prints how many kills there were. Ends with an error when a killed upgrade left half a version
behind, or the next one does not reach the goal.
"""

import os
import signal
import sys
from pathlib import Path

import psycopg
from sqlalchemy import Engine, event

from portico.journal import upgrade

_SHAPE = """
    select array_agg(relname || '.' || attname order by relname, attname)
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
        and attnum > 0 and not attisdropped and relname not like 'alembic%'
    """


def upgraded(conninfo: str, scripts: Path, goal: int, last: int = 0) -> bool:
    """Upgrade in a child that is killed before its statement `last`; False when it was."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the upgrade failed"
        return not os.WIFSIGNALED(status)
    seen = [0]

    @event.listens_for(Engine, "before_cursor_execute")
    def count(*args: object) -> None:
        seen[0] += 1
        if seen[0] == last:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        upgrade.upgrade(conninfo, goal, scripts, 60)
        os._exit(0)
    finally:
        os._exit(1)


def state(conninfo: str) -> tuple[int, object]:
    """The version that the journal says, and its columns."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        row = connection.execute(_SHAPE).fetchone()
        there = connection.execute("select to_regclass('journal_schema')").fetchone()
        if there == (None,):
            return 0, row
        version = connection.execute("select version from journal_schema").fetchone()
        assert version is not None
        return int(version[0]), row


def reset(conninfo: str) -> None:
    """Nothing in it."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("drop schema public cascade")
        connection.execute("create schema public")


def main(conninfo: str, scripts: Path, goal: int, step: int) -> None:
    """Every kill point, each on an empty database."""
    whole = {0: state(conninfo)}
    for version in range(1, goal + 1):
        assert upgraded(conninfo, scripts, version)
        whole[version] = state(conninfo)
    kills = 0
    for last in range(1, 100_000, step):
        reset(conninfo)
        if upgraded(conninfo, scripts, goal, last):
            break
        kills += 1
        left = state(conninfo)
        assert left == whole[left[0]], f"kill {last} left half of a version: {left}"
        assert upgraded(conninfo, scripts, goal)
        assert state(conninfo) == whole[goal]
    print(kills)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
