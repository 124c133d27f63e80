"""portico.journal.calls on a real PostgreSQL: what steps asked, and what came of it."""

import asyncio
from hashlib import sha256

import psycopg
import pytest

from portico.clock import SystemClock
from portico.errors import JournalFenced, JournalRefused, JournalUnavailable, JournalUnclear
from portico.ids import IdMaker, SignalId
from portico.journal import together
from portico.journal.calls import OPEN, Called
from portico.journal.postgres import Journal, Told
from portico.journal.writer import Hooks
from portico.model.call import Call, Reply
from portico.model.signal import Signal

IDS = IdMaker(SystemClock())
CALL = Call("llm", "triage", 1, b'{"prompt":"p"}')
GOOD = Called(
    Reply(CALL.digest, b'{"code":"X1"}'), "sim:fixed", 7, b'{"model":"m"}', b"out", b"in"
)


def nothing(*told):
    pass


@pytest.fixture
async def journal(journal_url):
    """An open journal on a database of its own."""
    told = Told(Hooks(*[nothing] * 6), nothing, nothing)
    opened = Journal(
        lambda: journal_url, "one", SystemClock(), asyncio.get_running_loop(), told
    )
    await opened.open()
    yield opened
    await opened.close(2)


class Inbound:
    """A Pending that can be awaited."""

    known = ()

    def __init__(self, signal):
        self.signal = signal
        self.stored_at = asyncio.get_running_loop().create_future()

    def stored(self, seq, earlier):
        """Durable."""
        self.stored_at.set_result(seq)

    def failed(self, error):
        """Not durable."""
        self.stored_at.set_exception(error)


async def a_signal(journal, parent=None) -> SignalId:
    """A stored Signal; its id."""
    now = SystemClock().time_ns()
    signal = Signal(IDS.next(), "in", now, b"x", sha256(b"x").digest(), parent=parent)
    pending = Inbound(signal)
    journal.writer.accept(pending)
    await pending.stored_at
    return signal.id


async def test_a_call_that_went_well_is_found_again(journal, journal_url):
    """By the same step of the same agent asking the same; and its row tells all of it."""
    signal = await a_signal(journal)
    other = Call("llm", "triage", 1, b'{"prompt":"q"}')

    assert await journal.calls.find(signal, "a", CALL) is None
    await journal.calls.keep(signal, "a", CALL, GOOD)

    assert await journal.calls.find(signal, "a", CALL) == GOOD.reply
    assert await journal.calls.find(signal, "b", CALL) is None
    assert await journal.calls.find(signal, "a", other) is None
    async with await psycopg.AsyncConnection.connect(journal_url) as connection:
        query = "select step, target, micros, detail->>'model', sent, received from call"
        found = await (await connection.execute(query)).fetchall()
    assert found == [("triage", "sim:fixed", 7, "m", b"out", b"in")]


async def test_a_call_that_may_work_later_is_kept_and_made_again(journal):
    """What left the machine stays on record."""
    signal = await a_signal(journal)
    bad = Reply(CALL.digest, error="llm.http_429", text="HTTP 429", transient=True)
    await journal.calls.keep(signal, "a", CALL, Called(bad, sent=b"out"))

    assert await journal.calls.find(signal, "a", CALL) is None
    await journal.calls.keep(signal, "a", CALL, GOOD)

    assert await journal.calls.find(signal, "a", CALL) == GOOD.reply


async def test_a_failure_for_good_is_the_answer_of_its_signal_alone(journal):
    """Killed before its session had concluded, it ends as it was about to; a replay asks."""
    signal = await a_signal(journal)
    bad = Reply(CALL.digest, error="llm.refused", text="no such model")
    await journal.calls.keep(signal, "a", CALL, Called(bad))
    again = await a_signal(journal, parent=signal)

    assert await journal.calls.find(signal, "a", CALL) == bad
    assert await journal.calls.find(again, "a", CALL) is None
    [made] = await journal.calls.made(signal, "a", "triage")
    assert (made.final, made.text) == (True, "no such model")
    [parents] = await journal.calls.made(again, "a", "triage")
    assert (parents.final, parents.text) == (False, "")


async def test_a_replay_goes_by_what_its_parent_was_told(journal):
    """It decides as the first run did, and costs nothing."""
    first = await a_signal(journal)
    await journal.calls.keep(first, "a", CALL, GOOD)
    again = await a_signal(journal, parent=first)

    assert await journal.calls.find(again, "a", CALL) == GOOD.reply


async def test_an_agent_with_a_new_name_goes_by_what_it_was_told_under_the_old(
    journal, journal_url
):
    """A replay costs nothing and does nothing twice; a budget counts what it had spent."""
    first = await a_signal(journal)
    await journal.calls.keep(first, "a", CALL, GOOD)
    async with await psycopg.AsyncConnection.connect(journal_url) as connection:
        await connection.execute("delete from waiting")  # it has ended
    for old, new in ("ab", "bc"):
        await journal.desk.rename("agent", old, new)
    again = await a_signal(journal, parent=first)

    assert await journal.calls.find(again, "c", CALL) == GOOD.reply
    assert [one.digest for one in await journal.calls.made(again, "c", "triage")] == [
        CALL.digest
    ]
    assert await journal.calls.find(again, "d", CALL) is None
    assert [one.agent for one in await journal.calls.spent(0.0)] == ["c"]


