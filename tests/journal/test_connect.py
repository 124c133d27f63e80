"""Connections: checked when made, bounded in use, and quiet about rows."""

import asyncio
import os
import signal
import time
import traceback
from datetime import UTC, datetime

import pytest
from psycopg.conninfo import make_conninfo

from portico.errors import (
    ConfigError,
    JournalError,
    JournalRefused,
    JournalUnavailable,
    JournalUnclear,
    JournalUnsafe,
)
from portico.journal import connect
from portico.journal.search import Search


@pytest.fixture
async def frozen(data, appliance):
    """A connection whose server process answers nothing, and the server."""
    one = appliance()
    await one.server.start()
    connection = await connect.connect(one.server.conninfo)
    pid = connection.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    yield connection
    os.kill(pid, signal.SIGCONT)
    await connection.close()


async def test_a_statement_gives_its_rows(journal_url):
    """Rows where there are some, none where a statement gives none."""
    async with await connect.connect(journal_url) as connection:
        assert await connect.run(connection, "select %s::int", (7,)) == [(7,)]
        assert await connect.run(connection, "create temp table t (n int)") == []


async def test_how_a_server_writes_its_times_makes_no_difference(journal_url):
    """Its own style of dates and its own time zone, on both ways that read the journal."""
    at = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # in Berlin, an hour that comes twice
    style = "-c datestyle=German -c timezone=Europe/Berlin"
    conninfo = make_conninfo(journal_url, options=style)
    async with await connect.connect(conninfo) as connection:
        await connect.run(
            connection,
            "insert into job (id, at, who, query, state, total, made, skipped, note) "
            "values (gen_random_uuid(), %s, '', '{}', 'done', 0, 0, 0, '')",
            (at,),
        )
        ((read,),) = await connect.run(connection, "select at from job")
    search = Search(lambda: conninfo)
    (job,) = await search.jobs(1)
    search.close()
    assert read.timestamp() == job.at.timestamp() == at.timestamp()


async def test_a_frozen_server_is_given_up_at_the_deadline(frozen):
    """Neither TCP nor the driver would notice; the caller is told that it is unclear."""
    began = time.monotonic()
    with pytest.raises(JournalUnclear, match=r"no answer within 0\.2 s"):
        await connect.run(frozen, "select 1", deadline=0.2)
    assert time.monotonic() - began < 5
    assert frozen.closed


async def test_reads_from_a_frozen_server_are_not_unclear(frozen):
    """Nothing was to be stored, so nothing is in doubt."""
    with pytest.raises(JournalUnavailable):
        with connect.within(frozen, 0.2, reads=True):
            await frozen.execute("select 1")


async def test_a_cancelled_task_does_not_wait_for_a_frozen_server(frozen):
    """The driver waits for the server even when cancelled; the deadline still ends it."""
    task = asyncio.create_task(connect.run(frozen, "select 1", deadline=0.4))
    await asyncio.sleep(0.05)
    task.cancel()
    began = time.monotonic()
    with pytest.raises((asyncio.CancelledError, JournalError)):
        await task
    assert time.monotonic() - began < 5


