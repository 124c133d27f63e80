"""A destination that has been dead for long: memory stays flat, nobody else notices, and its
queue drains in order as soon as it is back, also after a restart."""

import asyncio
import os
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drills import oracle, seeds
from drills.appliance import until
from drills.drill import Drill, Plan, Slow, in_time

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

DEAD = "dead"


def resident(pid: int) -> float:
    """The process's memory in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


@asynccontextmanager
async def watched(drill: Drill, peak: list[float]):
    """Remembers the engine's largest memory."""

    async def look() -> None:
        while True:
            if drill.appliance.pid:
                peak.append(resident(drill.appliance.pid))
            await asyncio.sleep(0.05)

    task = asyncio.ensure_future(look())
    try:
        yield
    finally:
        task.cancel()


async def enough(drill: Drill, since: float) -> None:
    """Wait until so much was sent since then that its times say something."""

    def sent() -> int:
        return sum(one.began > since for one in drill.source.acknowledged)

    await until(lambda: sent() > 100, 60, "a hundred messages")


def late(drill: Drill, since: float) -> float:
    """Seconds from a message's sending until the living sink had it, the 99th of 100."""
    came = {one.control_id: one.at for one in drill.sinks["lab"].received}
    took = sorted(
        came[one.sent.control_id] - one.began
        for one in drill.source.acknowledged
        if one.began > since and one.sent.control_id in came
    )
    assert len(took) > 50, "too few to say anything"
    return took[int(len(took) * 0.99)]


async def dead_for_long(drill: Drill, count: int, seconds: float) -> str:
    """What was measured, in one line."""
    dead, peak = drill.sinks[DEAD], []
    await drill.load()
    await asyncio.sleep(seconds)
    await enough(drill, 0.0)
    usual, before = resident(drill.appliance.pid), late(drill, 0.0)
    await drill.source.finish(20)
    await until(lambda: len(dead.received) >= len(drill.source.acknowledged), 20, "all taken")
    assert await drill.appliance.stop() == 0
    await dead.stop()
    dead.received.clear()
    await seeds.fill(drill.appliance.data, seeds.QUEUED, DEAD, count)

    async with watched(drill, peak):
        await drill.appliance.start()
        drill.source._stopping = False
        await drill.load()
        await asyncio.sleep(seconds / 3)
        since = time.monotonic()
        await asyncio.sleep(seconds)
        await enough(drill, since)
        after = late(drill, since)
    growth = max(peak) - usual
    assert growth < 100, f"the engine grew by {growth:.0f} MB"
    if after > before * 1.1 + 0.25:
        raise Slow(f"others wait {after:.3f} s, before {before:.3f} s")

    await drill.appliance.kill()
    await dead.start()
    since = time.monotonic()
    await drill.appliance.launch()
    await until(lambda: dead.received, 30, "the first delivery after the restart")
    first = dead.received[0].at - since
    if first > 10:
        raise Slow(f"the first delivery came after {first:.1f} s")
    await drill.appliance.ready()
    began, had = time.monotonic(), len(dead.received)
    with_limit = asyncio.ensure_future(until(lambda: len(dead.received) >= count, seconds * 6))
    await asyncio.wait({with_limit})
    rate = (len(dead.received) - had) / (time.monotonic() - began)
    seeded = [one for one in dead.received if one.control_id.startswith("D-S")]
    assert not (wrong := oracle.order(seeded)), wrong
    if rate < 600:
        raise Slow(f"it drains at {rate:.0f}/s")
    return (
        f"{count} queued: +{growth:.0f} MB, others' p99 {before * 1000:.0f} then "
        f"{after * 1000:.0f} ms, first delivery {first:.1f} s after the restart, {rate:.0f}/s"
    )


COUNT = """
---
agent: count
start: paused
goal: Another agent of the same messages
on: {channel: adt}
steps: [{send: lab}]
"""


async def started(drill: Drill) -> tuple[float, float]:
    """Seconds until the engine was ready, and its memory once it works again."""
    began = time.monotonic()
    await drill.appliance.start()
    took, sent = time.monotonic() - began, len(drill.source.acknowledged)
    drill.source._stopping = False
    drill.source.start()
    lab, since = drill.sinks["lab"], time.monotonic()
    await until(lambda: lab.received and lab.received[-1].at > since, 30, "a delivery")
    await until(lambda: len(drill.source.acknowledged) > sent + 200)
    await drill.source.finish(20)
    return took, resident(drill.appliance.pid)


async def paused_for_long(drill: Drill, count: int) -> str:
    """What was measured, in one line."""
    assert await drill.appliance.stop() == 0
    before, lean = await started(drill)
    assert await drill.appliance.stop() == 0
    await seeds.fill(drill.appliance.data, seeds.SHELVED, "lab", count, filling=900)
    after, full = await started(drill)
    if after > before * 1.5 + 1:
        raise Slow(f"ready after {after:.1f} s, with none {before:.1f} s")
    assert full - lean < 20, f"the engine grew by {full - lean:.0f} MB"

    waiting = (await drill.appliance.status())["agents"]["count"]["waiting"]
    assert waiting == count + len(drill.source.acknowledged)
    drill.sinks["lab"].received.clear()
    began = time.monotonic()
    await drill.appliance.ask("resume", "agent:count")
    lab = drill.sinks["lab"].received
    await until(lambda: len(lab) >= waiting, 60 + count / 100, "all that waited")
    seeded = [one for one in lab if one.control_id.startswith("D-S")]
    assert len(seeded) == count
    assert not (wrong := oracle.order(seeded)), wrong
    return (
        f"{count} waiting: ready after {after:.1f} s, with none {before:.1f} s, "
        f"{full - lean:+.0f} MB; resumed {waiting / (time.monotonic() - began):.0f}/s"
    )


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.drill)])
async def test_a_paused_agent_makes_no_start_slower(ground, seed, count):
    """With 5,000 Signals always, with 100,000 when drills are asked for; resumed, it runs all
    of them in order."""

    async def work(folder: Path) -> str:
        drill = Drill(folder, seed, Plan(pace=0.02))
        drill.site.write(COUNT)
        async with drill:
            return await paused_for_long(drill, count)

    print(await in_time(ground, work))


@pytest.mark.parametrize(
    ("count", "seconds"),
    [
        (20_000, 2.0),
        pytest.param(
            int(os.environ.get("DRILL_BACKLOG", "1000000")), 15.0, marks=pytest.mark.drill
        ),
    ],
)
async def test_a_dead_destination_costs_no_memory_and_nobody_else(ground, seed, count, seconds):
    """With 20,000 always, with a million when drills are asked for."""

    async def work(folder: Path) -> str:
        plan = Plan(sinks=("lab", DEAD), pace=0.02)
        async with Drill(folder, seed, plan) as drill:
            return await dead_for_long(drill, count, seconds)

    print(await in_time(ground, work))
