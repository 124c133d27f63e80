"""A person ends what waits for paused agents: parked, once, and nothing else is moved (P2)."""

import asyncio
import random
from collections import Counter

import pytest

from portico.errors import RequestError
from portico.flow.sessions import dispatch, resuming
from portico.flow.sessions.asking import Broker
from portico.flow.sessions.looking import Looking
from portico.flow.sessions.withdrawing import Withdrawing
from portico.model.states import SignalState as State
from portico.model.verdict import Failure

FAILURE = Failure("step.cancelled", "cancelled by ann")


@pytest.fixture
def small(monkeypatch):
    """Memory for four Runs, pages of two."""
    monkeypatch.setattr(dispatch, "WINDOW", 4)
    monkeypatch.setattr(dispatch, "PAGE", 2)
    monkeypatch.setattr(resuming, "PAGE", 2)
    monkeypatch.setattr(resuming, "_TURN", 0)


class Door:
    """The pool twin holds nothing that could be ended."""

    def cancel(self, agent, signal, failure):
        """As workers.pool."""
        return False


def looking(engine):
    """Who ends sessions of this engine."""
    parts = engine.shelf, engine.dispatcher, engine.running
    withdrawing = Withdrawing(*parts, engine.journal.place_of, engine.journal.waiting_at)
    around = lambda: ("a", "b"), engine.events.append, lambda asked: ""
    broker = Broker(None, {}, engine.events.append)
    return Looking(engine.running, Door(), broker, *around, withdrawing)


async def late(start, **settings):
    """An engine whose journal answers a moment after it has looked."""
    journal = (await start()).journal
    look = journal.waiting_at

    async def waiting_at(places):
        found = await look(places)
        for _ in range(3):
            await asyncio.sleep(0)
        return found

    journal.waiting_at = waiting_at
    return await start(journal, **settings)


def signal(engine, number):
    """The id of the message that came in that place."""
    return list(engine.journal.signals.values())[number].id


async def arrive(engine, *names, patient="7"):
    """Messages that are journaled."""
    for name in names:
        engine.send(name, patient)
    engine.journal.commit()
    await turns()


async def turns():
    """Until nothing is read that could be."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_waits_in_the_journal_alone_is_parked_and_runs_no_more(start):
    """The others of its order key run once their agent is resumed, in their order."""
    engine = await start()
    engine.resuming.follow(["a"])
    await arrive(engine, *"123")
    one, who = looking(engine), signal(engine, 1)
    assert [place.state for place in await one.paused(who)] == ["paused"]

    assert await one.cancel(who, "ann") == ["a"]
    engine.journal.commit()

    (end,) = engine.journal.ends
    assert (end.state, end.parked.code) == (State.PARKED, "step.cancelled")
    assert end.parked.reason == "cancelled by ann"
    assert (engine.dispatcher.count, engine.shelf.count("a")) == (0, 2)
    assert await one.paused(who) == []
    with pytest.raises(RequestError, match="no session of this Signal"):
        await one.cancel(who, "ann")
    engine.resuming.follow([])
    assert await engine.work() == [("a", "1"), ("a", "3")]


async def test_a_new_engine_ends_what_its_predecessor_left(start):
    """Its places are known from the journal."""
    before = await start()
    before.resuming.follow(["a"])
    await arrive(before, *"12")
    before.dispatcher.pause()
    engine = await start(before.journal, paused="a")

    assert await looking(engine).cancel(signal(engine, 0), "ann") == ["a"]
    engine.journal.commit()
    engine.resuming.follow([])
    assert await engine.work() == [("a", "2")]


async def test_what_another_agent_has_concluded_stays_concluded(start):
    """Only the paused session ends; the Signal is as grave as the gravest of both."""
    engine = await start(agents=("a", "b"))
    engine.resuming.follow(["a"])
    await arrive(engine, "1")
    assert await engine.work() == [("b", "1")]

    assert await looking(engine).cancel(signal(engine, 0), "ann") == ["a"]
    engine.journal.commit()
    first, second = engine.journal.ends
    assert (first.row.agent, first.row.number, first.state) == ("b", 1, None)
    assert (second.row.agent, second.row.number, second.state) == ("a", 2, State.PARKED)


async def test_while_another_agent_works_on_it_only_the_paused_session_ends(start):
    """Its Run is in memory for the other's sake, which concludes it."""
    engine = await start(agents=("a", "b"))
    engine.resuming.follow(["a"])
    await arrive(engine, "1")
    assert await looking(engine).cancel(signal(engine, 0), "ann") == ["a"]
    engine.journal.commit()
    assert engine.journal.states() == []
    assert await engine.work() == [("b", "1")]
    assert engine.journal.states() == [State.PARKED]
    assert engine.dispatcher.count == engine.shelf.count("a") == 0


