"""What goes row by row: a channel's bytes before their day, and what people did long ago."""

import uuid
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from portico.ids import SignalId, floor_at
from portico.journal import partitions, purging
from portico.journal.purging import Purge

OLD = date(2026, 5, 20)
NOW = datetime(2026, 6, 30, tzinfo=UTC)


def signal_of(number, day=OLD):
    """An id of that day."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return SignalId(floor_at(int(noon.timestamp() * 1000) + number))


@pytest.fixture
async def journal(journal_url, monkeypatch):
    """A journal with an old day and the next, in pages of three; its purge."""
    monkeypatch.setattr(purging, "PAGE", 3)
    monkeypatch.setattr(purging, "_ACTS", 3)
    connection = await psycopg.AsyncConnection.connect(journal_url, autocommit=True)
    for statement in partitions.creating([OLD, OLD + timedelta(days=1)]):
        await connection.execute(statement)
    purge = Purge(lambda: journal_url)
    yield purge, connection
    await purge.close()
    await connection.close()


async def put(connection, number, origin="adt", patient="7", day=OLD, parent=None):
    """A Signal with its bytes, what it sent, and a question to a model."""
    key = signal_of(number, day).hex()
    await connection.execute(
        "insert into signal values (%s, %s, %s, now(), 'ADT^A01', '1', '', %s, '', 0, '', 1, "
        "'', '', %s, '')",
        (key, number, origin, patient, parent and parent.hex()),
    )
    await connection.execute("insert into body values (%s, 0, 'x'), (%s, 1, 'y')", (key, key))
    await connection.execute(
        "insert into call values (%s, 'a', 1, now(), 's', 'llm', '', 1, 'm', '{}', 'x', 'y', "
        "'', '', '')",
        (key,),
    )


async def bytes_left(connection):
    """The Signals that have bytes, and those that have calls: by the last digits."""
    left = []
    for table in ("body", "call"):
        rows = await connection.execute(f"select distinct signal from {table} order by 1")
        left.append([row[0].bytes async for row in rows])
    assert left[0] == left[1]
    return left[0]


async def whole(purge, origin, day=OLD):
    """All pages: of how many the bytes went, and how many were kept."""
    gone, kept, last = 0, 0, None
    while True:
        page = await purge.bodies(origin, day, last)
        gone, kept, last = gone + page.bodies, kept + page.kept, page.last
        if last is None:
            return gone, kept


async def test_the_bytes_of_one_channel_and_one_day_go(journal):
    """In pages; what is known of them stays, and so does every other channel and day."""
    purge, connection = journal
    for number in range(1, 9):
        await put(connection, number, "adt" if number != 4 else "lab")
    await put(connection, 1, day=OLD + timedelta(days=1))

    assert await whole(purge, "adt") == (7, 0)
    await purge.sweep(OLD)

    kept = [signal_of(4), signal_of(1, OLD + timedelta(days=1))]
    assert await bytes_left(connection) == kept
    rows = await (await connection.execute("select count(*) from signal")).fetchone()
    assert rows == (9,)
    assert await whole(purge, "adt") == (0, 0)


UNFINISHED = {
    "waiting": "insert into waiting (seq, signal, origin) values (2, %s, 'adt')",
    "queued": "with d as (insert into delivery values (%s, 1, 1, 'his', '', 77, '', 1, '') "
    "returning signal) "
    "insert into queued select 'his', 77, signal, 1, '', 0 from d",
    "parked": "insert into parked (signal, kind, number, seq, name, agent, lane, hold, code, "
    "reason, step, at, location, tries, since) values (%s, 'signal', 1, 1, 'adt', '', '', "
    "false, '', '', '', '', '', 0, now())",
    "hold": "insert into hold (signal, patient, reason, since, by) "
    "values (%s, '', 'court', now(), 'me')",
}


@pytest.mark.parametrize("table", UNFINISHED)
async def test_what_is_unfinished_or_held_keeps_its_own_bytes(journal, table):
    """It alone, not its day; they go once it is done."""
    purge, connection = journal
    for number in range(1, 6):
        await put(connection, number)
    await connection.execute(UNFINISHED[table], (signal_of(2).hex(),))

    assert await whole(purge, "adt") == (4, 1)
    assert await bytes_left(connection) == [signal_of(2)]

    await connection.execute(f"delete from {table}")
    assert await whole(purge, "adt") == (1, 0)


async def test_what_agents_emitted_goes_with_the_channel_that_it_came_from(journal):
    """Through agents behind each other, under its old name, on a later day too; not what came
    of another channel, what is unfinished, nor what nobody knows the origin of."""
    purge, connection = journal
    await put(connection, 1)
    await put(connection, 2, "lab")
    await put(connection, 3, "signal:a", parent=signal_of(1))
    await put(connection, 4, "signal:a", parent=signal_of(3))
    await put(connection, 5, "old", parent=signal_of(2))
    await put(connection, 6, "signal:a", parent=signal_of(5))
    await put(connection, 7, "signal:a", parent=signal_of(2))
    await put(connection, 8, "signal:b", parent=signal_of(4))
    await put(connection, 9, "signal:b", parent=signal_of(99))
    await put(connection, 10, "signal:b", parent=signal_of(1))
    next_day = OLD + timedelta(days=1)
    await put(connection, 11, "signal:b", parent=signal_of(1), day=next_day)
    await connection.execute(
        "insert into waiting (seq, signal, origin) values (10, %s, 'signal:b')",
        (signal_of(10).hex(),),
    )
    assert await purge.emitted(OLD) == ["signal:a", "signal:b"]
    found = {}
    for origin, day in (("signal:a", OLD), ("signal:b", OLD), ("signal:b", next_day)):
        last, gone, kept = None, 0, 0
        while (page := await purge.bodies_after(["adt", "old"], origin, day, last)).last:
            gone, kept, last = gone + page.bodies, kept + page.kept, page.last
        found[origin, day] = gone, kept
    assert found == {
        ("signal:a", OLD): (3, 0),
        ("signal:b", OLD): (1, 1),
        ("signal:b", next_day): (1, 0),
    }
    left = [signal_of(n) for n in (1, 2, 5, 7, 9, 10)]
    assert await bytes_left(connection) == left


async def test_a_hold_of_a_patient_keeps_the_bytes_of_all_that_name_him(journal):
    """Of no other."""
    purge, connection = journal
    await put(connection, 1)
    await put(connection, 2, patient="8")
    await connection.execute(
        "insert into hold (signal, patient, reason, since, by) "
        "values (null, '8', 'court', now(), 'me')"
    )

    assert await whole(purge, "adt") == (1, 1)
    assert await bytes_left(connection) == [signal_of(2)]


async def test_what_is_done_is_remembered_as_long_as_its_day_lies_there(journal):
    """By origin: history keeps the name that its channel had."""
    purge, connection = journal
    await connection.execute(
        "insert into renamed (scope, old, new, first) values ('channel', 'a', 'adt', 'a')"
    )
    assert sorted(await purge.names("adt")) == ["a", "adt"]
    assert OLD in await purge.days()

    await purge.finish("adt", OLD)
    await purge.finish("adt", OLD)
    assert await purge.done() == {("adt", OLD)}
    await purge.forget(OLD)
    assert await purge.done() == {("adt", OLD)}
    await purge.forget(OLD + timedelta(days=1))
    assert await purge.done() == set()


async def act(connection, place, days, number=9, job=None):
    """Something that a person did so many days ago."""
    await connection.execute(
        "insert into act values (%s, %s, 'anna', 'release', %s, 'signal', 1, 0, '', null, %s)",
        (place, NOW - timedelta(days=days), signal_of(number).hex(), job),
    )


async def job(connection, state, days):
    """A replay of many that began so many days ago."""
    key = str(uuid.uuid4())
    await connection.execute(
        "insert into job values (%s, %s, 'anna', '{}', %s, 1, 1, 0, null, '')",
        (key, NOW - timedelta(days=days), state),
    )
    return key


async def test_what_people_did_goes_after_its_time(journal):
    """Oldest first, in pages; not what an unfinished Signal's tries are reckoned by, nor what
    a replay that still runs has taken; a replay goes with its last act."""
    purge, connection = journal
    ended, running = await job(connection, "done", 50), await job(connection, "running", 50)
    for place in range(1, 6):
        await act(connection, place, 40)
    await act(connection, 6, 40, number=2)
    await act(connection, 7, 40, number=10, job=ended)
    await act(connection, 8, 40, number=11, job=running)
    for place in range(9, 13):
        await act(connection, place, 5)
    await connection.execute(
        "insert into waiting (seq, signal, origin) values (2, %s, 'adt')",
        (signal_of(2).hex(),),
    )
    before = NOW - timedelta(days=30)
    gone, last = 0, -1
    while last is not None:
        some, last = await purge.acts(before, last)
        gone += some

    assert gone == 6
    assert await purge.jobs(before) == 1
    rows = await connection.execute("select place from act order by 1")
    assert [row[0] async for row in rows] == [6, 8, 9, 10, 11, 12]
    rows = await connection.execute("select state from job")
    assert [row[0] async for row in rows] == ["running"]
    assert await purge.acts(NOW - timedelta(days=300), -1) == (0, None)
