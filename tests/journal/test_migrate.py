"""Migrations give exactly the tables we describe, once, whatever happens on the way."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from portico.errors import JournalFromFuture, JournalRefused, JournalUnavailable
from portico.journal import connect, migrate
from portico.journal.migrate import Migrated
from portico.journal.partitions import PARTITIONED
from portico.journal.tables import metadata

LATEST = migrate.target("post")
OLDEST = 1  # the first engine's: nothing that it needs has been taken away since


async def rows(conninfo: str, statement: str) -> list[tuple]:
    """What one query gives on a connection of its own."""
    async with await connect.connect(conninfo) as connection:
        return await connect.run(connection, statement)


def engine_on(conninfo: str):
    """A SQLAlchemy engine on that database."""
    return create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo))


SHAPE = """
select c.relkind, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       pg_get_expr(d.adbin, d.adrelid), pg_get_partkeydef(c.oid), pg_get_indexdef(c.oid)
from pg_class c
left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where c.relnamespace = 'public'::regnamespace
  and c.relname not in ('journal_schema', 'alembic_version', 'alembic_version_pkc')
order by 2, 3
"""


async def test_migrations_give_exactly_the_described_tables(empty_database, journal_url):
    """Tables, columns, types, keys, partitions, indices, sequences are those of tables.py."""
    with engine_on(empty_database).begin() as connection:
        metadata.create_all(connection)
    assert await rows(journal_url, SHAPE) == await rows(empty_database, SHAPE)


async def test_alembic_sees_nothing_left_to_generate(journal_url):
    """A change to tables.py without a migration fails here, with what is missing."""
    own = ("journal_schema",)
    with engine_on(journal_url).connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, parents: name not in own}
        )
        assert compare_metadata(context, metadata) == []


async def test_bodies_are_stored_as_they_are(journal_url):
    """A body's partitions inherit storage without compression."""
    async with await connect.connect(journal_url) as connection:
        await connection.execute(
            "create table body_x partition of body for values "
            "from ('01900000-0000-7000-8000-000000000000') "
            "to ('01a00000-0000-7000-8000-000000000000')"
        )
        found = await connect.run(
            connection,
            "select attstorage from pg_attribute "
            "where attrelid = 'body_x'::regclass and attname = 'content'",
        )
    assert found == [("e",)]


async def test_history_is_partitioned_without_a_default(journal_url):
    """Retention detaches partitions concurrently, which a DEFAULT partition forbids."""
    found = await rows(
        journal_url,
        "select c.relname, p.partdefid from pg_partitioned_table p "
        "join pg_class c on c.oid = p.partrelid order by 1",
    )
    assert found == [(name, 0) for name in sorted(PARTITIONED)]


async def test_a_journal_that_is_up_to_date_is_left_alone(journal_url):
    """The second engine start finds nothing to do."""
    assert await migrate.migrate(journal_url) == Migrated(LATEST, LATEST)


async def test_an_engine_keeps_no_migration_library(empty_database):
    """Neither one that made its journal nor one that found it made: 20 MiB that nobody uses."""
    script = (
        "import asyncio, sys, portico.server.engine; "
        "from portico.journal.migrate import migrate; "
        "asyncio.run(migrate(sys.argv[1])); "
        "sys.exit(any(name in sys.modules for name in ('alembic', 'sqlalchemy')))"
    )
    for _ in range(2):
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", script, empty_database], check=False
        )
        assert done.returncode == 0
    assert await migrate.migrate(empty_database) == Migrated(LATEST, LATEST)


async def test_a_migration_whose_process_dies_is_no_upgrade(empty_database, monkeypatch):
    """Its status is said, and nothing is half done."""
    monkeypatch.setattr(migrate, "_UPGRADE", ("-c", "raise SystemExit(3)"))
    with pytest.raises(JournalUnavailable, match="status 3"):
        await migrate.migrate(empty_database)


async def test_two_engines_that_migrate_at_once_do_it_once(empty_database):
    """The second waits for the first, then finds its work done."""
    both = await asyncio.gather(*(migrate.migrate(empty_database) for _ in range(2)))
    assert [result.after for result in both] == [LATEST, LATEST]
    assert await rows(empty_database, "select version, compat from journal_schema") == [
        (LATEST, OLDEST)
    ]


async def test_a_journal_from_the_future_is_refused(journal_url):
    """An engine never works on a schema that it may misread."""
    async with await connect.connect(journal_url) as connection:
        await connection.execute(
            f"update journal_schema set version = 9, compat = {LATEST + 1}"
        )
    with pytest.raises(JournalFromFuture, match=f"this one knows {LATEST}"):
        await migrate.migrate(journal_url)


async def test_a_newer_journal_that_is_still_compatible_is_used(journal_url):
    """The last version's engine works on beside a newer one, and after a way back."""
    async with await connect.connect(journal_url) as connection:
        await connection.execute(f"update journal_schema set version = 9, compat = {LATEST}")
    assert await migrate.migrate(journal_url) == Migrated(9, 9)


