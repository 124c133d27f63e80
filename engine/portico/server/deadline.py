"""The time that a stop may take, shared by its steps."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from portico.clock import Clock

_GRACE = 0.75  # of a step's time; in the rest it ends by force what has not ended
_LEAST = 0.5  # seconds of a step that begins late, so that it can


class Deadline:
    """No step goes far beyond it, however the ones before it ended. seconds: from now on."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds

    async def step(
        self, most: float, work: Callable[[float], Coroutine[Any, Any, Any]]
    ) -> None:
        """Do it, within `most` seconds or what is left; what has not ended then is left behind.

        work: given the seconds that it may wait for others. Raises what it raises.
        """
        seconds = max(_LEAST, min(most, self._end - self._clock.monotonic()))
        task = asyncio.ensure_future(work(seconds * _GRACE))
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            task.result()
        else:
            task.cancel()
