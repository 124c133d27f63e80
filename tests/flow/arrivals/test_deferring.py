"""Application answers as messages of their own, in the commit that ends the work (A12)."""

import asyncio
from dataclasses import replace

import pytest

from portico.flow.arrivals import deferring
from portico.hl7 import ack
from portico.model.states import SignalState as State
from portico.policy.answer import BatchRules

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


@pytest.mark.parametrize(
    ("modes", "line", "there"),
    [
        ("NE|AL", [], ["AE"]),
        ("SU|ER", [], ["AE"]),
        ("AL|AL", ["CE"], []),
        ("ER|AL", ["CE"], []),
        ("NE|SU", [], []),
        ("SU|NE", [], []),
    ],
)
async def test_who_asks_for_nothing_on_its_line_hears_of_a_refusal_there(
    start, modes, line, there
):
    """A message without its type fails in the accept phase; MSH-15 says what that answers,
    and where it answers nothing, MSH-16 and the reverse link do."""
    engine = await start(when="processed", **DEFERRED)
    sender = engine.send("6", modes=modes, kind="")
    engine.journal.commit()

    (told,) = sender.told
    assert [ack.read(one).code for one in told.replies] == line
    assert codes(engine) == [(code, b"6") for code in there]
    assert not engine.journal.waiting_rows
    if there:
        (end,) = engine.journal.ends
        assert (end.state, end.row.error) == (State.REFUSED, "message.required_missing")


async def test_a_type_that_nobody_takes_is_rejected_there(start):
    """unmatched: refuse, MSH-15 NE; an AR for what is refused once CA has left, too."""
    engine = await start(when="processed", agents=(), unmatched="refuse", **DEFERRED)
    quiet = engine.send("1", modes="NE|AL")
    loud = engine.send("2", modes="AL|AL")
    engine.journal.commit()

    assert [len(one.told[0].replies) for one in (quiet, loud)] == [0, 1]
    assert codes(engine) == [("AR", b"1")]
    assert ack.read(loud.told[0].replies[0]).code == "CR"


@pytest.mark.parametrize(("kind", "told"), [("", "AE"), ("ADT^A01", "AR")])
async def test_an_engine_that_died_before_a_refusal_was_told_tells_it(start, kind, told):
    """Stored and not ended: the next engine refuses it for the same reason."""
    settings = {"agents": (), "unmatched": "refuse", "when": "processed", **DEFERRED}
    engine = await start(**settings)
    engine.send("8", modes="NE|AL", kind=kind)
    engine.journal.store()

    later = await start(engine.journal, **settings)
    later.journal.commit()

    assert codes(later) == [(told, b"8")]
    assert later.journal.states() == [State.REFUSED]


async def test_a_message_of_a_refused_batch_is_told_with_its_batch(start):
    """What is wrong stands in its envelope, which a restart would not see: it ends at once."""
    engine = await start(when="processed", **DEFERRED)
    engine.policy = replace(engine.policy, batch=BatchRules())
    engine.intake.policy = engine.policy
    one = b"MSH|^~\\&|HIS|ST|LAB|ST|2026||ADT^A01|1|P|2.5|||NE|AL\r"
    sender = engine.take(b"BHS|^~\\&\r" + one + b"BTS|7\r")
    engine.journal.commit()

    assert b"MSA|AE|1" in sender.told[0].replies[0]
    assert codes(engine) == [] and not engine.journal.waiting_rows


@pytest.mark.parametrize(("accept", "asked"), [("AL", b"AL"), ("NE", b"NE")])
async def test_the_answer_says_whether_it_is_to_be_confirmed(start, accept, asked):
    """MSH-15: the exchange is its own, and its last word is a CA; MSH-16 is NE."""
    engine = await start(when="processed", accept=accept, **DEFERRED)
    engine.send()
    engine.journal.commit()
    engine.pool.deliver()
    engine.journal.commit()

    (one,) = engine.queued
    assert one.content.split(b"\r")[0].split(b"|")[14:] == [asked, b"NE"]


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
