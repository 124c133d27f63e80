"""People's acts in the group commit: whole or not at all, fenced, in the books."""

import asyncio
from contextlib import asynccontextmanager
from hashlib import sha256

import psycopg
import pytest

from portico.clock import SystemClock
from portico.errors import JournalError, JournalRefused, JournalUnavailable
from portico.ids import IdMaker
from portico.journal import held
from portico.journal.calls import Called
from portico.journal.contract import (
    Act,
    ActRow,
    Added,
    Conclusion,
    JobRow,
    Mark,
    Owed,
    ParkedRow,
    Requeued,
    SessionRow,
)
from portico.journal.postgres import Journal, Told
from portico.journal.writer import Hooks
from portico.model.call import Call, Reply
from portico.model.delivery import Answered, Attempt
from portico.model.signal import Signal
from portico.model.states import SignalState

CLOCK = SystemClock()
IDS = IdMaker(CLOCK)


class Inbound:
    """A Pending whose place can be awaited."""

    def __init__(self, **fields):
        content = fields.pop("content", b"MSH|^~\\&|")
        self.signal = Signal(
            IDS.next(), "adt", CLOCK.time_ns(), content, sha256(content).digest(), **fields
        )
        self.known = ()
        self.place = asyncio.get_running_loop().create_future()

    def stored(self, seq, earlier):
        """Durable."""
        self.place.set_result(seq)

    def failed(self, error):
        """Not durable."""
        self.place.set_exception(error)


@asynccontextmanager
async def a_journal(conninfo, owner="one", rejected=None):
    """An open journal."""
    nothing = lambda *args: None  # noqa: E731
    hooks = Hooks(nothing, nothing, nothing, nothing, rejected or nothing, nothing)
    told = Told(hooks, nothing, nothing)
    loop = asyncio.get_running_loop()
    journal = Journal(lambda: conninfo, owner, CLOCK, loop, told)
    await journal.open()
    yield journal
    await journal.close(2)


@pytest.fixture
async def journal(journal_url):
    """An open journal on a database of its own."""
    async with a_journal(journal_url) as opened:
        yield opened


async def rows(conninfo, query):
    """What the database says."""
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        return await (await connection.execute(query)).fetchall()


async def books(conninfo):
    """The books that are not empty."""
    found = await rows(conninfo, "select scope, name, state, n from tally where n <> 0")
    return {(scope, state): n for scope, _, state, n in found}


async def stored(journal):
    """A Signal."""
    inbound = Inbound()
    journal.writer.accept(inbound)
    await inbound.place
    return inbound.signal.id


async def parked_delivery(journal):
    """A Signal whose only Delivery was refused: its id, and the Delivery's place."""
    inbound = Inbound()
    journal.writer.accept(inbound)
    seq, signal = await inbound.place, inbound.signal.id
    loop = asyncio.get_running_loop()
    at, done, now = loop.create_future(), loop.create_future(), CLOCK.time_ns()
    row = SessionRow(1, "agent", "v1", "deliver", now)
    owed = (Owed(1, "lab", "k", 0),)
    journal.writer.conclude(
        Conclusion(signal, "adt", seq, row, at.set_result, owed, state=SignalState.DONE)
    )
    place = await at
    kept = ParkedRow(signal, "delivery", 1, place, "lab", now, lane="k", hold=True, tries=1)
    answer = Attempt(Answered.ANSWERED, "AR")
    stored = lambda: done.set_result(None)  # noqa: E731
    journal.writer.mark(
        Mark(signal, 1, "lab", place, "parked", 1, now, answer, stored, kept), True
    )
    await done
    return signal, place


def a_release(signal, place, **more):
    """The parts of an act that releases it."""
    return {
        "rows": (ActRow(signal, "delivery", 1, "release", "anna", CLOCK.time_ns(), "", 1),),
        "freed": ((signal, "delivery", 1),),
        "queued": (Requeued(signal, 1, "lab", place, "k", 1),),
        "books": (("destination", "lab", "parked", -1), ("destination", "lab", "queued", 1)),
        **more,
    }


async def do(journal, **parts):
    """An act, once it is stored; raises what it failed with."""
    done = asyncio.get_running_loop().create_future()
    rows = parts.pop("rows", ())
    journal.writer.act(Act(rows, done.set_result, done.set_exception, **parts))
    return await done


async def test_a_release_queues_it_again_with_its_record_and_its_books(journal, journal_url):
    """One transaction: parked row, queue, record, books."""
    signal, place = await parked_delivery(journal)
    await do(journal, **a_release(signal, place))

    assert await rows(journal_url, "select count(*) from parked") == [(0,)]
    assert await rows(journal_url, "select seq, lane, tries from queued") == [(place, "k", 1)]
    acts = await rows(journal_url, "select who, what, kind, number, tries from act")
    assert acts == [("anna", "release", "delivery", 1, 1)]
    found = await books(journal_url)
    assert found["destination", "queued"] == 1
    assert ("destination", "parked") not in found


async def test_a_released_delivery_is_read_back_with_its_tries_spent(journal):
    """What failed before a person looked at it does not count against it after a restart."""
    signal, place = await parked_delivery(journal)
    await do(journal, **a_release(signal, place))
    (delivery,) = await journal.reader.queued("lab", -1, 10)

    assert (delivery.tries, delivery.spent, delivery.since) == (1, 1, 0)


async def test_what_was_released_already_is_not_released_twice(journal, journal_url):
    """The second fails alone; what shares its flush is stored."""
    signal, place = await parked_delivery(journal)
    await do(journal, **a_release(signal, place))
    inbound = Inbound()
    journal.writer.accept(inbound)
    with pytest.raises(JournalRefused):
        await do(journal, **a_release(signal, place))
    await inbound.place

    assert await rows(journal_url, "select count(*) from act") == [(1,)]
    assert (await books(journal_url))["destination", "queued"] == 1


