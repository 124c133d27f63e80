"""A database that dies, freezes, hangs up or runs out of room: no answer from memory."""

import asyncio
import signal
import sys
import time

import pytest

from drills.appliance import until
from drills.drill import Drill, Plan
from drills.places import TO_THE_LAST, fill
from drills.short import WRITER, connected

pytestmark = [
    pytest.mark.drill,
    pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc"),
]


async def test_postgres_killed_and_its_backends_too(ground, seed, record):
    """P7, P8: postmaster or one backend, ten times each; the engine process lives."""
    async with Drill(ground, seed) as drill:
        await drill.load()
        pid = drill.appliance.pid
        for _ in range(10):
            await drill.run(0.1, 1.0)
            await drill.recover(await drill.fault([drill.appliance.postmaster()]))
            await drill.run(0.1, 1.0)
            await until(drill.appliance.backends, 30, "a backend to kill")
            await drill.recover(
                await drill.fault([drill.chance.choice(drill.appliance.backends())])
            )
        await drill.verify()
        assert drill.appliance.pid == pid
        record(drill)


@pytest.mark.parametrize("seconds", [1.0, 5.5, 10.5, 14.0])
async def test_postgres_frozen_and_thawed(ground, seed, record, seconds):
    """P7: nothing is acknowledged while it is frozen; what it held back is stored once."""
    async with Drill(ground, seed) as drill:
        await drill.load()
        for _ in range(3):
            await drill.run(0.2, 1.0)
            frozen = drill.appliance.cluster()
            await drill.fault(frozen, signal.SIGSTOP)
            await asyncio.sleep(seconds)
            await drill.recover(await drill.fault(frozen, signal.SIGCONT))
        await drill.verify()
        record(drill)


async def test_the_writers_backend_frozen_alone(ground, seed, record):
    """P3, P9: the engine writes on through a new connection; the frozen flush, when it wakes,
    is not stored a second time."""
    async with Drill(ground, seed) as drill:
        await drill.load()
        for _ in range(3):
            await drill.run(0.2, 1.0)
            async with await connected(drill) as connection:
                cursor = await connection.execute(WRITER)
                rows = await cursor.fetchall()
            frozen = [pid for (pid,) in rows]
            assert set(frozen) <= set(drill.appliance.backends())
            await drill.fault(frozen, signal.SIGSTOP)
            await asyncio.sleep(13)
            await drill.recover(await drill.fault(frozen, signal.SIGCONT))
        await drill.verify()
        record(drill)


async def test_a_flush_that_was_given_up_is_not_stored_later(ground, seed, record):
    """P3: a lock keeps a flush waiting beyond its deadline; when the lock goes, the flush
    that the engine has given up must not be stored beside the one that replaced it."""
    async with Drill(ground, seed) as drill:
        await drill.load()
        for _ in range(3):
            await drill.run(0.2, 1.0)
            async with await connected(drill) as connection:
                async with connection.transaction():
                    await connection.execute("select 1 from lease for update")
                    await asyncio.sleep(12)
            drill.faults += 1
            await drill.recover(time.monotonic())
        await drill.verify()
        assert not drill.appliance.events("row_rejected")
        record(drill)


async def test_the_writers_connection_is_cut(ground, seed, record):
    """P3, P7: pg_terminate_backend, also in the middle of a commit: stored once or not."""
    async with Drill(ground, seed, Plan(pace=0.003)) as drill:
        await drill.load()
        for _ in range(30):
            await drill.run(0.05, 0.5)
            async with await connected(drill) as connection:
                await connection.execute(WRITER.replace("pid", "pg_terminate_backend(pid)", 1))
            drill.faults += 1
        await drill.verify()
        record(drill)


async def test_a_full_disk_stops_answers_and_heals(small_disk, seed, record):
    """P7, P8: no room for the journal: no answers; the process lives, and goes on after."""
    drill = Drill(small_disk, seed)
    drill.site.configure(TO_THE_LAST)
    async with drill:
        await drill.load()
        pid = drill.appliance.pid
        for _ in range(2):
            await drill.run(0.5, 1.5)
            ballast = small_disk / "ballast"
            await asyncio.to_thread(fill, ballast)
            await asyncio.sleep(6)
            silent = len(drill.source.acknowledged)
            await asyncio.sleep(2)
            assert len(drill.source.acknowledged) == silent, "answers with a full disk"
            drill.faults += 1
            ballast.unlink()
            await drill.recover(time.monotonic())
        assert drill.appliance.pid == pid
        await drill.verify()
        record(drill)