async def test_of_two_agents_that_are_paused_both_sessions_end(start):
    """Neither runs it when it is resumed."""
    engine = await start(agents=("a", "b"))
    engine.resuming.follow(["a", "b"])
    await arrive(engine, "1")
    assert await looking(engine).cancel(signal(engine, 0), "ann") == ["a", "b"]
    engine.journal.commit()
    assert engine.journal.states() == [State.PARKED]
    engine.resuming.follow([])
    assert await engine.work() == []


async def test_a_sender_that_waits_is_told_that_it_failed(start):
    """acknowledge processed: it has its answer with the end."""
    engine = await start(when="processed")
    engine.resuming.follow(["a"])
    sender = engine.send("1")
    engine.journal.commit()
    assert sender.code is None
    await looking(engine).cancel(signal(engine, 0), "ann")
    engine.journal.commit()
    assert sender.code == "AE"
    assert not engine.waiters


async def test_what_is_about_to_be_brought_back_ends_all_the_same(start, small):
    """The agent is being resumed and its first page is full: what is behind it ends at once."""
    engine = await start()
    engine.resuming.follow(["a"])
    await arrive(engine, *"12345678")
    engine.resuming.follow([])
    await turns()
    assert engine.shelf.count("a") > 1
    assert await looking(engine).cancel(signal(engine, 7), "ann") == ["a"]
    assert await engine.work() == [("a", name) for name in "1234567"]
    assert Counter(engine.journal.states()) == {State.DONE: 7, State.PARKED: 1}


@pytest.mark.parametrize("seed", range(8))
async def test_whenever_one_is_ended_each_agent_concludes_it_once(start, small, seed):
    """Two agents that pause and go on at any moment, a person who ends any Signal at any."""
    chance = random.Random(seed)
    engine, ends = await late(start, agents=("a", "b")), []
    one = looking(engine)
    for number in range(400):
        what = chance.randrange(6)
        if what == 0:
            engine.resuming.follow([agent for agent in "ab" if chance.random() < 0.5])
        elif what == 1:
            engine.send(str(number), chance.choice("78"))
        elif what == 2:
            engine.journal.commit()
        elif what == 3 and engine.journal.waiting_rows:
            ended = one.withdrawing.cancel(
                chance.choice(list(engine.journal.waiting_rows.values())).id, FAILURE
            )
            ends.append(asyncio.ensure_future(ended))
        elif engine.pool.items:
            engine.pool.deliver()
        await asyncio.sleep(0)
    engine.resuming.follow([])
    await engine.work()
    await asyncio.gather(*ends)
    await engine.work()
    concluded = Counter((end.signal, end.row.agent) for end in engine.journal.ends)
    signals = engine.journal.signals.values()
    assert concluded == {(one.id, agent): 1 for one in signals for agent in "ab"}
    assert State.PARKED in engine.journal.states()
    assert (engine.dispatcher.count, engine.journal.waiting_rows) == (0, {})
    assert not engine.shelf.paused
