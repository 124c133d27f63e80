"""Stops, reloads and a second engine, all under load."""

import asyncio
import signal
import sys
import time

import pytest
from psycopg.conninfo import make_conninfo

from drills.appliance import until
from drills.drill import Drill, Plan
from ports import free_port

pytestmark = [
    pytest.mark.drill,
    pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc"),
]


async def test_a_stop_under_load_drains_and_repeats_nothing(ground, seed, record):
    """SIGTERM: exit 0 within 30 s; no second delivery, since nothing crashed."""
    async with Drill(ground, seed, Plan(pace=0.003)) as drill:
        await drill.load()
        for _ in range(10):
            await drill.run(0.2, 1.0)
            began = time.monotonic()
            assert await drill.appliance.stop() == 0, drill.appliance.log.read_text()[-2000:]
            drill.recoveries.append(time.monotonic() - began)
            drill.faults += 1
            await drill.inspect()
            await drill.appliance.start()
        await drill.verify()
        assert "Traceback" not in drill.appliance.log.read_text()
        record(drill)


async def test_a_stop_ends_although_everything_hangs(ground, seed, record):
    """SIGTERM with PostgreSQL and all workers frozen, a destination that does not answer and
    senders that wait for it: over within 30 s, and nothing is lost."""
    plan = Plan(when="delivered", timeout="60s")
    async with Drill(ground, seed, plan) as drill:
        sink = drill.sinks["lab"]
        await drill.load()
        sink.mood = lambda control_id, nth: "silent"
        await drill.run(1.0, 1.5)
        await drill.fault(
            [drill.appliance.zygote(), *drill.appliance.workers()], signal.SIGSTOP
        )
        frozen = drill.appliance.cluster()
        await drill.fault(frozen, signal.SIGSTOP)
        await drill.run(0.5, 1.0)
        began = time.monotonic()
        await drill.appliance.stop()
        took = time.monotonic() - began
        drill.kills.append(began)  # what was out then is unclear
        await drill.fault(frozen, signal.SIGCONT)
        sink.mood = lambda control_id, nth: "AA"
        await drill.appliance.start()
        await drill.verify()
        print(f"the stop took {took:.1f} s")
        record(drill)


async def test_a_reload_under_load_closes_no_connection(ground, seed, record):
    """SIGHUP: a good site is swapped in, a bad one is refused with its reason; nobody is cut
    off by either."""
    async with Drill(ground, seed) as drill:
        await drill.load()
        for number in range(12):
            await drill.run(0.2, 0.8)
            bad = number % 3 == 2
            if bad:
                drill.site.channels.write_text("channel: adt\nsauce: {type: mllp}\n")
            else:
                drill.site.write(f"# {number}\n---\nagent: idle{number}\n{IDLE}")
            event = "site_refused" if bad else "site_swapped"
            before = len(drill.appliance.events(event))
            drill.appliance.tell(signal.SIGHUP)
            drill.faults += 1
            await until(lambda e=event, n=before: len(drill.appliance.events(e)) > n, 10, event)
        assert drill.source.repeats == 0
        await drill.verify()
        record(drill)


IDLE = "goal: Never runs\non: {channel: adt, type: ZZZ^Z99}\nsteps: [{send: lab}]\n"


@pytest.mark.parametrize("frozen", [False, True])
async def test_a_second_engine_takes_over_within_20_s(
    ground, seed, record, journal_url: str, frozen: bool
):
    """P9: it waits while the first lives, takes over when the first is killed; a first one
    that was only frozen ends by itself when it wakes, and does no harm."""
    journal = make_conninfo(journal_url)
    async with Drill(ground, seed, journal=journal) as drill:
        await drill.load()
        first, second = drill.appliance, drill.engine("var2")
        second.environ["PORTICO_METRICS"] = f"127.0.0.1:{free_port()}"
        await second.launch()
        waits = asyncio.ensure_future(second.ready(60))
        await until(lambda: second.log.exists() and second.events("lease_awaited"), 20)
        await drill.run(3.0, 4.0)
        assert not waits.done()
        since = time.monotonic()
        if frozen:
            first.tell(signal.SIGSTOP)
        else:
            await first.kill()
        drill.kills.append(since)
        try:
            if frozen:
                await until(lambda: second.events("engine_ready"), 25)
                first.tell(signal.SIGCONT)
                async with asyncio.timeout(30):
                    await first._gone()
            await waits
            await drill.recover(since)
            assert drill.recoveries[-1] <= (40 if frozen else 20)
            drill.appliance = second
            await drill.verify()
        finally:
            await first.end()
            await second.end()
        record(drill)
