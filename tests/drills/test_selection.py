"""Every kind of fault, each once before any twice, in an order that the seed decides."""

import os
import sys
import time
from pathlib import Path

import pytest

from drills import clock, faults
from drills.appliance import until
from drills.drill import Drill, Plan
from drills.places import TO_THE_LAST
from drills.proxy import Proxy
from drills.short import answered

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

RETRY = "answers: {AE: retry, AR: retry}\n"
PLAN = Plan(sinks=("lab", "ward"), pace=0.01, timeout="3s", more=RETRY)


async def deal(drill: Drill, kinds: dict[str, faults.Fault], minutes: float) -> list[str]:
    """Do faults until all have had their turn and the time is over; their names."""
    until_then = time.monotonic() + minutes * 60
    dealt: list[str] = []
    while len(dealt) < len(kinds) or time.monotonic() < until_then:
        if not drill.deck:
            drill.deck = sorted(kinds)
            drill.chance.shuffle(drill.deck)
        kind = drill.deck.pop()
        dealt.append(kind)
        try:
            await kinds[kind](drill)
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"at {kind!r}, after {dealt[:-1]}: {error}") from error
        await drill.run(0.1, 0.5)
    return dealt


async def test_every_fault_of_one_machine(ground, seed, record):
    """P1 to P8: processes, database, peers, clock and configuration, all in one life."""
    environ = clock.settable(ground)
    kinds = {
        name: work for name, work in faults.FAULTS.items() if environ or "clock" not in name
    }
    async with Drill(ground / "life", seed, PLAN, environ=environ) as drill:
        for sink in drill.sinks.values():
            # Later than the time-out of 3 s and the sweep that finds it, at most 0.75 s after.
            sink.patience, sink.settles = 4.5, ("AA", "slow")
        await drill.load()
        dealt = await deal(drill, kinds, float(os.environ.get("DRILL_MINUTES") or 0))
        await drill.verify()
        print(f"{len(dealt)} faults of {len(kinds)} kinds")
        record(drill)


async def test_a_disk_that_fills_up(small_disk: Path, seed, record):
    """P7: no room for data and WAL: no answers from memory, and it heals."""
    drill = Drill(small_disk, seed, PLAN)
    drill.site.configure(TO_THE_LAST)
    async with drill:
        await drill.load()
        await faults.full(drill)
        await drill.verify()
        record(drill)


async def test_every_fault_of_the_link_to_the_database(ground, seed, record, journal_url: str):
    """P3, P9: cut on COMMIT's answer, half a flush, frozen, cut; each flush in doubt is stored
    once or not at all."""
    proxy = Proxy(ground / "link", journal_url)
    await proxy.start()

    async def broken(drill: Drill, what: str) -> None:
        cuts = proxy.cuts
        proxy.arm(what)
        await until(lambda: proxy.cuts > cuts, 10, "a flush to cut")
        drill.faults += 1
        await drill.recover(time.monotonic())

    async def frozen(drill: Drill) -> None:
        await proxy.freeze(1.5)
        drill.faults += 1
        await drill.recover(time.monotonic())

    async def cut(drill: Drill) -> None:
        proxy.cut()
        drill.faults += 1
        await drill.recover(time.monotonic())

    kinds: dict[str, faults.Fault] = {
        "COMMIT's answer cut": lambda drill: broken(drill, "answer"),
        "half a flush": lambda drill: broken(drill, "question"),
        "link frozen": frozen,
        "link cut": cut,
    }
    minutes = float(os.environ.get("DRILL_MINUTES") or 0)
    async with Drill(ground, seed, PLAN, journal=proxy.conninfo) as drill:
        await drill.load()
        for _ in range(3):
            await deal(drill, kinds, minutes / 6)
        await answered(drill, 50)
        await drill.verify()
        assert not drill.appliance.events("row_rejected")
        record(drill)
    await proxy.stop()
