"""From the journal to the agents, in its order, once (promises P2, P3)."""

import pytest

from portico.flow.sessions import dispatch
from portico.model.states import SignalState as State
from portico.model.verdict import Emission


@pytest.fixture
def small(monkeypatch):
    """Memory for four Runs of one channel, pages of two."""
    monkeypatch.setattr(dispatch, "WINDOW", 6)
    monkeypatch.setattr(dispatch, "PAGE", 2)


async def read(engine):
    """Until the dispatcher reads no more."""
    while engine.dispatcher._reading is not None:
        await engine.dispatcher._reading


async def test_what_does_not_fit_is_read_back_in_order(start, small):
    """Twelve Signals of one burst go through a window of four, none twice."""
    engine = await start()
    for n in range(12):
        engine.send(str(n))
    engine.journal.commit()
    assert len(engine.pool.items) == 4

    ran = []
    while engine.pool.items:
        ran.append(engine.pool.control_ids[0])
        engine.pool.deliver()
        engine.journal.commit()
        await read(engine)

    assert ran == [str(n) for n in range(12)]
    assert engine.journal.states() == [State.DONE] * 12
    assert engine.dispatcher.count == 0


async def test_who_waits_is_told_though_the_message_went_by_the_journal(start, small):
    """The sender of a message that did not fit gets its verdict."""
    engine = await start(when="processed")
    senders = [engine.send(str(n)) for n in range(7)]
    engine.journal.commit()
    while engine.pool.items:
        engine.pool.deliver()
        engine.journal.commit()
        await read(engine)

    assert [sender.code for sender in senders] == ["AA"] * 7
    assert not engine.waiters


async def test_a_message_that_is_read_before_its_channel_hears_of_it_runs_once(start, small):
    """The reader's connection may show a commit before the writer's answer comes."""
    engine = await start(when="processed")
    for n in range(5):
        engine.send(str(n))
    engine.journal.commit()
    late = engine.send("late")
    calls = engine.journal.store()
    while engine.pool.items:
        engine.pool.deliver()
        engine.journal.commit()
        await read(engine)
    for call in calls:
        call()
    await read(engine)

    assert engine.pool.control_ids == ["late"]
    engine.pool.deliver()
    engine.journal.commit()
    assert late.code == "AA"
    assert engine.journal.states() == [State.DONE] * 6


async def test_a_repeat_is_not_ended_a_second_time_by_reading_back(start, small):
    """Its row still waits when the window is read on; its channel deals with it."""
    engine = await start()
    for n in range(5):
        engine.send(str(n))
    engine.send("0")
    engine.journal.commit()
    while engine.pool.items:
        engine.pool.deliver()
        engine.journal.commit()
        await read(engine)

    assert sorted(engine.journal.states()) == ["done"] * 5 + ["duplicate"]


async def test_a_restart_takes_up_what_waits(start):
    """What was journaled and not run is run by the next engine, in order."""
    before = await start()
    for n in range(3):
        before.send(str(n))
    before.journal.commit()

    after = await start(before.journal)

    assert after.pool.control_ids == ["0", "1", "2"]


async def test_a_repeat_whose_end_was_lost_in_a_crash_is_still_a_repeat(start):
    """A13 across a restart: one run for two messages."""
    before = await start()
    before.send()
    before.send()
    before.journal.store()

    after = await start(before.journal)
    after.journal.commit()

    assert after.pool.control_ids == ["1"]
    assert after.journal.states() == [State.DUPLICATE]


@pytest.mark.parametrize(
    ("changed", "state"), [("park", State.PARKED), ("refuse", State.REFUSED)]
)
async def test_a_changed_message_whose_end_was_lost_ends_the_same(start, changed, state):
    """Who was told AE is not processed after a restart."""
    before = await start(changed=changed)
    before.send()
    before.send(name="OTHER")
    before.journal.store()

    after = await start(before.journal, changed=changed)
    after.journal.commit()

    assert len(after.pool.items) == 1
    assert after.journal.states() == [state]


async def test_agents_that_concluded_before_a_restart_do_not_run_again(start):
    """And their verdict counts: a Signal with a parked session is parked in the end."""
    before = await start(agents=("a", "b"))
    before.send()
    before.journal.commit()
    before.pool.fault()
    before.journal.commit()

    after = await start(before.journal, agents=("a", "b"))
    assert [agent for agent, *_ in after.pool.items] == ["b"]
    after.pool.deliver()
    after.journal.commit()

    assert after.journal.states() == [State.PARKED]
    assert [end.row.number for end in after.journal.ends] == [1, 2]


async def test_what_nobody_answers_after_a_restart_is_parked(start):
    """It was accepted for an agent: leaving the site drops nothing."""
    before = await start()
    before.send()
    before.journal.commit()

    after = await start(before.journal, agents=())
    after.journal.commit()

    assert after.journal.states() == [State.PARKED]


async def test_an_agent_that_left_leaves_the_end_to_the_others_verdicts(start):
    """Another was done: the Signal is done, and the last session has a number of its own."""
    before = await start(agents=("a", "b"))
    before.send()
    before.journal.commit()
    before.pool.deliver()
    before.journal.commit()

    after = await start(before.journal, agents=("a",))
    after.journal.commit()

    assert after.journal.states() == [State.DONE]
    assert [end.row.number for end in after.journal.ends] == [1, 2]


async def test_a_pause_starts_nothing_more(start):
    """What arrives while the engine drains stays in the journal."""
    engine = await start()
    engine.dispatcher.pause()
    engine.send()
    engine.journal.commit()

    assert not engine.pool.items
    assert len(engine.journal.waiting_rows) == 1


async def test_what_an_agent_emits_is_run_by_the_agents_that_answer_it(start):
    """A chain: the emitted Signal is stored with its session and run after the commit."""

    def agents(context):
        return ("b",) if "signal" in context.envelope else ("a",)

    engine = await start(agents=agents)
    engine.send()
    engine.journal.commit()
    engine.pool.deliver(emissions=(Emission("census", b'{"ward": 1}', "7"),))
    engine.journal.commit()
    ((agent, item, group, _),) = engine.pool.items

    assert (agent, item.content, group) == ("b", b'{"ward": 1}', "signal:census\n7")
    assert item.envelope["signal"] == "census"


async def test_an_emission_that_nobody_answers_ends_as_unmatched(start):
    """It is journaled, with the Signal that caused it."""
    engine = await start(agents=lambda c: ("a",) if "channel" in c.envelope else ())
    engine.send()
    engine.journal.commit()
    engine.pool.deliver(emissions=(Emission("census"),))
    engine.journal.commit()
    first, emitted = engine.journal.signals.values()

    assert (emitted.ended, emitted.parent) == ("unmatched", first.id)


async def test_what_a_person_releases_does_not_overtake_what_is_still_to_be_read(start, small):
    """After a start what waits is read page by page; until then what came behind it stays
    parked, as it does when memory is full of what was released."""
    before = await start()
    for n in range(12):
        before.send(str(n))
    before.journal.commit()
    *_, last = before.journal.waiting_rows
    engine = await start(before.journal)
    await read(engine)
    assert engine.dispatcher.crowded("adt", last)
    while engine.pool.items:
        engine.pool.deliver()
        engine.journal.commit()
        await read(engine)
    assert not engine.dispatcher.crowded("adt", last)
    engine.dispatcher.count = dispatch.WINDOW + dispatch._MOST_RELEASED
    assert engine.dispatcher.crowded("adt", last)
