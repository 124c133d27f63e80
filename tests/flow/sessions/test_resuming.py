"""Agents are paused and resumed: what is theirs waits, in order, and nobody else does."""

import asyncio
import random
from collections import defaultdict

import pytest

from portico.flow.sessions import dispatch, resuming
from portico.model.states import SignalState as State
from portico.policy.routing import PATIENT


@pytest.fixture
def small(monkeypatch):
    """Memory for four Runs, pages of two."""
    monkeypatch.setattr(dispatch, "WINDOW", 4)
    monkeypatch.setattr(dispatch, "PAGE", 2)
    monkeypatch.setattr(resuming, "PAGE", 2)
    monkeypatch.setattr(resuming, "_TURN", 0)


async def turns(engine):
    """Until nothing is read that could be."""
    for _ in range(20):
        await asyncio.sleep(0)


async def work(engine, only=None):
    """Workers do what there is, of one agent or of all: who ran what, in order."""
    ran, idle = [], 0
    while idle < 3:
        mine = [n for n, one in enumerate(engine.pool.items) if only in (None, one[0])]
        idle = 0 if mine else idle + 1
        if mine:
            agent = engine.pool.items[mine[0]][0]
            ran.append((agent, engine.pool.control_ids[mine[0]]))
            engine.pool.deliver(at=mine[0])
        engine.journal.commit()
        await turns(engine)
    return ran


def merge(name, into, other):
    """A message that two patients meet in."""
    head = f"MSH|^~\\&|HIS|ST|LAB|ST|2026||ADT^A40|{name}|P|2.5"
    return f"{head}\rPID|||{into}||X\rMRG|{other}\r".encode()


def message(name, patient):
    """One that names one patient."""
    return f"MSH|^~\\&|HIS|ST|LAB|ST|2026||ADT^A01|{name}|P|2.5\rPID|||{patient}||X\r".encode()


def fail(engine):
    """The oldest is to be tried again; the pool gives back what is behind it, in order."""
    agent, _, group, _ = engine.pool.items[0]
    behind = sum(one[0] == agent and one[2] == group for one in engine.pool.items) - 1
    engine.pool.fault(transient=True)
    for _ in range(behind):
        mine = (
            n for n, one in enumerate(engine.pool.items) if (one[0], one[2]) == (agent, group)
        )
        engine.pool.answer(at=next(mine))


def burst(engine, *control_ids, patient="7"):
    """Messages that are journaled."""
    sent = [engine.send(one, patient) for one in control_ids]
    engine.journal.commit()
    return sent


async def test_a_paused_agent_is_in_nobodys_way(start, small):
    """Far more wait for it than memory takes; the other agent runs them all, and no Run is left
    in memory. Resumed, it runs them in the journal's order."""
    engine = await start(agents=("a", "b"))
    engine.resuming.follow(["a"])
    names = [str(n) for n in range(20)]
    burst(engine, *names)
    assert await work(engine) == [("b", name) for name in names]
    assert (engine.dispatcher.count, engine.shelf.count("a")) == (0, 20)
    assert engine.journal.states() == []
    engine.resuming.follow([])
    assert await work(engine) == [("a", name) for name in names]
    assert engine.journal.states() == [State.DONE] * 20
    assert not engine.shelf.paused


async def test_what_no_worker_has_begun_waits_too(start):
    """The pool gives it back; nothing of it is run before the agent is resumed."""
    engine = await start()
    burst(engine, "1", "2")
    engine.resuming.follow(["a"])
    assert (engine.pool.items, engine.shelf.count("a")) == ([], 2)
    engine.resuming.follow([])
    assert await work(engine) == [("a", "1"), ("a", "2")]


async def test_what_comes_while_it_is_resumed_goes_behind(start, small):
    """More than a page waits: the newest is not overtaken by itself."""
    engine = await start()
    engine.resuming.follow(["a"])
    burst(engine, "1", "2", "3", "4", "5")
    await turns(engine)
    engine.resuming.follow([])
    burst(engine, "6")
    assert [name for _, name in await work(engine)] == ["1", "2", "3", "4", "5", "6"]


