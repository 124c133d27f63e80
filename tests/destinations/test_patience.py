"""Time-outs that a stall of our own loop does not use up."""

import asyncio
import socket

import pytest

from destinations.stalls import stall
from portico.destinations.patience import Patience


async def test_the_body_ends_when_its_time_is_up():
    """Never early; the body sees a cancellation, its caller a TimeoutError."""
    loop = asyncio.get_running_loop()
    began, ended = loop.time(), []
    with pytest.raises(TimeoutError):
        async with Patience(0.05):
            try:
                await loop.create_future()
            except asyncio.CancelledError:
                ended.append(loop.time())
                raise
    assert ended[0] - began >= 0.05


async def test_what_was_said_during_a_stall_is_heard_whatever_turns_it_takes():
    """A stall of many time-outs; reading takes some turns of the loop, and asking again."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    async with Patience(0.1):
        for word in (b"one", b"two"):
            waiting = asyncio.ensure_future(reader.readexactly(3))
            await asyncio.sleep(0)
            stall(0.5, theirs.send, word)
            assert await waiting == word
            for _ in range(20):
                await asyncio.sleep(0)
    writer.close()
    theirs.close()


async def test_a_grant_begins_anew():
    """Also where no end was set at first."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimeoutError):
        async with Patience() as patience:
            patience.grant(0.01)
            patience.grant(0.08)
            await loop.create_future()
    assert loop.time() - began >= 0.08


async def test_infinity_is_without_an_end():
    """`timeout: forever`, also where there was an end before."""
    async with Patience(0.01) as patience:
        patience.grant(float("inf"))
        await asyncio.sleep(0.05)


async def test_a_cancellation_from_outside_stays_one():
    """It is not taken for the end of the time."""

    async def body() -> None:
        async with Patience(5.0):
            await asyncio.get_running_loop().create_future()

    task = asyncio.ensure_future(body())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
