"""The engine is killed at each system call of one message's way: from the first byte read to
the mark that it was delivered."""

import asyncio
import os
import sys
import time
from contextlib import suppress

import pytest

from drills import message, strace
from drills.appliance import until
from drills.drill import Drill, Plan
from drills.source import Line

pytestmark = [
    pytest.mark.drill,
    pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc"),
    pytest.mark.skipif(strace.FOUND is None, reason="strace is not installed"),
]

SHELF = '---\ndestination: shelf\ntype: folder\npath: shelf\nfile: "{MSH-10}.hl7"\n'
_REACHED = 2.5  # seconds after which a call that was not made is not part of the way


class Way:
    """One patient's messages on one connection, each followed to its end."""

    def __init__(self, drill: Drill) -> None:
        self.drill, self.number = drill, 0
        self.line = Line(drill.site.inbound)

    async def send(self) -> None:
        """The next message, until it is acknowledged."""
        self.number += 1
        one = message.make(f"D{self.number}", "DP0", self.number)
        await self.drill.source._deliver(self.line, one)

    async def arrived(self) -> None:
        """Both destinations have all of them."""
        drill = self.drill
        names = {f"D{n}" for n in range(1, self.number + 1)}
        shelf = drill.site.root / "shelf"

        def both() -> bool:
            taken = {one.control_id for one in drill.sinks["lab"].received if one.settled}
            return names <= taken and all((shelf / f"{name}-2.hl7").exists() for name in names)

        await until(both, 30, drill.told(["a message does not arrive"]))

    async def whole(self) -> None:
        """One message, and a moment for its last mark."""
        await self.send()
        await self.arrived()
        await asyncio.sleep(0.3)

    async def killed_at(self, call: str, nth: int) -> bool:
        """One message while the trap is laid; False when the call was not made."""
        drill, engine = self.drill, self.drill.appliance
        trap = await strace.lay(engine.pid, call, nth)
        sending = asyncio.ensure_future(self.send())
        with suppress(TimeoutError):
            async with asyncio.timeout(_REACHED):
                await asyncio.shield(engine._process.wait())
        dead = not engine.pid
        await trap.leave()
        if dead:
            await engine._gone()
            drill.kills.append(time.monotonic())
            if drill.source.acknowledged:
                await drill.inspect()
            since = time.monotonic()
            await engine.start()
        await asyncio.wait_for(sending, 30)
        if dead:
            drill.recoveries.append(time.monotonic() - since)
        await self.arrived()
        return dead


async def test_no_system_call_is_a_bad_moment_to_die(ground, seed, record):
    """P1, P3, P4: at each call that one message needs, nothing acknowledged is lost, order
    holds, and at most one delivery comes a second time."""
    async with Drill(ground, seed, Plan(connections=1, patients=1, pace=0.0)) as drill:
        text = drill.site.channels.read_text().replace(
            "  - send: lab\n", "  - send: lab\n  - send: shelf\n"
        )
        drill.site.channels.write_text(text + SHELF)
        await drill.appliance.stop()
        await drill.appliance.start()
        way = Way(drill)
        await way.whole()
        await way.whole()
        log = ground / "calls"
        counts = await strace.counted(drill.appliance.pid, log, way.whole())
        points = [(call, n) for call in sorted(counts) for n in range(1, counts[call] + 1)]
        share = int(os.environ.get("DRILL_SHARE", "1"))
        reached = 0
        for call, nth in points[seed % share :: share]:
            reached += await way.killed_at(call, nth)
        await drill.verify()
        print(f"{len(points)} points: {dict(counts)}; {reached} reached")
        assert reached > len(points) / share / 2, "hardly a trap was sprung"
        record(drill)
