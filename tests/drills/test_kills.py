"""Processes killed at any moment under load: nothing acknowledged is missing, order holds."""

import os
import sys
import time

import pytest

from drills.appliance import until
from drills.drill import Drill, Plan

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


async def test_engine_killed_eight_times_loses_nothing(ground, seed, record):
    """P1, P3, P4, M8: kill -9 of the engine; the journal is read while it is dead."""
    async with Drill(ground, seed, Plan(pace=0.004)) as drill:
        await drill.load()
        for number in range(8):
            await drill.run(0.02, 0.5)
            await drill.kill_engine(look=number % 4 == 3)
        await drill.verify()
        record(drill)


async def test_workers_and_postgres_killed_twice_lose_nothing(ground, seed, record):
    """P6, P8: kill -9 of a worker and of PostgreSQL; the engine lives on and heals."""
    async with Drill(ground, seed, Plan(pace=0.004)) as drill:
        await drill.load()
        pid = drill.appliance.pid
        for _ in range(2):
            await drill.run(0.1, 0.5)
            await drill.recover(
                await drill.fault([drill.chance.choice(drill.appliance.workers())])
            )
            await drill.run(0.1, 0.5)
            await drill.recover(await drill.fault([drill.appliance.postmaster()]))
        await drill.verify()
        assert drill.appliance.pid == pid
        record(drill)


@pytest.mark.drill
async def test_fifty_kills_of_anything(ground, seed, record):
    """The deck: engine, workers, their parent, postmaster and backends, at random."""
    async with Drill(ground, seed, Plan(sinks=("lab", "ward"))) as drill:
        await drill.load()
        for number in range(int(os.environ.get("DRILL_KILLS", "50"))):
            await drill.run(0.05, 1.5)
            await kill_something(drill, number)
        await drill.verify()
        record(drill)


@pytest.mark.drill
async def test_engine_killed_with_a_backlog(ground, seed, record):
    """P2, P4: half of the kills meet a queue: the destination was down."""
    async with Drill(ground, seed) as drill:
        await drill.load()
        for _ in range(10):
            await drill.sinks["lab"].stop()
            await drill.run(1.0, 2.0)
            await drill.kill_engine()
            await drill.sinks["lab"].start()
            await drill.run(0.0, 1.0)
            await drill.kill_engine()
        await drill.verify()
        record(drill)


@pytest.mark.drill
async def test_a_deep_backlog_drains_in_order_across_kills(ground, seed, record):
    """P4: more is queued than memory holds; the queue is read on from the journal while new
    messages come in, some lanes back off, and the engine is killed."""
    plan = Plan(connections=24, patients=96, pace=0.0, more="answers: {AE: retry}\n")
    async with Drill(ground, seed, plan) as drill:
        sink = drill.sinks["lab"]
        sink.mood = lambda control_id, nth: (
            "AE" if nth < 3 and control_id[-2:] == "42" else "AA"
        )
        await sink.stop()
        await drill.load()
        await until(lambda: len(drill.source.acknowledged) > 12_000, 120)
        await drill.kill_engine()
        await sink.start()
        drill.source.pace = 0.2
        for _ in range(3):
            await drill.run(1.0, 2.0)
            await drill.kill_engine()
        await drill.verify()
        record(drill)


@pytest.mark.drill
async def test_what_an_agent_emits_survives_kills(ground, seed, record):
    """P2, P4: a second agent answers what the first emits; both destinations get all."""
    plan = Plan(sinks=("lab", "ward"), chained=("ward",))
    async with Drill(ground, seed, plan) as drill:
        await drill.load()
        for _ in range(10):
            await drill.run(0.1, 1.0)
            await drill.kill_engine()
            await drill.run(0.1, 1.0)
            await drill.recover(await drill.fault([drill.appliance.postmaster()]))
        await drill.verify()
        record(drill)


@pytest.mark.drill
@pytest.mark.parametrize("when", ["processed", "delivered"])
async def test_answers_that_wait_for_more_than_the_journal(ground, seed, record, when):
    """A13, A14: a repeat of what a dead engine had stored is answered once it is through."""
    async with Drill(ground, seed, Plan(when=when, connections=16)) as drill:
        await drill.load()
        for _ in range(8):
            await drill.run(0.1, 1.0)
            await drill.kill_engine()
            await drill.run(0.1, 1.0)
            await drill.recover(await drill.fault([drill.appliance.postmaster()]))
        await drill.verify()
        record(drill)


@pytest.mark.drill
async def test_an_engine_killed_while_it_starts_starts_again(ground, seed, record):
    """P8: kills at any moment of the first start and of later ones, then work as ever."""
    drill = Drill(ground, seed)
    for _ in range(15):
        await drill.appliance.launch()
        await drill.run(0.1, 1.5)
        await drill.appliance.kill()
    async with drill:
        await drill.load()
        for _ in range(15):
            await drill.run(0.0, 0.3)
            await drill.appliance.kill()
            drill.kills.append(time.monotonic())
            await drill.appliance.launch()
            await drill.run(0.1, 1.2)
            await drill.appliance.kill()
            drill.kills.append(time.monotonic())
            await drill.appliance.start()
        await drill.verify()
        record(drill)


async def kill_something(drill: Drill, number: int) -> None:
    """Each kind once before any twice."""
    kinds = ("engine", "worker", "engine", "postmaster", "engine", "backend", "zygote", "all")
    if number % len(kinds) == 0:
        drill.deck = list(kinds)
        drill.chance.shuffle(drill.deck)
    what, engine = drill.deck.pop(), drill.appliance
    if what == "engine":
        await drill.kill_engine()
        return
    await until(lambda: engine.workers() and engine.backends(), 30, "somebody to kill")
    pids = {
        "worker": lambda: [drill.chance.choice(engine.workers())],
        "zygote": lambda: [engine.zygote()],
        "postmaster": lambda: [engine.postmaster()],
        "backend": lambda: [drill.chance.choice(engine.backends())],
        "all": lambda: [*engine.workers(), *engine.cluster()],
    }[what]()
    await drill.recover(await drill.fault(pids))
