"""The room under the journal: without it no answer can be given, so nothing is taken."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from portico.events.operating import DiskBack, DiskLow
from portico.policy import alarms
from portico.server.parts import House

WHY = "disk"
_EVERY = 2.0
_GRACE = 2.0  # seconds for answers that are owed when sources close


def free_bytes(folder: Path) -> int:
    """What a user may still write there. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


class Disk:
    """Closes all sources while too little is free, and opens them when there is more.

    read: the free bytes; it blocks, and is called in a thread.
    """

    def __init__(self, house: House, read: Callable[[], int], lock: asyncio.Lock) -> None:
        self._house = house
        self._read = read
        self._lock = lock
        self.free: int | None = None

    @property
    def watched(self) -> bool:
        """With somebody else's database its disk is not ours to watch."""
        journal = self._house.site.config.journal
        return journal.url is None or "disk" in journal.model_fields_set

    @property
    def shut(self) -> bool:
        """The sources are closed because of the disk."""
        return WHY in self._house.shut

    async def watch(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY)

    async def look(self) -> None:
        """Read once and act on it; what cannot be read changes nothing."""
        if not self.watched:
            return
        try:
            free = self.free = await asyncio.to_thread(self._read)
        except OSError:
            return
        limits = self._house.site.config.journal.disk
        full = alarms.too_full(free, self.shut, limits.close, limits.reopen)
        if full == self.shut:
            return
        async with self._lock:
            await (self._close(free, limits.close) if full else self._open(free))

    async def _close(self, free: int, close: int) -> None:
        house = self._house
        house.shut.add(WHY)
        house.base.emit(DiskLow(free, close))
        channels = house.channels.values()
        await asyncio.gather(*(one.close(WHY, _GRACE) for one in channels))

    async def _open(self, free: int) -> None:
        house = self._house
        house.shut.discard(WHY)
        house.base.emit(DiskBack(free))
        await asyncio.gather(*(one.reopen(WHY) for one in house.channels.values()))
