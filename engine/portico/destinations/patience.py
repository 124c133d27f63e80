"""How long a peer may take, in naps of the loop: a stall of ours is none of its silence.

A nap that ends late by its own length or more was spent on something else and does not count,
and one more nap follows the last: what the peer had said by then has been read. So a time-out
is never early, and late by a nap, and by our own stalls.
"""

import asyncio
import math
from types import TracebackType
from typing import Self


class Patience:
    """An `async with` whose body is cancelled, and raises TimeoutError, once it is at an end.

    Without `seconds` it has no end until `grant` gives it one.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._limit = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._nap = self._due = 0.0
        self._naps = 0

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        if self._seconds is not None:
            self.grant(self._seconds)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wake()
        await self._limit.__aexit__(kind, error, trace)

    def grant(self, seconds: float) -> None:
        """So long from now on, whatever was left; infinity: without an end."""
        self._wake()
        if math.isinf(seconds):
            return
        self._nap = max(0.01, min(1.0, seconds / 4))
        self._naps = math.ceil(seconds / self._nap) + 1
        self._sleep()

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sleep(self) -> None:
        self._due = self._loop.time() + self._nap
        self._timer = self._loop.call_at(self._due, self._slept)

    def _slept(self) -> None:
        self._timer = None
        if self._loop.time() - self._due < self._nap:
            self._naps -= 1
        if self._naps:
            self._sleep()
        else:
            self._limit.reschedule(self._due)
