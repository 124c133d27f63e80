"""Very many parked messages released at once: memory stays flat, nobody else notices, each lane
keeps its order, and a kill in the middle loses nothing and does nothing twice."""

import asyncio
import os
import re
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from drills import oracle, seeds
from drills.appliance import until
from drills.drill import Drill, Plan, Slow, in_time
from drills.sink import Received
from drills.test_backlog import enough, resident, watched

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

HIS = "his"
LANES = 1000
# What is parked, the filter that names it, and in how many lanes it stands.
KINDS = {
    "deliveries": (seeds.PARKED, ("--destination", HIS), LANES),
    "heads": (seeds.HELD, ("--destination", HIS), 0),
    "signals": (seeds.FAULTED, ("--channel", "adt"), LANES),
}
MANY = int(os.environ.get("DRILL_RELEASE", "100000"))
ACTS = "select count(*), count(distinct (signal, kind, number)) from act where what = 'release'"


@dataclass(slots=True)
class Release:
    """`portico release` of all that fits, at a terminal. said: what that shows."""

    process: Process
    terminal: int
    said: bytes = b""

    @staticmethod
    async def begin(drill: Drill, words: tuple[str, ...]) -> "Release":
        """The command, running."""
        terminal, theirs = os.openpty()
        command = ("-m", "portico", "release", *words, "--yes", "--site", str(drill.site.root))
        environ = {**drill.appliance.environ, "TERM": "xterm"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=DEVNULL, stderr=theirs, env=environ
        )
        os.close(theirs)
        return Release(process, terminal)

    async def end(self) -> int:
        """Its exit code. Reads the terminal as it goes."""
        self.said = await asyncio.to_thread(self._read)
        return await self.process.wait()

    def _read(self) -> bytes:
        said = b""
        with suppress(OSError):  # the terminal ends so
            while more := os.read(self.terminal, 65536):
                said += more
        os.close(self.terminal)
        return said

    def progress(self) -> set[int]:
        """How many of all it has shown as done."""
        return {int(one) for one in re.findall(rb"(\d+)/\d+", self.said)}


def slow(drill: Drill, since: float) -> float:
    """Seconds that a sender waited for its answer, the 99th of 100."""
    took = sorted(one.at - one.began for one in drill.source.acknowledged if one.began > since)
    if len(took) < 50:
        raise Slow("too few to say anything")
    return took[int(len(took) * 0.99)]


def seeded(drill: Drill) -> list[Received]:
    """What has come of what was parked."""
    return [one for one in drill.sinks[HIS].received if one.control_id.startswith("D-S")]


async def released_by_the_thousands(drill: Drill, kind: str, count: int, usual: float) -> str:
    """What was measured, in one line."""
    seed, words, lanes = KINDS[kind]
    await drill.load()
    await asyncio.sleep(usual)
    await enough(drill, 0.0)
    lean, before = resident(drill.appliance.pid), slow(drill, 0.0)
    await drill.source.finish(20)
    assert await drill.appliance.stop() == 0
    await seeds.fill(drill.appliance.data, seed, HIS, count, lanes or count, 900)

    peak: list[float] = []
    await drill.appliance.start()
    drill.source._stopping = False
    await drill.load()
    async with watched(drill, peak):
        since = time.monotonic()
        command = await Release.begin(drill, words)
        ended = asyncio.ensure_future(command.end())
        await until(lambda: len(seeded(drill)) >= count // 2, 60 + count / 100, "half of them")
        during, growth = slow(drill, since), max(peak) - lean
        await drill.kill_engine()
        assert await ended, "the command did not say that it was cut short"
        assert max(command.progress(), default=0), "it shows no progress"
        command = await Release.begin(drill, words)
        assert await command.end() == 0, command.said[-500:].decode()
        took = time.monotonic() - since
    await until(
        lambda: len({one.control_id for one in seeded(drill)}) == count, 60, "all of it"
    )
    growth = max(growth, max(peak) - lean)
    assert not (wrong := oracle.order(seeded(drill))), wrong
    async with await psycopg.AsyncConnection.connect(drill.conninfo()) as connection:
        told = await (await connection.execute(ACTS)).fetchone()
    assert told == (count, count), f"{told} acts"
    await drill.heal()
    wrong = oracle.second_deliveries(drill.sinks[HIS].received, drill.kills)
    assert not (wrong := wrong + await drill._books()), drill.told(wrong)
    assert growth < 100, f"the engine grew by {growth:.0f} MB"
    if during > before * 1.1 + 0.25:
        raise Slow(f"senders wait {during:.3f} s, before {before:.3f} s")
    return (
        f"{count} {kind}: +{growth:.0f} MB, answers' p99 {before * 1000:.0f} then "
        f"{during * 1000:.0f} ms, {count / took:.0f}/s"
    )


@pytest.mark.parametrize(
    ("kind", "count", "usual"),
    [
        ("signals", 2_000, 1.0),
        *(pytest.param(kind, MANY, 10.0, marks=pytest.mark.drill) for kind in KINDS),
    ],
)
async def test_a_release_of_very_many_is_in_nobodys_way(ground, seed, kind, count, usual):
    """2,000 always, 100,000 when drills are asked for."""

    async def work(folder: Path) -> str:
        plan = Plan(sinks=("lab", HIS), pace=0.02)
        async with Drill(folder, seed, plan) as drill:
            return await released_by_the_thousands(drill, kind, count, usual)

    print(await in_time(ground, work))
