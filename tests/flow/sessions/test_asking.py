"""portico.flow.sessions.asking: each call is done once, journaled, then answered."""

import asyncio

import pytest

from portico.errors import JournalRefused, JournalUnavailable, Permanent
from portico.flow.runs import Run
from portico.flow.sessions.asking import Broker
from portico.ids import SignalId
from portico.journal.calls import Called
from portico.model.call import Call, Reply
from portico.model.signal import Signal

CALL = Call("llm", "triage", 1, b"{}")
GOOD = Reply(CALL.digest, b'{"code":"X1"}')


class RecordTwin:
    """The journal's calls, in memory; `away` times it cannot be reached."""

    def __init__(self, stored=None, away=0):
        self.stored, self.kept, self.away, self.opened = stored, [], away, []

    async def find(self, signal, agent, call):
        """As journal.calls."""
        if self.away:
            self.away -= 1
            raise JournalUnavailable("not now")
        return self.stored

    async def open(self, signal, agent, call, target, sent):
        """As journal.calls."""
        self.opened.append((target, sent))
        return len(self.opened)

    async def keep(self, signal, agent, call, called, opened=None):
        """As journal.calls."""
        self.kept.append((agent, called))
        self.closed = opened


def a_run():
    return Run(Signal(SignalId(b"\1" * 16), "in", 0, b"", b""), 1, {"a"}, {})


async def asked(record, doer, events=None):
    """The reply to CALL."""
    replied = asyncio.get_running_loop().create_future()
    events = [] if events is None else events
    broker = Broker(record, {"llm": doer}, events.append)
    broker.ask("a", a_run(), CALL, replied.set_result)
    return await asyncio.wait_for(replied, 5)


async def test_what_was_done_is_stored_before_the_run_goes_on():
    """A kill after it pays no second time."""
    record = RecordTwin()

    async def doer(one):
        assert one.call is CALL
        return Called(GOOD, "sim", sent=b"asked")

    assert await asked(record, doer) == GOOD
    assert [(agent, called.sent) for agent, called in record.kept] == [("a", b"asked")]


async def test_a_stored_reply_is_given_without_doing_it_again():
    """After a restart, and in a replay."""

    async def doer(one):
        raise AssertionError("it was done before")

    assert await asked(RecordTwin(GOOD), doer) == GOOD


async def test_what_may_work_later_is_not_stored():
    """The next run asks again."""
    record = RecordTwin()
    later = Reply(CALL.digest, error="llm.busy", text="busy", transient=True)

    async def doer(one):
        return Called(later)

    assert await asked(record, doer) == later
    assert record.kept == []


async def test_what_leaves_is_stored_before_it_leaves():
    """And its row is closed by what came of it, also where that may work later."""
    record = RecordTwin()

    async def doer(one):
        await one.leaves("sim:m", b"out")
        assert (record.opened, record.kept) == ([("sim:m", b"out")], [])
        return Called(Reply(CALL.digest, error="llm.cut", text="cut", transient=True))

    await asked(record, doer)

    assert (len(record.kept), record.closed) == (1, 1)


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [(Permanent("no such tool"), "step.permanent", "no such tool"),
     (ValueError("MUSTER"), "step.permanent", "ValueError")],
)  # fmt: skip
async def test_what_a_doer_raises_is_an_error_of_the_step(fault, code, text):
    """Our own words are told, a stranger's may quote a patient."""
    events = []

    async def doer(one):
        raise fault

    reply = await asked(RecordTwin(), doer, events)

    assert (reply.error, reply.text, reply.transient) == (code, text, False)
    assert [event.error for event in events] == [type(fault).__name__]


async def test_a_journal_that_is_away_is_waited_for(monkeypatch):
    """Nothing is done before it can be known whether it was done."""
    monkeypatch.setattr("portico.flow.sessions.asking._AGAIN", 0.01)
    record = RecordTwin(away=2)

    async def doer(one):
        assert record.away == 0
        return Called(GOOD)

    assert await asked(record, doer) == GOOD


