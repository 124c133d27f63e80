"""From a Signal to its sessions' verdicts (promises P2, P4)."""

import pytest

from portico.flow.sessions.failing import FailureTerms
from portico.model.call import Call, Reply
from portico.model.states import SignalState as State
from portico.model.verdict import Kind, SessionResult


async def ran(start, *control_ids, **settings):
    """An engine that has these messages of one order key with its workers."""
    engine = await start(**settings)
    for control_id in control_ids:
        engine.send(control_id)
    engine.journal.commit()
    return engine


async def test_a_session_is_journaled_with_what_it_owes(start):
    """The same commit holds the session, the Deliveries and the Signal's end; none leaves
    before it."""
    engine = await ran(start, "1")
    engine.pool.deliver("his", "lab")
    assert not engine.queued

    engine.journal.commit()

    (end,) = engine.journal.ends
    assert [(o.destination, o.part) for o in end.owed] == [("his", 0), ("lab", 0)]
    assert [d.destination for d in engine.queued] == ["his", "lab"]
    assert engine.queued[0].seq < engine.queued[1].seq


async def test_a_transient_failure_is_tried_again_and_holds_its_key(start):
    """What came behind waits, what comes meanwhile too; then all go on in order."""
    engine = await ran(start, "1", "2", "3")
    engine.pool.fault(transient=True)
    engine.send("4")
    engine.journal.commit()
    engine.pool.answer(at=1)
    engine.pool.answer()
    assert not engine.pool.items

    engine.time.pass_(2)

    assert engine.pool.control_ids == ["1", "2", "3", "4"]
    assert engine.pool.items[0][1].attempt == 2


def asks(engine, number, at=0):
    """The oldest item asks the engine."""
    call = Call("llm", "triage", number, b"{}")
    engine.pool.answer(SessionResult(Kind.CALL, "triage", call=call), at)
    return call


async def test_a_step_that_asks_holds_its_key_until_the_reply(start):
    """Then the Signal runs again with every reply it has had, before what came behind it."""
    engine = await ran(start, "1", "2")
    first = asks(engine, 1)
    engine.pool.answer()
    assert not engine.pool.items

    engine.asked[0][2](Reply(first.digest, b"1"))
    second = asks(engine, 2)
    engine.pool.answer()
    engine.asked[1][2](Reply(second.digest, b"2"))

    assert engine.pool.control_ids == ["1", "2"]
    item = engine.pool.items[0][1]
    assert [reply.outcome for reply in item.replies] == [b"1", b"2"]
    assert item.attempt == 1
    assert engine.pool.items[1][1].replies == ()


async def test_a_version_that_asks_something_else_keeps_the_replies_before_that(start):
    """The agent was reloaded while its step waited; what it asks now is answered for it."""
    engine = await ran(start, "1")
    for number in (1, 2, 2):
        call = asks(engine, number)
        engine.asked[-1][2](Reply(call.digest, str(len(engine.asked)).encode()))

    item = engine.pool.items[0][1]
    assert [reply.outcome for reply in item.replies] == [b"1", b"3"]
    assert item.asked == "v1"


async def test_a_retry_keeps_the_replies_that_went_well(start):
    """What was answered is not asked again; what failed is."""
    engine = await ran(start, "1")
    first = asks(engine, 1)
    engine.asked[0][2](Reply(first.digest, b"1"))
    second = asks(engine, 2)
    engine.asked[1][2](Reply(second.digest, error="llm.busy", transient=True))
    engine.pool.fault(transient=True)

    engine.time.pass_(2)

    assert [reply.outcome for reply in engine.pool.items[0][1].replies] == [b"1"]


async def test_a_retry_keeps_what_failed_for_good_and_asks_on_from_what_may_work(start):
    """Its steps ask in the same order, so what stands behind a gap is asked again, too; the
    journal answers that."""
    engine = await ran(start, "1")
    replies = [("llm.refused", False), ("", False), ("llm.busy", True), ("", False)]
    for number, (error, transient) in enumerate(replies, 1):
        call = asks(engine, number)
        engine.asked[-1][2](Reply(call.digest, b"", error, "", transient))
    engine.pool.fault(transient=True)

    engine.time.pass_(2)

    given = engine.pool.items[0][1].replies
    assert [reply.error for reply in given] == ["llm.refused", ""]


async def test_a_retry_overtakes_nothing_that_is_still_out(start):
    """An item behind the failed one that comes back after the retry is due keeps its place."""
    engine = await ran(start, "1", "2")
    engine.pool.fault(transient=True)
    engine.time.pass_(2)
    assert engine.pool.control_ids == ["2"]

    engine.pool.answer()
    engine.time.pass_(1)

    assert engine.pool.control_ids == ["1", "2"]


async def test_another_key_does_not_wait(start):
    """A key that is held keeps no other from running."""
    engine = await ran(start, "1", order_by=("connection",))
    engine.pool.fault(transient=True)
    other = type(engine.send("x"))(engine.journal.pending.pop().arrival.content, connection=2)
    engine.intake.receive(other)
    engine.journal.commit()

    assert engine.pool.control_ids == ["x"]


