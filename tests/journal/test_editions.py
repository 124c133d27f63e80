"""What agents were made of: stored once, whole, for as long as a session can name it."""

from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from portico.journal import partitions
from portico.journal.editions import Edition, Editions

OLD = date(2026, 5, 20)
NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)
FILES = {"transforms/__init__.py": b"", "transforms/tables/big.csv": b"a,b\n\x00\xff"}
DOCUMENT = {"agent": "a", "steps": [{"verb": "send", "args": {"to": ["b"]}}], "time": 30.0}


@pytest.fixture
async def journal(journal_url):
    """The editions of a journal, and a connection to it."""
    async with await psycopg.AsyncConnection.connect(journal_url, autocommit=True) as found:
        yield Editions(lambda: journal_url), found


def edition(version, **files):
    """An edition with the common files and these."""
    return Edition(version, "a", DOCUMENT, {**FILES, **files})


async def count(connection, table):
    """How many rows."""
    return (await (await connection.execute(f"select count(*) from {table}")).fetchone())[0]


async def test_an_edition_comes_back_as_it_was(journal):
    """Bytes for bytes, empty files and zeros too; of what was never kept nothing comes."""
    editions, _ = journal
    await editions.keep([edition("v1")], NOON)
    assert await editions.read("v1") == edition("v1")
    assert await editions.read("v2") is None


async def test_a_file_of_many_editions_is_stored_once(journal):
    """And an edition that is kept again is no second one."""
    editions, connection = journal
    await editions.keep([edition("v1"), edition("v2", more=b"x")], NOON)
    await editions.keep([edition("v1")], NOON + timedelta(days=1))
    assert (await count(connection, "edition"), await count(connection, "source")) == (2, 3)
    assert await editions.in_force(["v1", "v3"], NOON) == {"v1"}


async def test_an_edition_goes_with_the_last_day_that_can_name_it(journal):
    """Not while a day of sessions from before its end is there; its files go with it, but for
    those that others have."""
    editions, connection = journal
    for statement in partitions.creating([OLD, OLD + timedelta(days=2)]):
        await connection.execute(statement)
    await editions.keep([edition("old", more=b"x")], NOON)
    await editions.keep([edition("new")], NOON + timedelta(days=9))
    assert await editions.purge() == 0
    (name,) = await (
        await connection.execute(
            "select min(inhrelid::regclass::text) from pg_inherits "
            "where inhparent = 'session'::regclass"
        )
    ).fetchone()
    await connection.execute(f"drop table {name}")
    assert await editions.purge() == 1
    assert await editions.read("old") is None
    assert await editions.read("new") == edition("new")
    assert await count(connection, "source") == 2


async def test_what_was_in_force_again_stays(journal):
    """The last time counts, not the first."""
    editions, connection = journal
    for statement in partitions.creating([OLD + timedelta(days=5)]):
        await connection.execute(statement)
    await editions.keep([edition("v1")], NOON)
    await editions.in_force(["v1"], NOON + timedelta(days=5))
    assert await editions.purge() == 0
