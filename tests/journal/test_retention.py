"""Days go whole, bodies first, and nothing goes that is unfinished or held by law."""

import asyncio
import itertools
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from portico.errors import JournalError
from portico.ids import SignalId, floor_at
from portico.journal import partitions, retention
from portico.journal.retention import Due, Retention, RetentionTerms, Stored

DAY = 86_400.0
TODAY = date(2026, 6, 30)
OLD = TODAY - timedelta(days=40)
TERMS = RetentionTerms(30 * DAY, 365 * DAY)
SHORT = RetentionTerms(10 * DAY, 30 * DAY)


def signal_of(day, number=1):
    """An id of that day."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return SignalId(floor_at(int(noon.timestamp() * 1000) + number))


def stored(day, *tables):
    """Its partitions."""
    return [Stored(table, day, 10) for table in tables or retention.TABLES["headers"]]


def test_bodies_go_before_what_is_known_about_them():
    """A day is kept from its end on."""
    found = retention.plan(stored(OLD), TERMS, OLD + timedelta(days=31))
    assert found == [Due(OLD, "bodies", OLD + timedelta(days=31), 20)]

    assert retention.plan(stored(OLD), TERMS, OLD + timedelta(days=30)) == []
    rest = retention.plan(stored(OLD, "signal", "session"), TERMS, OLD + timedelta(days=366))
    assert rest == [Due(OLD, "headers", OLD + timedelta(days=366), 20)]


def test_headers_never_go_before_their_bodies():
    """Whatever the site says."""
    (bodies, headers) = retention.plan(stored(OLD), RetentionTerms(9 * DAY, DAY), TODAY)

    assert bodies.at == headers.at == OLD + timedelta(days=10)


def test_a_part_of_a_day_rounds_up_and_for_ever_is_never():
    """36 hours are two days; `forever` has no day."""
    assert retention.due(OLD, 1.5 * DAY) == OLD + timedelta(days=3)
    assert retention.plan(stored(OLD), RetentionTerms(float("inf"), float("inf")), TODAY) == []


@pytest.fixture
async def journal(journal_url):
    """A journal with an old day that has one Signal, and its retention."""
    connection = await psycopg.AsyncConnection.connect(journal_url, autocommit=True)
    for statement in partitions.creating([OLD, TODAY]):
        await connection.execute(statement)
    for day in (OLD, TODAY):
        await put(connection, signal_of(day))
    keeper = Retention(lambda: journal_url)
    yield keeper, connection
    await keeper.close()
    await connection.close()


async def put(connection, signal, patient="7"):
    """A Signal and its bytes."""
    key = signal.hex()
    await connection.execute(
        "insert into signal values (%s, 1, 'adt', now(), 'ADT^A01', '1', '', %s, '', 0, '', 1, "
        "'', '', null, '')",
        (key, patient),
    )
    await connection.execute("insert into body values (%s, 0, 'x')", (key,))


async def left(connection, day=OLD):
    """The tables that still have that day."""
    rows = await (
        await connection.execute("select relname from pg_class where relkind = 'r'")
    ).fetchall()
    names = {name for (name,) in rows}
    return {t for t in retention.TABLES["headers"] if partitions.name(t, day) in names}


async def test_a_day_goes_in_two_steps_and_no_other_with_it(journal):
    """First its bodies, then the rest; today is not touched."""
    keeper, connection = journal
    (bodies,) = await keeper.due(TERMS, TODAY)
    assert (bodies.day, bodies.part, bodies.kept) == (OLD, "bodies", "")

    assert await keeper.drop(bodies)
    assert await left(connection) == {"signal", "session", "delivery", "attempt"}
    (headers,) = await keeper.due(SHORT, TODAY)
    assert await keeper.drop(headers)

    assert await left(connection) == set()
    assert await left(connection, TODAY) == set(retention.TABLES["headers"])
    assert await keeper.due(SHORT, TODAY) == []


@pytest.mark.parametrize(
    "statement",
    [
        "insert into waiting (seq, signal, origin) values (1, %s, 'adt')",
        "insert into queued (destination, seq, signal, number, lane, tries) "
        "values ('his', 1, %s, 1, '', 0)",
        "insert into parked (signal, kind, number, seq, name, agent, lane, hold, code, reason, "
        "step, at, location, tries, since) values (%s, 'signal', 1, 1, 'adt', '', '', false, "
        "'', '', '', '', '', 0, now())",
    ],
)
async def test_nothing_unfinished_goes(journal, statement):
    """Waiting, queued and parked rows keep their day, even those of the last moment."""
    keeper, connection = journal
    (free,) = await keeper.due(TERMS, TODAY)
    table = statement.split()[2]
    await connection.execute(statement, (signal_of(OLD).hex(),))

    (due,) = await keeper.due(TERMS, TODAY)
    assert due.kept == "unfinished"
    assert not await keeper.drop(free)

    await connection.execute(f"delete from {table}")
    assert await keeper.drop(free)


async def test_a_legal_hold_keeps_a_day_until_it_ends(journal):
    """Of the Signal itself, or of its patient; of another patient not."""
    keeper, connection = journal
    now = datetime.now(UTC)
    other = await keeper.hold(None, "8", "another case", now, "anna")
    assert [due.kept for due in await keeper.due(TERMS, TODAY)] == [""]

    for signal, patient in ((None, "7"), (signal_of(OLD), "")):
        number = await keeper.hold(signal, patient, "a law suit", now, "anna")
        (due,) = await keeper.due(TERMS, TODAY)
        assert due.kept == "held"
        assert not await keeper.drop(due)
        assert [one.number for one in await keeper.holds()] == [other, number]
        assert await keeper.unhold(number)
        assert not await keeper.unhold(number)

    assert await keeper.drop(due)
    assert "body" not in await left(connection)


async def test_a_drop_that_was_cut_short_goes_on(journal, journal_url):
    """Somebody reads the day: the drop gives up soon, and ends when it is tried again."""
    keeper, connection = journal
    (due,) = await keeper.due(TERMS, TODAY)
    async with await psycopg.AsyncConnection.connect(journal_url) as reader:
        await reader.execute("select count(*) from body")
        with pytest.raises(JournalError):
            await keeper.drop(due)
        assert "body" in await left(connection)

    assert [one.part for one in await keeper.due(TERMS, TODAY)] == ["bodies"]
    assert await keeper.drop(due)
    assert "body" not in await left(connection)


@pytest.mark.parametrize("killed", [False, True])
async def test_a_hold_keeps_a_day_whose_drop_was_cut_short(journal, journal_url, killed):
    """Half detached or detached and not dropped, it is put back: the hold is seen, the bytes
    are there, other days of that table go, and it goes itself once the hold has ended."""
    keeper, connection = journal
    bodies, headers = await keeper.due(SHORT, TODAY)
    name = partitions.name("signal", OLD)
    if killed:
        await connection.execute(f"alter table signal detach partition {name} concurrently")
    else:
        async with await psycopg.AsyncConnection.connect(journal_url) as reader:
            await reader.execute("select count(*) from signal")
            await connection.execute("set lock_timeout = '100ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await connection.execute(
                    f"alter table signal detach partition {name} concurrently"
                )
    number = await keeper.hold(None, "7", "court", datetime.now(UTC), "me")
    await keeper.mend()

    found = await keeper.due(SHORT, TODAY)
    assert [one.kept for one in found] == ["held", "held"]
    assert not await keeper.drop(headers)
    rows = await (await connection.execute("select count(*) from signal")).fetchone()
    assert rows == (2,)
    assert await keeper.unhold(number)
    assert await keeper.drop(bodies) and await keeper.drop(headers)
    assert await left(connection) == set()


async def test_a_partition_that_was_only_detached_goes_too(journal):
    """A kill between the two steps of a drop leaves a table that nobody sees; it is dropped."""
    keeper, connection = journal
    name = partitions.name("body", OLD)
    await connection.execute(f"alter table body detach partition {name}")

    (due,) = await keeper.due(TERMS, TODAY)
    assert await keeper.drop(due)

    assert "body" not in await left(connection)


async def test_who_writes_does_not_wait_for_a_drop(journal, journal_url):
    """While a drop waits for a reader of its day, rows of today are written all the time."""
    keeper, connection = journal
    (due,) = await keeper.due(TERMS, TODAY)
    waits = "select exists (select from pg_inherits where inhdetachpending)"
    written, numbers = 0, itertools.count(2)
    async with await psycopg.AsyncConnection.connect(journal_url) as reader:
        await reader.execute("select count(*) from body")
        dropping = asyncio.ensure_future(keeper.drop(due))
        while not dropping.done():
            (waited,) = await (await connection.execute(waits)).fetchone()
            await put(connection, signal_of(TODAY, next(numbers)))
            written += waited and not dropping.done()
        with pytest.raises(JournalError):
            await dropping
    assert written > 3