async def test_a_server_that_freezes_before_the_greeting_is_given_up(data, appliance):
    """The system accepts for a frozen server; connect() has its own deadline."""
    one = appliance()
    await one.server.start()
    os.kill(one.server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(JournalUnavailable, match="no answer in time"):
            await connect.connect(one.server.conninfo, deadline=0.2)
    finally:
        os.kill(one.server.pid, signal.SIGCONT)


async def test_a_block_that_ends_in_time_leaves_the_connection_alone(journal_url):
    """The alarm goes with its block."""
    for deadline in (0.1, 1.0, 10.0):  # the longer ones for a machine that is busy
        async with await connect.connect(journal_url) as connection:
            try:
                assert await connect.run(connection, "select 1", deadline=deadline) == [(1,)]
            except JournalError:
                assert deadline < 10.0
                continue
            await connect.run(connection, "select pg_sleep(%s)", (1.5 * deadline,))
            return


async def test_a_connection_lost_on_the_way_is_unclear(journal_url):
    """The server may have committed before it went."""
    async with await connect.connect(journal_url) as connection:
        with pytest.raises(JournalUnclear, match="the connection was lost"):
            await connect.run(connection, "select pg_terminate_backend(pg_backend_pid())")


async def test_no_error_quotes_a_row(journal_url):
    """Neither the text nor the printed traceback holds what was to be stored."""
    async with await connect.connect(journal_url) as connection:
        await connection.execute("create temp table t (name text unique)")
        with pytest.raises(JournalRefused) as caught:
            await connect.run(
                connection, "insert into t values (%s), (%s)", ("MUSTER", "MUSTER")
            )
    assert caught.value.sqlstate == "23505"
    assert "MUSTER" not in "".join(traceback.format_exception(caught.value))


async def test_what_may_pass_is_told_from_what_will_not(journal_url):
    """A lock that is held may work later; a table that is not there will not."""
    async with (
        await connect.connect(journal_url) as one,
        await connect.connect(journal_url, autocommit=False) as two,
    ):
        await two.execute("lock table lease")
        await one.execute("set lock_timeout = '10ms'")
        with pytest.raises(JournalUnavailable, match="SQLSTATE 55P03"):
            await connect.run(one, "select * from lease")
        with pytest.raises(JournalRefused, match="SQLSTATE 42P01"):
            await connect.run(one, "select * from nowhere")


@pytest.mark.parametrize(
    ("conninfo", "says"),
    [
        (
            "postgresql://u:secret@127.0.0.1:1/journal",
            "127.0.0.1:1/journal: Connection refused",
        ),
        (
            "host=/nowhere dbname=x password=secret",
            "/nowhere:5432/x: No such file or directory",
        ),
        ("secret", "an address that is not a PostgreSQL URL"),
        ("postgresql://u:secret@host.invalid/j", "host.invalid:5432/j: failed to resolve host"),
    ],
)
async def test_a_server_that_is_not_there_is_named_without_the_password(conninfo, says):
    """The text says where it looked and what happened there."""
    with pytest.raises(JournalUnavailable, match=says) as caught:
        await connect.connect(conninfo)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


async def test_a_database_that_does_not_exist_is_named(postgres):
    """The server's own words, since they hold no row."""
    with pytest.raises(JournalUnavailable, match='database "absent" does not exist'):
        await connect.connect(make_conninfo(postgres, dbname="absent"))


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
async def test_a_server_that_may_forget_is_refused(appliance, setting):
    """The real settings of a real server, at every connect."""
    one = appliance()
    (one.folder.postgres / "local.conf").write_text(f"{setting} = off\n")
    await one.server.start()
    with pytest.raises(JournalUnsafe, match=f"set {setting} = on"):
        await connect.connect(one.server.conninfo)


async def test_a_database_in_another_encoding_is_refused(postgres):
    """It would take any bytes for text."""
    name = f"ascii_{os.getpid()}"
    async with await connect.connect(postgres) as connection:
        await connection.execute(
            f"create database {name} template template0 encoding 'SQL_ASCII' locale 'C'"
        )
        try:
            with pytest.raises(JournalUnsafe, match="SQL_ASCII"):
                await connect.connect(make_conninfo(postgres, dbname=name))
        finally:
            await connection.execute(f"drop database {name} with (force)")


@pytest.mark.parametrize("text", ["secret", "http://u:secret@host/j", "host"])
def test_what_is_no_address_is_said_without_it(text):
    """And what one looks like."""
    with pytest.raises(ConfigError, match="postgresql://USER@HOST") as caught:
        connect.require_url(text)
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    connect.require_url("postgresql://u:secret@host/j")
    connect.require_url("host=/run dbname=j")