LATER = {"purged": 1, "edition": 2, "source": 2}  # tables, and the schema before theirs


@pytest.mark.parametrize("table", sorted(metadata.tables))
async def test_a_migration_that_fails_half_way_starts_again(empty_database, table):
    """What stands in the way of any one table leaves nothing of its migration behind; without
    it all is made."""
    async with await connect.connect(empty_database) as connection:
        await connection.execute(f'create table "{table}" (name text)')
        with pytest.raises(JournalRefused, match="42P07"):
            await migrate.migrate(empty_database)
        left = await connect.run(
            connection,
            "select relname from pg_class where relnamespace = 'public'::regnamespace"
            " and relkind in ('r', 'p', 'S') and relname <> 'alembic_version'",
        )
        assert (left == [(table,)]) == (table not in LATER)
        await connection.execute(f'drop table "{table}"')
    begun = LATER.get(table, 0)
    assert await migrate.migrate(empty_database) == Migrated(begun, LATEST)


def script(number: int, phase: str, compat: int, statement: str) -> tuple[str, str]:
    """A migration's file name and text."""
    before = f'"{number - 1:04}"' if number > 1 else None
    return f"{number:04}_{phase}_step.py", (
        f'from alembic import op\nrevision = "{number:04}"\ndown_revision = {before}\n'
        f"compat = {compat}\n\n\ndef upgrade():\n    op.execute({statement!r})\n"
    )


START = (
    "create table journal_schema (version int not null, compat int not null); "
    "insert into journal_schema values (0, 0); create table a (old int)"
)
HISTORY = [
    script(1, "pre", 1, START),
    script(2, "pre", 1, "alter table a add new int"),
    script(3, "post", 2, "alter table a drop old"),
    script(4, "pre", 2, "alter table a add newer int"),
    script(5, "post", 4, "alter table a drop new"),
]


@pytest.fixture
def history(tmp_path):
    """Writes the first `count` migrations of a small history; gives their folder."""
    folder = tmp_path / "100% some scripts"
    (folder / "versions").mkdir(parents=True)
    shutil.copy(migrate.SCRIPTS / "env.py", folder)

    def write(count: int):
        for name, text in HISTORY[:count]:
            (folder / "versions" / name).write_text(text)
        return folder

    return write


async def columns(conninfo: str) -> list[str]:
    """The columns of table `a`, in order."""
    found = await rows(
        conninfo,
        "select attname from pg_attribute where attrelid = 'a'::regclass "
        "and attnum > 0 and not attisdropped order by attnum",
    )
    return [name for (name,) in found]


def kills(conninfo: str, scripts: Path, goal: int, step: int) -> int:
    """How many kill points of an upgrade were tried."""
    helper = Path(__file__).with_name("killed_upgrade.py")
    command = [sys.executable, str(helper), conninfo, str(scripts), str(goal), str(step)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


async def test_an_upgrade_may_be_killed_before_any_of_its_statements(empty_database, history):
    """Five versions, `pre` and `post`: what is left is a whole version, and the next start
    reaches the last."""
    assert await asyncio.to_thread(kills, empty_database, history(5), 5, 1) >= 15


async def test_the_first_migration_may_be_killed_anywhere(empty_database):
    """Every ninth of its statements: nothing is left, and the next start makes it all."""
    tried = await asyncio.to_thread(kills, empty_database, migrate.SCRIPTS, LATEST, 9)

    assert tried >= 4


async def test_a_post_migration_waits_until_it_is_asked_for(empty_database, history):
    """`pre` leaves alone what an older engine still reads; `post` takes it away."""
    scripts = history(3)
    assert await migrate.migrate(empty_database, scripts=scripts) == Migrated(0, 2)
    assert await columns(empty_database) == ["old", "new"]
    again = await migrate.migrate(empty_database, phase="post", scripts=scripts)
    assert again == Migrated(2, 3)
    assert await columns(empty_database) == ["new"]


async def test_the_next_release_first_ends_the_last_one(empty_database, history):
    """A `post` step that newer `pre` steps build on is applied with them, in order."""
    await migrate.migrate(empty_database, scripts=history(3))
    assert await migrate.migrate(empty_database, scripts=history(5)) == Migrated(2, 4)
    assert await columns(empty_database) == ["new", "newer"]
    assert await rows(empty_database, "select version, compat from journal_schema") == [(4, 2)]


async def test_an_engine_two_releases_old_is_refused(empty_database, history, tmp_path):
    """The journal keeps the oldest version that can use it, not only its own."""
    await migrate.migrate(empty_database, phase="post", scripts=history(5))
    old = tmp_path / "old" / "versions"
    old.mkdir(parents=True)
    (old / "0003_post_step.py").touch()
    with pytest.raises(JournalFromFuture):
        await migrate.migrate(empty_database, scripts=old.parent)
