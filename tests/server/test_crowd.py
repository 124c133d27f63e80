"""Thousands of silent senders beside busy ones (issue 2: 16 KiB each, and no slower)."""

import asyncio
import re
import resource
import socket
import statistics
import time
from pathlib import Path

import pytest

IDLE, ACTIVE, BYTES = 5000, 50, 16 << 10
SITE = """
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{adt}", connections: 6000, probe: forever}}
"""


@pytest.fixture(scope="module")
def port(server):
    """Of the channel."""
    return server.free_port()


@pytest.fixture(scope="module")
def running(server, folders, port):
    """An engine whose channel takes them all."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * IDLE:
        pytest.skip(f"this machine allows {hard} open files a process")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    one = server.Appliance(folders(), SITE.format(adt=port)).start()
    yield one
    assert one.end() == 0, one.log.read_text()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident(pid):
    """Bytes of the engine in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10


async def rate(server, port, seconds=0.8):
    """Messages a second of senders that wait for each answer."""
    until = time.monotonic() + seconds

    async def sends(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while time.monotonic() < until:
            content = server.message(f"{number}-{until}-{count}")
            writer.write(b"\x0b" + content + b"\x1c\r")
            assert b"MSA|AA" in await reader.readuntil(b"\x1c\r")
            count += 1
        writer.close()
        return count

    return sum(await asyncio.gather(*(sends(n) for n in range(ACTIVE)))) / seconds


async def test_thousands_of_silent_senders_cost_little_and_slow_nobody(server, running, port):
    """Each costs at most 16 KiB, and fifty busy ones keep their rate beside them."""
    await rate(server, port)
    for _ in range(3):  # a machine that is busy elsewhere is not always as busy
        grown, alone, beside = await measured(server, running, port)
        assert grown <= IDLE * BYTES, f"{grown / IDLE:.0f} bytes each"
        if beside > 0.6 * alone:
            return

    pytest.fail(f"{beside:.0f} a second beside them, {alone:.0f} without")


async def measured(server, running, port):
    """The bytes that a crowd costs; the rate of the busy ones without it, and beside it."""
    before = resident(running.process.pid)
    alone, beside = [await rate(server, port)], []
    crowd = []
    try:
        for _ in range(IDLE):
            crowd.append(socket.create_connection(("127.0.0.1", port)))
        server.until(
            lambda: running.metrics().get('portico_connections{channel="adt"}') == IDLE
        )
        grown = resident(running.process.pid) - before
        for _ in range(3):
            beside.append(await rate(server, port))
    finally:
        for one in crowd:
            one.close()
    server.until(lambda: running.metrics().get('portico_connections{channel="adt"}') == 0)
    alone += [await rate(server, port), await rate(server, port)]
    return grown, statistics.median(alone), statistics.median(beside)
