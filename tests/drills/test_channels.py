"""kill -9 under load from every type of source and into every type of destination at once."""

import asyncio
import os
import signal
import sys
import time

import pytest

from drills.appliance import until
from drills.drill import Drill, Plan
from drills.ways import Ways

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

# What FTP and SFTP take in Python, on both sides, sets the pace.
PLAN = Plan(connections=4, patients=24, pace=0.08, patience=180)


async def killed(ground, seed, times: int) -> Drill:
    """Work, die and work again; what the oracle says of all of them."""
    drill = Drill(ground, seed, PLAN)
    async with Ways(drill) as ways, drill:
        await drill.load()
        await ways.load()
        for number in range(times):
            await drill.run(0.3, 1.0)
            if number % 3 == 0:
                await kill_frozen(drill)
            else:
                await drill.kill_engine(look=False)
        said = lambda: min(len(feed.acknowledged) for feed in drill.feeds)  # noqa: E731
        await until(lambda: said() > times, PLAN.patience, "each source to say something")
        await ways.verify()
        print(ways.told())
    return drill


async def kill_frozen(drill: Drill) -> None:
    """PostgreSQL stands still, then everything dies: what was taken is in the journal."""
    frozen = drill.appliance.cluster()
    await drill.fault(frozen, signal.SIGSTOP)
    await asyncio.sleep(0.7)
    await drill.appliance.kill()
    drill.kills.append(time.monotonic())
    await drill.fault(frozen)
    await drill.inspect()
    await drill.appliance.start()
    await drill.recover(time.monotonic())


async def test_every_channel_is_killed_three_times_and_loses_nothing(ground, seed, record):
    """P1 to P4, F5: tcp, https, soap, sftp-server, sftp, ftp, folder and schedule in; tcp,
    https, soap, sftp, ftp and folder out."""
    record(await killed(ground, seed, 3))


@pytest.mark.drill
async def test_every_channel_is_killed_again_and_again(ground, seed, record):
    """The same for long (DRILL_KILLS)."""
    record(await killed(ground, seed, int(os.environ.get("DRILL_KILLS", "25"))))