async def test_a_delivery_is_added_behind_all_others_with_the_bytes_that_are_there(
    journal, journal_url
):
    """A resend: a new number and place, the body of an old part."""
    signal, place = await parked_delivery(journal)
    new = Added(signal, Owed(2, "lab", "k", 0, None, "id", ""))
    at = await do(journal, added=(new,))
    (delivery,) = await journal.reader.queued("lab", -1, 10)

    assert at == delivery.seq > place
    assert (delivery.number, delivery.content) == (2, b"MSH|^~\\&|")
    found = await books(journal_url)
    assert (found["destination", "owed"], found["destination", "queued"]) == (2, 1)


async def test_a_new_signal_its_record_and_its_job_are_one(journal, journal_url):
    """After a crash a job goes on behind the last that was stored."""
    signal, _ = await parked_delivery(journal)
    made = Inbound(flags=("replay",), parent=signal)
    now, key = CLOCK.time_ns() // 1000 * 1000, IDS.next()
    job = JobRow(key, now, "anna", "{}", "running", 5)
    await do(journal, jobs=(job,))
    further = JobRow(key, now, "anna", "{}", "running", 5, 1, 0, signal)
    row = ActRow(signal, "signal", 0, "replay", "anna", now, other=made.signal.id, job=key)
    await do(journal, rows=(row,), arrived=(made,), jobs=(further,))

    assert await held.jobs(journal.reader) == [further]
    assert (await books(journal_url))["channel", "received"] == 2
    with pytest.raises(JournalRefused):  # the same Signal by the same job
        await do(journal, rows=(row,), arrived=(Inbound(parent=signal),), jobs=(further,))
    assert (await books(journal_url))["channel", "received"] == 2


async def test_an_engine_that_lost_its_lease_changes_nothing(journal_url):
    """Promise P9: a frozen engine that wakes up releases nothing."""
    async with a_journal(journal_url, "old") as old:
        signal, place = await parked_delivery(old)
        await rows(
            journal_url,
            "update lease set owner = 'new', epoch = epoch + 1 returning 1",
        )
        with pytest.raises(JournalError):
            await do(old, **a_release(signal, place))

        assert await rows(journal_url, "select count(*) from parked") == [(1,)]
        assert await rows(journal_url, "select count(*) from act") == [(0,)]


async def test_an_act_fails_at_once_while_the_journal_is_down(journal):
    """A person is told, and asks again."""
    signal, place = await parked_delivery(journal)
    journal.writer.close()
    with pytest.raises(JournalUnavailable):
        await do(journal, **a_release(signal, place))


async def test_a_released_signal_waits_again_for_the_agent_that_failed_alone(
    journal, journal_url
):
    """After a kill, too: its session is history and counts no more; what it was is new."""
    inbound = Inbound(repeat_key=5)
    journal.writer.accept(inbound)
    seq, signal, now = await inbound.place, inbound.signal.id, CLOCK.time_ns()
    ended = asyncio.get_running_loop().create_future()
    good = SessionRow(1, "good", "v1", "deliver", now)
    journal.writer.conclude(Conclusion(signal, "adt", seq, good, lambda at: None))
    kept = ParkedRow(signal, "signal", 2, seq, "adt", now, agent="bad", lane="k", hold=True)
    bad = SessionRow(2, "bad", "v1", "fault", now)
    state = SignalState.PARKED
    journal.writer.conclude(
        Conclusion(signal, "adt", seq, bad, ended.set_result, parked=kept, state=state)
    )
    await ended
    asked = Call("llm", "triage", 1, b"{}")
    refused = Called(Reply(asked.digest, error="llm.refused"))
    for one in (signal, other := await stored(journal)):
        await journal.calls.keep(one, "bad", asked, refused)
    (before,) = (await held.signals_of(journal.reader, [signal])).values()
    await do(
        journal,
        rows=(ActRow(signal, "signal", 2, "release", "anna", now),),
        freed=((signal, "signal", 2),),
        waits=((seq, signal, "adt"),),
    )
    after, other_one = await journal.reader.waiting(-1, 10, 0)
    assert await journal.reader.waiting_at([seq], 0) == [after]
    assert await journal.reader.waiting(-1, 10, 0, without=["adt"]) == []
    assert await journal.reader.waiting(seq, 10, 0, only="adt") == [other_one]

    assert after == before
    assert (after.agents, after.verdicts, after.sessions) == (("good",), ("deliver",), 2)
    assert await journal.reader.state_of(signal) is SignalState.WAITING
    assert await journal.calls.find(signal, "bad", asked) is None  # it is asked again
    assert await journal.calls.find(other, "bad", asked) == refused.reply


async def test_what_was_discarded_is_no_longer_what_its_sessions_say(journal):
    """A sender's repeat of it runs anew, since nobody took the first."""
    inbound = Inbound()
    journal.writer.accept(inbound)
    seq, signal, now = await inbound.place, inbound.signal.id, CLOCK.time_ns()
    ended = asyncio.get_running_loop().create_future()
    kept = ParkedRow(signal, "signal", 1, seq, "adt", now)
    row, state = SessionRow(1, "bad", "v1", "fault", now), SignalState.PARKED
    journal.writer.conclude(
        Conclusion(signal, "adt", seq, row, ended.set_result, parked=kept, state=state)
    )
    await ended
    assert await journal.reader.state_of(signal) is SignalState.PARKED
    act = ActRow(signal, "signal", 1, "discard", "anna", now, "poison")
    await do(journal, rows=(act,), freed=((signal, "signal", 1),))

    assert await journal.reader.state_of(signal) is SignalState.DISCARDED
