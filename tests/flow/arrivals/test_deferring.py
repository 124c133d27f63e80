"""Application answers as messages of their own, in the commit that ends the work (A12)."""

import asyncio

import pytest

from portico.flow.arrivals import deferring
from portico.hl7 import ack
from portico.model.states import SignalState as State

DEFERRED = {"deferred": "acks", "mode": "enhanced"}


@pytest.fixture
def looking(monkeypatch):
    """Lets the journal be looked at until nothing more comes of it."""
    monkeypatch.setattr(deferring, "_LOOK_AGAIN", 0.0)

    async def look():
        for _ in range(20):
            await asyncio.sleep(0)

    return look


def codes(engine, to="acks"):
    """What has been handed to the queue of that destination."""
    sent = [one for one in engine.queued if one.destination == to]
    return [(ack.read(one.content).code, ack.read(one.content).control_id) for one in sent]


def owed(end):
    """The destinations of what a conclusion owes."""
    return [one.destination for one in end.owed]


async def test_processed_is_answered_in_the_commit_of_the_verdict(start):
    """CA on the line; AA is a Delivery that is durable when the verdict is."""
    engine = await start(when="processed", **DEFERRED)
    sender = engine.send("77")
    engine.journal.commit()
    assert [ack.read(one).code for one in sender.told[0].replies] == ["CA"]
    assert not sender.told[0].more

    engine.pool.deliver("his")
    engine.journal.commit()

    (end,) = engine.journal.ends
    assert (end.state, owed(end)) == (State.DONE, ["his", "acks"])
    assert codes(engine) == [("AA", b"77")]


@pytest.mark.parametrize("modes", ["AL|NE", "NE|NE", "AL|ER"])
async def test_who_asks_for_no_answer_is_owed_none(start, modes):
    """MSH-16 decides about the second phase, wherever it would go."""
    engine = await start(when="processed", **DEFERRED)
    engine.send(modes=modes)
    engine.journal.commit()
    engine.pool.deliver("his")
    engine.journal.commit()

    assert codes(engine) == []


async def test_original_mode_is_answered_on_the_line(start):
    """Only enhanced mode has a phase that could come later."""
    engine = await start(when="processed", deferred="acks")
    sender = engine.send()
    engine.journal.commit()
    engine.pool.deliver("his")
    engine.journal.commit()

    assert sender.code == "AA"
    assert codes(engine) == []


async def test_a_refusal_and_a_fault_are_told_there(start):
    """AE in the same commit; a refusal is no person's matter: its sender hears of it."""
    engine = await start(when="processed", **DEFERRED)
    engine.send("1")
    engine.send("2", patient="8")
    engine.journal.commit()
    engine.pool.refuse("AR")
    engine.pool.fault()
    engine.journal.commit()

    assert codes(engine) == [("AR", b"1"), ("AE", b"2")]
    assert engine.journal.states() == [State.REFUSED, State.PARKED]


async def test_delivered_is_answered_once_every_destination_has_it(start):
    """Until then the Signal waits in the journal; then AA, in the commit that ends it."""
    engine = await start(when="delivered", agents=("a", "b"), **DEFERRED)
    engine.send()
    engine.journal.commit()
    engine.pool.deliver("his", "lab")
    engine.pool.deliver("pacs")
    engine.journal.commit()
    assert engine.journal.states() == []
    assert len(engine.journal.waiting_rows) == 1

    for delivery in tuple(engine.queued):
        assert codes(engine) == []
        engine.deliver(delivery)
        engine.journal.commit()

    assert codes(engine) == [("AA", b"1")]
    assert engine.journal.states() == [State.DONE]
    assert not engine.waiters


async def test_a_destination_that_will_not_have_it_is_told_as_our_fault(start):
    """AE once, and nothing more for the Deliveries that follow."""
    engine = await start(when="delivered", **DEFERRED)
    engine.send()
    engine.journal.commit()
    engine.pool.deliver("his", "lab")
    engine.journal.commit()
    his, lab = engine.queued
    engine.deliver(his, "parked")
    engine.deliver(lab)
    engine.journal.commit()

    assert codes(engine) == [("AE", b"1")]


async def test_time_that_is_up_is_told_once_while_work_goes_on(start):
    """AE at the limit; the late success says nothing more, and the Signal ends well."""
    engine = await start(when="delivered", timeout=10.0, **DEFERRED)
    engine.send()
    engine.journal.commit()
    engine.time.pass_(10)
    engine.journal.commit()
    assert codes(engine) == [("AE", b"1")]

    engine.pool.deliver("his")
    engine.journal.commit()
    for delivery in tuple(engine.queued):
        engine.deliver(delivery)
    engine.journal.commit()

    assert codes(engine) == [("AE", b"1")]
    assert engine.journal.states() == [State.DONE]


async def test_an_engine_that_died_before_the_deliveries_settled_answers_after_restart(
    start, looking
):
    """The Signal is found waiting; what an earlier engine sent is looked up in the journal."""
    engine = await start(when="delivered", **DEFERRED)
    engine.send("9")
    engine.journal.commit()
    engine.pool.deliver("his")
    engine.journal.commit()
    (his,) = engine.queued

    later = await start(engine.journal, when="delivered", **DEFERRED)
    await looking()
    assert codes(later) == []
    later.journal.settled[his.signal, his.number] = "delivered", b""
    await looking()
    later.journal.commit()

    assert codes(later) == [("AA", b"9")]
    assert later.journal.states() == [State.DONE]


async def test_an_engine_that_died_before_the_verdict_answers_after_it(start):
    """The answer is owed to the sender of a recalled Signal too, a refusal as well."""
    engine = await start(when="processed", **DEFERRED)
    engine.send("5")
    engine.journal.commit()

    later = await start(engine.journal, when="processed", **DEFERRED)
    later.pool.refuse()
    later.journal.commit()

    assert codes(later) == [("AE", b"5")]
    assert later.journal.states() == [State.REFUSED]


async def test_what_was_told_before_a_crash_is_not_told_again(start):
    """The AE of a time limit is a session of the channel's; after a restart there is no AA."""
    engine = await start(when="processed", timeout=10.0, **DEFERRED)
    engine.send()
    engine.journal.commit()
    engine.time.pass_(10)
    engine.journal.commit()

    later = await start(engine.journal, when="processed", **DEFERRED)
    later.pool.deliver("his")
    later.journal.commit()

    assert codes(engine) == [("AE", b"1")]
    assert codes(later) == []


async def test_a_repeat_gets_the_same_answer_again(start, looked, looking):
    """A13: CA on the line, and the first one's bytes to the reverse link once more."""
    engine = await start(when="processed", **DEFERRED)
    engine.send("3")
    engine.journal.commit()
    engine.pool.deliver("his")
    engine.journal.commit()
    again = engine.send("3")
    engine.journal.commit()
    await looked(engine)
    engine.journal.commit()

    first, second = [one.content for one in engine.queued if one.destination == "acks"]
    assert first == second
    assert [ack.read(one).code for one in again.told[0].replies] == ["CA"]
    assert engine.journal.states() == [State.DONE, State.DUPLICATE]


async def test_what_no_agent_takes_is_answered_there_too(start):
    """unmatched: drop is a positive answer, with its end in the same commit."""
    engine = await start(when="processed", agents=(), **DEFERRED)
    engine.send("4")
    engine.journal.commit()

    assert codes(engine) == [("AA", b"4")]
    assert engine.journal.states() == [State.FILTERED]