async def test_a_broker_that_stops_answers_nobody():
    """The next engine asks again."""
    replies = []
    broker = Broker(RecordTwin(), {"llm": lambda one: asyncio.Event().wait()}, print)
    broker.ask("a", a_run(), CALL, replies.append)
    await asyncio.sleep(0)

    broker.stop()
    while broker.open:
        await asyncio.sleep(0)

    assert replies == []


async def test_a_record_that_cannot_be_stored_fails_the_step():
    """It would be refused for ever; the Signal is parked and its lane can be told why."""
    record, events = RecordTwin(), []

    async def refused(*_):
        raise JournalRefused("the database refused the statement, SQLSTATE 22P05", "22P05")

    async def doer(one):
        return Called(GOOD)

    record.keep = refused
    reply = await asked(record, doer, events)

    assert (reply.digest, reply.error, reply.transient) == (
        CALL.digest,
        "journal.refused",
        False,
    )
    assert [event.error for event in events] == ["JournalRefused"]


async def test_a_call_that_is_ended_twice_has_its_row_closed_all_the_same():
    """An impatient second click does not interrupt what the first one stores."""
    record, under_way = RecordTwin(), asyncio.Event()
    keep = record.keep

    async def slowly(*given):
        await asyncio.sleep(0)
        await keep(*given)

    async def doer(one):
        await one.leaves("sim:m", b"out")
        under_way.set()
        await asyncio.Event().wait()

    record.keep = slowly
    broker = Broker(record, {"llm": doer}, print)
    broker.ask("a", a_run(), CALL, print)
    await under_way.wait()
    while broker.open:
        for one in broker.asked(a_run().signal.id):
            broker.cancel(one)
        await asyncio.sleep(0)

    assert [called.reply.error for _, called in record.kept] == ["call.cancelled"]


async def test_what_left_for_a_call_that_a_person_ended_is_closed():
    """Its row says so, and nobody goes on with it; one that a stop ended stays open."""
    record, ends = RecordTwin(), []
    under_way = asyncio.Event()

    async def doer(one):
        await one.leaves("sim:m", b"out")
        under_way.set()
        await asyncio.Event().wait()

    for end in (lambda broker: broker.cancel(broker.asked(a_run().signal.id)[0]), Broker.stop):
        under_way.clear()
        broker = Broker(record, {"llm": doer}, print)
        broker.ask("a", a_run(), CALL, ends.append)
        await under_way.wait()
        end(broker)
        while broker.open:
            await asyncio.sleep(0)

    assert ends == []
    [(_, called)] = record.kept
    assert called.reply.error == "call.cancelled"
    assert (called.target, called.sent) == ("sim:m", b"out")  # what left stays on record


@pytest.mark.parametrize("ended", [False, True])
async def test_what_a_session_asks_again_while_it_is_under_way_is_not_done_beside_it(ended):
    """A person cancelled the session, or its agent left the site and is back; then released.
    What the first one gives is the answer; where it was ended, it is over before the second.
    """
    record, replies, beside = RecordTwin(), [], []
    under_way, go = asyncio.Event(), asyncio.Event()

    async def kept(signal, agent, call, called, opened=None):
        record.stored = called.reply

    async def doer(one):
        beside.append("begun")
        under_way.set()
        try:
            await go.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            raise
        finally:
            beside.append("over")
        return Called(GOOD)

    record.keep = kept
    broker = Broker(record, {"llm": doer}, print)
    broker.ask("a", a_run(), CALL, lambda reply: replies.append("first"))
    await under_way.wait()
    if ended:
        broker.cancel(broker.asked(a_run().signal.id)[0])
    broker.ask("a", a_run(), CALL, replies.append)
    for _ in range(9):
        await asyncio.sleep(0)
    go.set()
    while broker.open:
        await asyncio.sleep(0)

    assert replies == ([GOOD] if ended else ["first", GOOD])
    assert beside == ["begun", "over"] * (2 if ended else 1)
    assert not broker._own
