"""What looks after a running engine: wishes, the disk, full queues, alarms, retention."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from portico.check.site import Site
from portico.errors import RequestError
from portico.events.operating import WatcherFailed
from portico.journal.purging import Purge
from portico.journal.retention import Retention
from portico.policy.alarms import Key
from portico.server import disk, faults, outboxes
from portico.server.alarming import Alarms
from portico.server.disk import Disk
from portico.server.keeping import Keeping
from portico.server.operating import Operating
from portico.server.parts import House
from portico.server.pressure import Pressure
from portico.server.purging import Purging
from portico.server.storage import Storage
from portico.server.telling import Notice, SinkRefused, Teller

_AGAIN = 5.0  # seconds until a watcher that failed looks again
_TRIAL: Key = ("trial", "engine", "")


class Watchers:
    """Started once the sources are, stopped before them."""

    def __init__(
        self, house: House, storage: Storage, environ: Mapping[str, str], lock: asyncio.Lock
    ) -> None:
        self._house = house
        base = house.base
        self.operating = Operating(house, lock)
        self.disk = Disk(house, partial(disk.free_bytes, storage.data), lock)
        self.pressure = Pressure(house)
        self._teller = Teller(
            lambda: house.site.config.alarms.to,
            house.site.root,
            environ,
            base.clock,
            base.emit,
            random.random,
        )
        self.alarms = Alarms(
            house,
            self.disk,
            self.pressure,
            base.certificates.expiries,
            self._teller,
            lambda: storage.up,
        )
        around = (lambda: house.site, base.clock, base.emit)
        self._purging = Purging(Purge(storage.conninfo), *around, lock)
        self.keeping = Keeping(Retention(storage.conninfo), self._purging, *around)
        self._tasks: list[asyncio.Task[None]] = []

    async def restore(self) -> None:
        """What the journal knows: wishes, open alarms, queues that nobody sends. Looks at the
        disk before any source opens."""
        house = self._house
        stored = await outboxes.patiently(house.journal.desk.wishes)
        house.wishes |= {(one.scope, one.name): one for one in stored}
        house.rest_agents()
        house.orphans |= {
            name
            for (scope, name, state), n in house.books.items()
            if scope == "destination" and state == "queued" and n > 0
        } - house.site.destinations.keys()
        await self.alarms.restore()
        await self.disk.look()

    def start(self) -> None:
        """Look after it from now on."""
        self.pressure.follow(self._house.site)
        self._watch(self.operating.watch)
        self._watch(self.disk.watch)
        self._watch(self.alarms.watch)
        self._watch(self.keeping.watch)
        self._watch(self._purging.watch)
        self._watch(partial(self._house.editions.watch, self._house.versions))

    def follow(self, site: Site) -> None:
        """A reload: other limits, other sinks."""
        self.pressure.follow(site)

    async def stop(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.keeping.close()
        await self._teller.stop()

    async def try_sink(self, name: str) -> None:
        """Send a trial. Raises NounUnknown, and RequestError when the sink does not take it."""
        now = self._house.base.clock.time_ns()
        notice = Notice("trial", *_TRIAL, "a trial; nothing is wrong", now, now)
        try:
            await self._teller.trial(name, notice)
        except SinkRefused as error:
            raise RequestError(f"sink {name!r} did not take it: {error.code}") from error

    def _watch(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tasks.append(asyncio.ensure_future(self._again(work)))

    async def _again(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """The fence of one watcher: a fault of ours is said, and it looks again."""
        while True:
            try:
                await work()
            except Exception as fault:  # noqa: BLE001
                failed = WatcherFailed(type(fault).__name__, faults.place(fault))
                self._house.base.emit(failed)
            await asyncio.sleep(_AGAIN)