async def test_a_sender_that_waits_is_told_after_all(start):
    """Its answer comes once the agent has run, if it still waits then."""
    engine = await start(when="processed")
    engine.resuming.follow(["a"])
    (sender,) = burst(engine, "1")
    assert sender.code is None
    engine.resuming.follow([])
    await work(engine)
    assert sender.code == "AA"
    assert not engine.waiters


async def test_a_merge_waits_in_its_place(start):
    """It stands behind what came before under both patients, and before what came after."""
    engine = await start(order_by=(PATIENT,))
    engine.resuming.follow(["a"])
    burst(engine, "1", "2")
    burst(engine, "3", patient="8")
    engine.take(merge("m", "7", "8"))
    engine.journal.commit()
    burst(engine, "4", patient="8")
    engine.resuming.follow([])
    assert [name for _, name in await work(engine)] == ["1", "2", "3", "m", "4"]


async def test_an_agent_that_leaves_the_site_leaves_nothing_waiting(start):
    """What waited for it ends as what nobody answers."""
    engine = await start()
    engine.resuming.follow(["a"])
    burst(engine, "1")
    engine.dispatcher.matcher.agents = ()
    engine.resuming.follow([])
    assert await work(engine) == []
    assert not engine.journal.waiting_rows


async def test_an_engine_that_starts_with_a_paused_agent_keeps_its_order(start, small):
    """What waits is found in the journal and put aside; then it is as if nothing had been."""
    before = await start()
    before.resuming.follow(["a"])
    burst(before, *"123456")
    engine = await start(before.journal)
    engine.dispatcher.pause()
    later = await start(before.journal, paused="a")
    burst(later, "7")
    later.resuming.follow([])
    assert [name for _, name in await work(later)] == list("1234567")


@pytest.mark.parametrize("seed", range(12))
async def test_however_often_agents_pause_each_runs_each_once_in_order(start, small, seed):
    """Two agents, three patients that are merged, retries, pauses at any moment."""
    chance = random.Random(seed)
    engine = await start(agents=("a", "b"), order_by=(PATIENT,))
    ran, sent = defaultdict(list), defaultdict(list)
    for number in range(400):
        what = chance.randrange(6)
        if what == 0:
            engine.resuming.follow([agent for agent in "ab" if chance.random() < 0.4])
        elif what == 1:
            patients = chance.sample("678", chance.choice((1, 1, 1, 2)))
            name = f"{number} {' '.join(patients)}"
            engine.take(merge(name, *patients) if patients[1:] else message(name, *patients))
            for patient in patients:
                sent[patient].append(name)
        elif what == 2:
            engine.journal.commit()
        elif what == 3:
            engine.time.pass_(1.0)
        elif engine.pool.items:
            agent, name = engine.pool.items[0][0], engine.pool.control_ids[0]
            if chance.random() < 0.8:
                ran[agent].append(name)
                engine.pool.deliver()
            else:
                fail(engine)
        await asyncio.sleep(0)
    engine.resuming.follow([])
    for _ in range(20):
        for agent, name in await work(engine):
            ran[agent].append(name)
        engine.time.pass_(60)
    for agent in "ab":
        for patient in "678":
            assert [n for n in ran[agent] if patient in n.split()[1:]] == sent[patient]
    assert engine.dispatcher.count == 0
    assert not engine.shelf.paused


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("end", ["refuse", "fault"])
async def test_a_repeat_that_is_to_run_anew_does_so_when_its_agent_is_resumed(
    start, end, killed
):
    """What it repeats was refused, or has failed: its sender, who was told so, was told then
    that work goes on."""
    engine = await start(when="processed", timeout=5.0)
    engine.send()
    engine.journal.commit()
    getattr(engine.pool, end)()
    engine.journal.commit()
    engine.resuming.follow(["a"])
    again = engine.send()
    engine.journal.commit()
    await turns(engine)
    engine.time.pass_(6)
    assert "work goes on" in again.told[0].text
    if killed:
        engine = await start(engine.journal, paused=["a"], when="processed")
        await turns(engine)

    engine.resuming.follow([])

    assert await work(engine) == [("a", "1")]
    assert engine.journal.states()[-1] is State.DONE