async def test_an_engine_without_the_lease_keeps_nothing(journal, journal_url):
    """Promise P9."""
    signal = await a_signal(journal)
    async with await psycopg.AsyncConnection.connect(journal_url) as connection:
        await connection.execute("update lease set owner = 'two', epoch = epoch + 1")

    with pytest.raises(JournalFenced):
        await journal.calls.keep(signal, "a", CALL, GOOD)
    assert await journal.calls.find(signal, "a", CALL) is None


async def test_what_a_peer_said_is_stored_whatever_it_said(journal, journal_url):
    """NUL and lone surrogates have no place in a text of PostgreSQL, and stop no Signal."""
    signal = await a_signal(journal)
    odd = Reply(CALL.digest, error="llm.refused", text="no\0 \ud800")
    await journal.calls.keep(signal, "a", CALL, Called(odd))

    async with await psycopg.AsyncConnection.connect(journal_url) as connection:
        rows = await (await connection.execute("select text from call")).fetchall()
    assert rows == [("no\ufffd ?",)]


async def test_what_is_about_to_leave_has_its_row_before_it_leaves(journal):
    """Killed then, the journal tells what left; answered, the same row tells all."""
    signal = await a_signal(journal)

    opened = await journal.calls.open(signal, "a", CALL, "sim:fixed", b"out")
    [left] = await journal.calls.egress(signal)
    assert (left.sent, left.error, left.target) == (b"out", OPEN, "sim:fixed")
    assert await journal.calls.find(signal, "a", CALL) is None

    await journal.calls.keep(signal, "a", CALL, GOOD, opened)
    [whole] = await journal.calls.egress(signal)
    assert (whole.sent, whole.received, whole.error) == (b"out", b"in", "")
    assert await journal.calls.find(signal, "a", CALL) == GOOD.reply


async def test_a_row_whose_commit_nobody_knows_is_not_written_a_second_time(
    journal, monkeypatch
):
    """Its connection was lost then, and it is stored: what tries again finds it. A second one,
    left open, would have a person asked about what is known; closed, it would cost twice."""
    signal = await a_signal(journal)
    whole, other = together._made, Call("llm", "triage", 2, b"{}")

    async def lost(connection, group):
        await whole(connection, group)
        await connection.close()
        raise psycopg.OperationalError

    async def away(connection, group):
        raise psycopg.errors.AdminShutdown

    for work in (
        lambda: journal.calls.open(signal, "a", CALL, "sim:fixed", b"out"),
        lambda: journal.calls.keep(signal, "a", other, GOOD),
    ):
        monkeypatch.setattr(together, "_made", lost)
        with pytest.raises(JournalUnclear):
            await work()
        monkeypatch.setattr(together, "_made", away)
        with pytest.raises(JournalUnavailable):
            await work()
        monkeypatch.setattr(together, "_made", whole)
        opened = await work()
        if opened:
            await journal.calls.keep(signal, "a", CALL, GOOD, opened)

    rows = await journal.calls.egress(signal)
    assert [(row.error, row.received) for row in rows] == [("", b"in"), ("", b"in")]


async def test_what_calls_cost_is_told_also_of_one_whose_answer_nobody_knows(journal):
    """A budget counts it; money is told where the row has it."""
    signal, priced = await a_signal(journal), b'{"usage":{"input":3,"output":4,"cost":"0.5"}}'
    await journal.calls.keep(signal, "a", CALL, Called(GOOD.reply, "p:m", detail=priced))
    await journal.calls.open(signal, "a", Call("llm", "triage", 2, b"{}"), "p:m", b"x" * 41)
    third = Call("llm", "triage", 3, b"{}")
    ended = Called(Reply(third.digest, error="call.cancelled"), "p:m", sent=b"x" * 81)
    await journal.calls.keep(signal, "a", third, ended)

    spent = await journal.calls.spent(0.0)

    assert [(one.target, one.step, one.input, one.output, one.money) for one in spent] == [
        ("p:m", "triage", 3, 4, 500_000),
        ("p:m", "triage", 10, 0, None),
        ("p:m", "triage", 20, 0, None),
    ]


async def test_all_that_a_step_did_is_found_in_order_a_parents_too(journal):
    """Its conversation is made of that."""
    first = await a_signal(journal)
    await journal.calls.keep(first, "a", CALL, GOOD)
    again = await a_signal(journal, parent=first)
    other = Call("tool", "triage", 1, b"{}")
    await journal.calls.open(again, "a", other, "bedboard.book", b"{}")
    await journal.calls.keep(again, "a", Call("llm", "other", 1, b"{}"), GOOD)

    made = await journal.calls.made(again, "a", "triage")

    assert [(one.digest, one.error) for one in made] == [
        (CALL.digest, ""),
        (other.digest, OPEN),
    ]


async def test_writes_of_many_share_a_commit_and_none_fails_for_another(journal, monkeypatch):
    """What comes while one commit is under way waits for the next; a refused one is alone."""
    signal = await a_signal(journal)
    commits = []
    whole = together._made
    monkeypatch.setattr(
        together,
        "_made",
        lambda link, group: (commits.append(len(group)), whole(link, group))[1],
    )
    calls = [Call("llm", f"step{number}", 1, b"{}") for number in range(20)]
    calls[7] = Call("llm", "no\0", 1, b"{}")

    kept = [journal.calls.keep(signal, "a", call, GOOD) for call in calls]
    told = await asyncio.gather(*kept, return_exceptions=True)

    assert [type(one) for one in told if one] == [JournalRefused]
    assert commits == [20, *[1] * 20]
    assert len(await journal.calls.egress(signal)) == 19
