"""Hostile frames on some connections, canaries on others: P10, P6, M1 to M3, M9."""

import asyncio
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from drills import oracle
from drills.drill import Drill, Plan, Slow, in_time
from drills.fuzz import Fuzz
from ports import free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

DIRTY = """\
---
channel: dirty
source: {{type: mllp, listen: "127.0.0.1:{port}", limit: 256KiB, framing: lenient}}
charset: {{name: ascii, on_error: replace}}
order_by: PID-3.1
---
agent: dirt
goal: Read and edit what nobody should ever send
on: {{channel: dirty}}
on_error: drop
steps:
  - filter: {{drop: {{PID-8: "?*!"}}}}
  - map:
      set: {{PID-5.1: "{{PID-5.1}} {{OBX[*]-5}}", ZZZ-3: "{{MSH-10}}"}}
      remove: "OBX[*2=ED]"
  - python: transforms.stamp:stamp
"""
SENDERS, BATCH = 4, 50
GROWTH = 48 << 10  # KiB by which the engine's own memory may be larger than before


class Storm:
    """Senders of fuzzed frames. whole: frames that the listener must have read."""

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._seed = seed
        self.frames = self.whole = 0

    async def blow(self, frames: int) -> None:
        """Send at least so many."""
        goal = self.frames + frames
        senders = (self._send(Fuzz(self._seed + n), goal) for n in range(SENDERS))
        await asyncio.gather(*senders)
        self._seed += SENDERS

    async def _send(self, fuzz: Fuzz, goal: int) -> None:
        while self.frames < goal:
            made = fuzz.frames
            stream, whole = fuzz.batch(BATCH)
            self.frames += fuzz.frames - made
            self.whole += whole
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            with suppress(ConnectionError):
                writer.write(stream)
                writer.write_eof()
                async with asyncio.timeout(60):
                    while await reader.read(65536):
                        pass
            writer.close()


def memory(pid: int) -> int:
    """KiB that the process has for itself."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    lines = (line.split() for line in text.splitlines() if line.startswith("Private_"))
    return sum(int(words[1]) for words in lines)


async def settled(drill: Drill) -> dict[str, int]:
    """The dirty channel's book once nothing is under way in it."""
    async with asyncio.timeout(120):
        while True:
            book = (await drill.appliance.status())["channels"]["dirty"]
            if not book["waiting"] and not book["running"]:
                return book
            await asyncio.sleep(0.1)


async def fuzzed(ground: Path, seed: int, frames: int) -> str:
    """The drill of both tests; one line that says what was done."""
    port = free_port()
    drill = Drill(ground, seed, Plan(pace=0.02))
    drill.site.write(DIRTY.format(port=port))
    storm = Storm(port, seed)
    async with drill:
        await drill.load()
        pid = drill.appliance.pid
        await storm.blow(frames // 10)
        await settled(drill)
        before, began = memory(pid), time.monotonic()
        await storm.blow(frames - frames // 10)
        rate = (frames - frames // 10) / (time.monotonic() - began)
        book = await settled(drill)
        after = memory(pid)
        await drill.heal()
        canaries = drill.source.acknowledged
        waits = sorted(one.at - one.began for one in canaries)
        p99 = waits[int(len(waits) * 0.99)]
        told = (
            f"seed {seed}: {storm.frames} frames, {book['received']} journaled, {rate:.0f}/s; "
            f"{len(canaries)} canaries, ACK p99 {p99 * 1000:.0f} ms; "
            f"memory {before >> 10} to {after >> 10} MiB"
        )
        print(told)
        got = drill.sinks["lab"].received
        found = [
            *oracle.answers(drill.source, waits=False),
            *oracle.nothing_missing((one.sent for one in canaries), got),
            *oracle.order(got),
            *oracle.second_deliveries(got, ()),
            *oracle.same_bytes(got),
        ]
        assert found == [], told
        assert drill.source.repeats == 0, "a canary's connection was lost"
        assert drill.appliance.pid == pid
        for name in ("worker_died", "row_rejected", "journal_lost", "agent_quarantined"):
            assert drill.appliance.events(name) == [], name
        assert b"Traceback" not in drill.appliance.log.read_bytes()
        if p99 > 1.0:
            raise Slow(told)
        assert after - before < GROWTH, told
        assert storm.frames * 0.9 < book["received"], told
    return told


async def test_twenty_thousand_hostile_frames_disturb_nobody(ground, seed):
    """No crash, no canary lost, answers within a second, memory as before."""
    await in_time(ground, lambda folder: fuzzed(folder, seed, 20_000))


@pytest.mark.drill
async def test_a_million_hostile_frames_disturb_nobody(ground, seed):
    """The same at length; FUZZ_FRAMES says how many."""
    frames = int(os.environ.get("FUZZ_FRAMES", "1000000"))
    await in_time(ground, lambda folder: fuzzed(folder, seed, frames))
