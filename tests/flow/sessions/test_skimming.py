"""What an earlier engine left for paused agents is known by its places (promises P2, P4)."""

import asyncio
import random
from collections import defaultdict

import pytest

from portico.flow.sessions import dispatch, resuming, skimming
from portico.model.states import SignalState as State
from portico.policy.routing import PATIENT


@pytest.fixture
def small(monkeypatch):
    """Call it: memory for four Runs from then on, pages of two; places in pages of three."""

    def shrink():
        monkeypatch.setattr(dispatch, "WINDOW", 4)
        monkeypatch.setattr(dispatch, "PAGE", 2)
        monkeypatch.setattr(resuming, "PAGE", 2)
        monkeypatch.setattr(resuming, "_TURN", 0)
        monkeypatch.setattr(skimming, "PAGE", 3)

    return shrink


async def turns(count=30):
    """Time for what reads."""
    for _ in range(count):
        await asyncio.sleep(0)


async def left(start, names, concluded=(), **settings):
    """The journal of an engine that was killed: agent b had concluded these, a nothing."""
    engine = await start(agents=("a", "b"), **settings)
    engine.resuming.follow(["a"])
    for name in names:
        engine.send(name)
    engine.journal.commit()
    for at in range(len(engine.pool.items) - 1, -1, -1):
        if engine.pool.control_ids[at] in concluded:
            engine.pool.deliver(at=at)
    engine.journal.commit()
    engine.dispatcher.pause()
    await turns()
    return engine.journal


def bytes_read(journal):
    """The places that are read whole from now on."""
    read, given = [], journal.recovered

    def recovered(seq, signal):
        read.append(seq)
        return given(seq, signal)

    journal.recovered = recovered
    return read


async def test_what_waits_for_a_paused_agent_alone_is_not_read(start, small):
    """Ten, of which the other agent has concluded eight: two are read. Resumed, the paused one
    has all ten in order."""
    names = "0123456789"
    journal = await left(start, names, concluded="01346789")
    small()
    read = bytes_read(journal)
    engine = await start(journal, agents=("a", "b"), paused="a")
    assert len(set(read)) == 2
    assert (engine.shelf.count("a"), engine.dispatcher.count) == (10, 2)
    assert await engine.work() == [("b", "2"), ("b", "5")]
    engine.resuming.follow([])
    assert await engine.work() == [("a", name) for name in names]
    assert journal.states() == [State.DONE] * 10


async def test_a_sender_that_may_be_owed_an_answer_has_its_message_read(start, small):
    """The channel answers by a message of its own, in time or too late."""
    journal = await left(start, "012", concluded="012")
    small()
    read = bytes_read(journal)
    await start(journal, agents=("a", "b"), deferred="late", paused="a")
    assert len(set(read)) == 3


async def test_where_nobody_is_paused_all_is_read_as_ever(start, small):
    """No place is asked for."""
    journal = await left(start, "0123", concluded="03")
    small()
    journal.outlines = None
    engine = await start(journal, agents=("a", "b"))
    ran = await engine.work()
    assert [name for agent, name in ran if agent == "b"] == ["1", "2"]
    assert [name for agent, name in ran if agent == "a"] == list("0123")


@pytest.mark.parametrize("seed", range(12))
async def test_whoever_is_resumed_while_it_is_read_each_runs_each_once(start, small, seed):
    """Agents pause and go on at any moment after the start, memory is for four."""
    chance = random.Random(seed)
    names = [str(n) for n in range(40)]
    concluded = {name for name in names if chance.random() < 0.7}
    journal = await left(start, names, concluded, order_by=(PATIENT,))
    already = [end.row.agent for end in journal.ends]
    small()
    engine = await start(
        journal, agents=("a", "b"), order_by=(PATIENT,), paused="a", read=False
    )
    ran = defaultdict(list)
    for number in range(300):
        what = chance.randrange(12)
        if what == 0:
            engine.resuming.follow([agent for agent in "ab" if chance.random() < 0.5])
        elif what == 1:
            engine.send(name := f"later {number}")
            names.append(name)
        elif what < 4:
            engine.journal.commit()
        elif what < 7 and engine.pool.items:
            ran[engine.pool.items[0][0]].append(engine.pool.control_ids[0])
            engine.pool.deliver()
        await asyncio.sleep(0)
    engine.resuming.follow([])
    for _ in range(2):
        for agent, name in await engine.work():
            ran[agent].append(name)
    assert ran["a"] == names
    assert ran["b"] == [name for name in names if name not in concluded]
    assert set(already) <= {"b"} and journal.waiting_rows == {}
    assert (engine.dispatcher.count, engine.shelf.paused) == (0, set())