async def test_retries_end_with_their_time(start):
    """retry: {for: 5s}: then the Signal is parked, with the number of tries."""
    engine = await ran(start, "1")
    engine.running.adopt({"a": FailureTerms("v1", first=2.0, lasting=5.0)})
    for _ in range(4):
        if engine.pool.items:
            engine.pool.fault(transient=True)
        engine.time.pass_(5)
    engine.journal.commit()

    assert engine.journal.states() == [State.PARKED]
    assert engine.journal.parked[0].tries > 1


async def test_a_signal_that_kills_its_worker_is_parked_after_three_tries(start):
    """Poison: no fourth worker dies of it, and what came behind it runs."""
    engine = await ran(start, "1", "2")
    for tries in (1, 2, 3):  # the pool forgives two crashes
        engine.pool.fault("step.crashed", transient=tries < 3)
        engine.pool.answer()
        engine.time.pass_(60)
    engine.journal.commit()

    assert [row.code for row in engine.journal.parked] == ["step.crashed"]
    assert engine.journal.parked[0].tries == 3
    assert engine.pool.control_ids == ["2"]


@pytest.mark.parametrize(
    ("on_fault", "state"), [("drop", State.FILTERED), ("refuse", State.PARKED)]
)
async def test_on_error_decides_where_no_step_could(start, on_fault, state):
    """A worker that was too slow: by the agent's on_error; a refusal is too late here."""
    engine = await ran(start, "1")
    engine.running.adopt({"a": FailureTerms("v1", on_fault=on_fault)})
    engine.pool.fault("step.timeout")
    engine.journal.commit()

    assert engine.journal.states() == [state]


async def test_stop_holds_its_key_for_a_person_also_after_a_restart(start):
    """on_error: stop: nothing of the key runs, other keys do."""
    engine = await ran(start, "1", "2")
    engine.pool.fault(hold=True)
    engine.pool.answer()
    engine.journal.commit()
    engine.send("3")
    engine.journal.commit()
    assert not engine.pool.items
    (row,) = engine.journal.parked

    after = await start(engine.journal)
    after.running.hold(row.name, row.agent, row.lane)

    assert row.hold
    assert len(engine.journal.waiting_rows) == 2
    after.send("4")
    after.journal.commit()
    assert "4" not in after.pool.control_ids


async def test_a_held_signal_without_a_key_holds_nothing(start):
    """order_by: none: there is no order to keep, after a restart neither."""
    engine = await ran(start, "1", order_by=("none",))
    engine.pool.fault(hold=True)
    engine.journal.commit()
    engine.running.hold("adt", "a", "")
    engine.send("2")
    engine.journal.commit()

    assert engine.pool.control_ids == ["2"]


async def test_the_gravest_verdict_of_several_agents_is_the_signals(start):
    """One parked, one done: parked, and what the other owes still goes out."""
    engine = await ran(start, "1", agents=("a", "b"))
    engine.pool.fault()
    engine.pool.deliver("his")
    engine.journal.commit()

    assert engine.journal.states() == [State.PARKED]
    assert [d.destination for d in engine.queued] == ["his"]


async def test_a_refusal_that_nobody_hears_is_parked(start):
    """journaled: the sender has its AA, so a person must look."""
    engine = await ran(start, "1")
    engine.pool.refuse()
    engine.journal.commit()

    assert [row.code for row in engine.journal.parked] == ["step.refused"]


async def test_a_refusal_whose_sender_left_before_the_last_agent_ended_is_parked(start):
    """It was told `no verdict in time`, not the refusal."""
    engine = await ran(start, "1", agents=("a", "b"), when="processed", timeout=5.0)
    engine.pool.refuse()
    engine.time.pass_(5)
    engine.pool.deliver()
    engine.journal.commit()

    assert engine.journal.states() == [State.PARKED]
    assert len(engine.journal.parked) == 1


async def test_an_agent_that_leaves_the_site_leaves_nothing_behind(start):
    """What waited for its retry, and what the pool gives back, is parked."""
    engine = await ran(start, "1", "2")
    engine.pool.fault(transient=True)
    engine.pool.agents = set()
    engine.running.adopt({})
    engine.pool.answer()
    engine.journal.commit()

    assert engine.journal.states() == [State.PARKED, State.PARKED]
    assert engine.dispatcher.count == 0


async def test_a_drain_leaves_what_comes_back_in_the_journal(start):
    """The pool stops and gives back what it had not begun: nothing is concluded."""
    engine = await ran(start, "1")
    engine.running.stop()
    engine.pool.agents = set()
    engine.pool.answer()
    engine.journal.commit()

    assert not engine.journal.ends
    assert len(engine.journal.waiting_rows) == 1


async def test_more_deliveries_than_the_journal_numbers_park_the_signal(start):
    """A split gone wild stops its own Signal, not the journal."""
    engine = await ran(start, "1")
    engine.pool.deliver(*["his"] * 30_001)
    engine.journal.commit()

    assert [row.code for row in engine.journal.parked] == ["step.permanent"]
    assert not engine.queued
