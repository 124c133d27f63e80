"""The core of every source that fetches files: look, wait until whole, take, hand up, finish.

A file is finished (moved, deleted, remembered) only after every message of it has its final
Receipt, so after the journal's commit (P1). A crash before that finds it again, and each of
its messages is known by the file's name, time and size and its place in it: it runs once (F5).
Files are handed up in order and finished together, `_GROUP` at a time; a huge one is read
piece by piece (F6).
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from portico.errors import FileLeft, JournalError, PorticoError, SourceAway
from portico.events.fetching import FileKept, SourceBack, SourceLost
from portico.listeners.contract import Fetching, Known, Surroundings
from portico.listeners.reading import FileReading
from portico.listeners.sieve import Sieve, Watch
from portico.listeners.tray import FileSeen, Tray
from portico.spec.fetching import PollSource

# What a channel of such a source has where its document is silent.
DEFAULTS: Mapping[str, Any] = {"order_by": "channel"}

_GROUP = 32  # files that are in work at a time
_GROUP_BYTES = 32 << 20  # or so many bytes, and at least one file
_SOON = 0.2  # seconds at least between two looks
_FINAL = ("too_large", "uncut")  # reasons that only a change of the file can mend
_DAY = 86_400.0  # seconds between two notes of which remembered files lie there still
_DAY_NS = 86_400_000_000_000
_GONE = 30 * _DAY  # seconds after which one that does not is remembered no more
_AGAIN, _MOST_AGAIN = 1.0, 30.0  # seconds until what failed is tried again


class Poller:
    """One place of one channel: a Listener."""

    def __init__(
        self, channel: str, source: PollSource, tray: Tray, around: Surroundings
    ) -> None:
        self._channel, self._source, self._tray = channel, source, tray
        self._emit, self._now = around.emit, around.clock.time_ns
        self._seconds, self._scratch = around.clock.monotonic, around.scratch
        assert around.fetching is not None
        self._fetching: Fetching = around.fetching
        self._watch = Watch(source.ready)
        self._going = asyncio.Event()
        self._going.set()
        self._told: dict[str, tuple[str, int, int]] = {}  # files that wait for a person
        self._unfinished: dict[str, FileSeen] = {}
        self._task: asyncio.Task[None] | None = None
        self._group: asyncio.Task[bool] | None = None
        self._stopping = False
        self._up: bool | None = None
        self._taken = 0  # files of this round that are stored
        self._returned = False  # one went back since our claims were looked at
        self._note_at = 0.0  # when what lies there is noted again

    async def start(self) -> None:
        """Begin to look. A place that cannot be reached is told, and tried again."""
        self._task = asyncio.ensure_future(self._live())

    def hold(self) -> None:
        """Take nothing more; what is taken goes on."""
        self._going.clear()

    def release(self) -> None:
        """Take again."""
        self._going.set()

    def adopt(self, source: object) -> bool:
        """Never: another poller costs nothing."""
        return False

    async def stop(self, grace: float) -> None:
        """Take nothing more; let what is taken be journaled and finished."""
        if self._stopping:
            return
        self._stopping = True
        if self._group is not None:
            await asyncio.wait({self._group}, timeout=grace)
        for task in (self._group, self._task):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
        await self._tray.close()
        end = getattr(self._tray, "end", None)
        if end is not None:
            end()

    def connections(self) -> int:
        """1 while the place can be reached."""
        return int(bool(self._up))

    async def _live(self) -> None:
        again = _AGAIN
        while not self._stopping:
            try:
                wait = await self._round()
            except SourceAway as error:
                self._lost(error)
                await self._tray.close()
                wait, again = again, min(again * 2, _MOST_AGAIN, max(self._source.every, 1.0))
            except JournalError:
                wait, again = again, min(again * 2, _MOST_AGAIN)
            except Exception as error:  # noqa: BLE001  the fence of one channel
                self._lost(error)
                await self._tray.close()
                wait = _MOST_AGAIN
            else:
                again = _AGAIN
            await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        if self._up:
            await self._tray.wait(seconds)
        else:
            await asyncio.sleep(seconds)

    async def _round(self) -> float:
        """One look, and all that it finds whole; the seconds until the next."""
        await self._going.wait()
        fresh, self._taken = not self._up, 0
        await self._tray.open(await self._fetching.memory.mark())
        if fresh:
            self._back()
        await self._finish_late()
        stored = await self._take_left() if fresh or self._returned else True
        there = await self._look()
        self._forget(there)
        found = [one for one in there if not self._waits(one)]
        ready, soonest = self._watch.settled(found, self._seconds())
        if not (stored and await self._take_all(ready)):
            return _AGAIN
        if self._taken:
            return _SOON
        wait = self._source.every if soonest is None else min(self._source.every, soonest)
        return max(wait, _SOON)

    async def _take_left(self) -> bool:
        """Of an earlier life, or could not go back since another has the name now."""
        self._returned = False
        left = await self._tray.left()
        return await self._take_all([one for one in left if one.name not in self._unfinished])

    async def _look(self) -> list[FileSeen]:
        sieve, keeps = Sieve(self._source), self._source.after.way == "keep"
        noting = keeps and self._seconds() >= self._note_at
        async for chunk in self._tray.look():
            wanted = sieve.wanted(chunk)
            if noting and wanted:
                await self._fetching.memory.seen([one.name for one in wanted])
            sieve.keep(await self._new(wanted) if keeps and wanted else wanted)
        if noting:
            await self._fetching.memory.forget(_GONE)
            self._note_at = self._seconds() + _DAY
        return sieve.chosen()

    async def _new(self, found: list[FileSeen]) -> list[FileSeen]:
        """Those that were not read as they are now."""
        known = await self._fetching.memory.known([one.name for one in found])
        return [one for one in found if not _same(known.get(one.name), one)]

    def _waits(self, one: FileSeen) -> bool:
        """A person has to see to it: too large, or not to be cut, and not changed since."""
        if one.size > self._source.limit:
            text = f"larger than the channel's limit of {self._source.limit} bytes"
            self._left(one, FileLeft("too_large", one.size, text))
        told = self._told.get(one.name)
        return told is not None and told[0] in _FINAL and told[1:] == (one.size, one.changed)

    async def _take_all(self, ready: list[FileSeen]) -> bool:
        """Take them in order; False when something could not be stored."""
        for group in _groups(ready):
            await self._going.wait()
            if self._stopping:
                break
            self._group = asyncio.ensure_future(self._take(group))
            try:
                if not await asyncio.shield(self._group):
                    return False
            finally:
                if self._group.done():
                    self._group = None
        return True

    async def _take(self, group: list[FileSeen]) -> bool:
        """Read them at the same time, hand them up in order, finish those that are stored."""
        replies = bool(self._source.replies)
        readings = [
            FileReading(self._tray, one, self._fetching, self._now, replies, self._scratch)
            for one in group
        ]
        faults = await asyncio.gather(*(one.open() for one in readings), return_exceptions=True)
        for one in readings:
            await one.hand_up(self._going)
        stored = [await one.settled() for one in readings]
        whole = [one for one in readings if one.whole]
        self._taken += len(whole)
        self._returned = self._returned or len(whole) < len(readings)
        ends = (self._finish(one) for one in whole)
        faults += await asyncio.gather(*ends, return_exceptions=True)
        await self._remember([one.found for one in whole])
        for one in readings:
            if one.fault is not None:
                self._left(one.found, one.fault)
        for fault in faults:
            if fault is not None:
                raise fault
        return all(stored)

    async def _finish(self, one: FileReading) -> None:
        """The file's end, as `after` says."""
        for event in one.events(self._channel):
            self._emit(event)
        await self._finish_file(one.found)

    async def _finish_file(self, found: FileSeen) -> None:
        try:
            await self._tray.finish(found)
        except FileLeft as fault:
            self._unfinished[found.name] = found
            self._left(found, fault)
        else:
            self._unfinished.pop(found.name, None)
            self._told.pop(found.name, None)

    async def _finish_late(self) -> None:
        """What is journaled and could not be moved or deleted: try again."""
        for found in list(self._unfinished.values()):
            await self._finish_file(found)

    async def _remember(self, found: list[FileSeen]) -> None:
        if found and self._source.after.way == "keep":
            known = [Known(one.name, one.size, one.changed) for one in found]
            await self._fetching.memory.remember(known)

    def _left(self, one: FileSeen, fault: FileLeft) -> None:
        """Say once that a file waits for a person."""
        state = (fault.why, one.size, one.changed)
        if self._told.get(one.name) != state:
            self._told[one.name] = state
            self._emit(FileKept(self._channel, fault.why, one.size, str(fault)))

    def _forget(self, there: list[FileSeen]) -> None:
        """What a person has taken away is no matter any more."""
        if self._told:
            names = {one.name for one in there} | self._unfinished.keys()
            self._told = {name: state for name, state in self._told.items() if name in names}

    def _lost(self, error: Exception) -> None:
        if self._up is not False:
            code = getattr(error, "word", "") or getattr(error, "code", "internal")
            text = str(error) if isinstance(error, PorticoError) else type(error).__name__
            self._emit(SourceLost(self._channel, str(code), text))
        self._up = False

    def _back(self) -> None:
        if self._up is False:
            self._emit(SourceBack(self._channel))
        self._up = True


def _same(known: Known | None, one: FileSeen) -> bool:
    """Whether a file is as it was when it was read. FTP servers that list by ls(1) tell the day
    alone of what is half a year old."""
    if known is None or known.size != one.size:
        return False
    day, second = divmod(one.changed, _DAY_NS)
    return known.changed == one.changed or (not second and known.changed // _DAY_NS == day)


def _groups(ready: list[FileSeen]) -> Iterator[list[FileSeen]]:
    """In order, each small enough to be in work at a time."""
    group: list[FileSeen] = []
    weight = 0
    for one in ready:
        if group and (len(group) >= _GROUP or weight + one.size > _GROUP_BYTES):
            yield group
            group, weight = [], 0
        group.append(one)
        weight += one.size
    if group:
        yield group
