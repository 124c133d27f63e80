"""Reading what would hold up the event loop: in a thread, and in the order of arrival.

XML is parsed at the door, and lxml lets other threads run meanwhile. JSON and CSV are never
parsed whole there (language/jsonskim.py, csvview.py), HL7 is read in place.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

LARGE = 128 << 10  # bytes of XML that are parsed on the loop in a millisecond or two


class Queue(Generic[T]):
    """What waits to be read, one after the other. read: never raises."""

    def __init__(self, read: Callable[[T], Awaitable[None]]) -> None:
        self._read = read
        self._waiting: deque[T] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Something is being read: whatever comes now comes behind it."""
        return self._task is not None

    def put(self, item: T) -> None:
        """Read it when those before it have been read."""
        self._waiting.append(item)
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())

    def stop(self) -> None:
        """Read no more; what waits is not taken."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._read(self._waiting.popleft())
        finally:
            self._task = None
