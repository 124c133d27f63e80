"""server/deadline.py: steps that share a time."""

import asyncio

import pytest

from portico.clock import SystemClock
from portico.server.deadline import Deadline


async def test_a_step_that_hangs_is_left_and_the_next_has_what_remains():
    """Its grace is less than its time, so that it can end by force what has not ended."""
    given = []

    async def hang(grace):
        given.append(grace)
        await asyncio.Event().wait()

    time = Deadline(SystemClock(), 0.0)
    async with asyncio.timeout(10):
        await time.step(60.0, hang)
    assert 0.0 < given[0] < 1.0

    await Deadline(SystemClock(), 60.0).step(8.0, lambda grace: note(given, grace))
    assert given[1] == 6.0


async def note(given, grace):
    """A step that ends at once."""
    given.append(grace)


async def test_what_a_step_raises_is_raised():
    """A fault of a part is nobody's secret."""

    async def fail(grace):
        raise KeyError(grace)

    with pytest.raises(KeyError):
        await Deadline(SystemClock(), 60.0).step(8.0, fail)
