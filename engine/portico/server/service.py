"""The process: its loop, its signals, its first and its last words."""

import asyncio
import gc
import signal
import sys
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from portico import __version__
from portico.api import serve
from portico.check.site import Site
from portico.clock import SystemClock
from portico.errors import PorticoError
from portico.events import render
from portico.events.emit import Emit, Event
from portico.events.metrics import Metrics
from portico.events.operating import WatcherFailed
from portico.events.scribe import Scribe
from portico.events.site import EngineDraining, EngineStarting, EngineStopped
from portico.events.stall import StallMeter
from portico.server import faults, network, reactor
from portico.server import metrics as port
from portico.server.auditing import Auditing
from portico.server.doors import Door
from portico.server.engine import Engine
from portico.server.ground import Ground
from portico.server.launch import AGAIN
from portico.server.notify import Notifier
from portico.server.parts import Base
from portico.tls.certificates import Certificates
from portico.workers.nursery import Nursery

OK, FAILED = 0, 1
_LOOK_AGAIN = 60.0  # seconds between looks at the files of certificates
_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Service:
    """One life of the appliance."""

    def __init__(
        self,
        site: Site,
        environ: Mapping[str, str],
        clock: SystemClock,
        loop: asyncio.AbstractEventLoop,
        nursery: Nursery,
        ground: Ground,
    ) -> None:
        self._clock, self._loop, self._nursery = clock, loop, nursery
        self._metrics = Metrics()
        self._scribe = Scribe(sys.stderr)
        self._auditing = Auditing(clock, site.root / site.config.data, self._from_afar)
        self._emit = _each(
            self._metrics.event,
            render.sink(render.mode_for(sys.stderr, environ), self._scribe, clock),
            self._auditing.event,
        )
        self._reactor = reactor.started(loop)
        self._certificates = Certificates(site.root, environ, self._emit)
        self._auditing.certificates = self._certificates
        base = Base(
            clock,
            self._reactor,
            loop,
            self._emit,
            self._metrics,
            environ,
            self._certificates,
            self._auditing,
        )
        self._engine = Engine(site, environ, base, nursery, ground)
        self._site = site
        self._notifier = Notifier(environ)
        self._stall = StallMeter(loop, clock, self._metrics.stalled, self._emit)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reason = "stop"
        self._reload_due = False

    async def live(self) -> int:
        """Start, serve, drain."""
        engine = self._engine
        data = engine.storage.data
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop, number)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload)
        await self._auditing.follow(self._site.config.audit)
        self._emit(EngineStarting(__version__, str(engine.site), str(data)))
        if self._notifier.watchdog:  # now: who begins anew is being watched already
            self._task(self._watchdog())
        starting = asyncio.ensure_future(engine.start())
        stopping = asyncio.ensure_future(engine.stopping.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                await engine.storage.close(0)
                return OK
            starting.result()
            _settle_memory()
            self._serve()
            await asyncio.sleep(0)  # the control socket is there before `ready` is said
            if self._reload_due:
                self._reload()
            await self._say_ready()
            await stopping
            return await self._drain()
        except PorticoError as error:
            self._scribe.write(f"portico: {error}  [{error.code}]\n")  # behind what was logged
            await engine.storage.close(0)
            return FAILED
        finally:
            stopping.cancel()
            await self._end()

    async def _end(self) -> None:
        """What is beside the engine ends after it."""
        # The end is decided: a second SIGTERM must not turn it into a death by signal. One
        # that is to begin anew dies of it, and a SIGHUP asks for what is done anyway.
        for number in _HEARD:
            self._loop.remove_signal_handler(number)
            ends = self._again and number != signal.SIGHUP
            signal.signal(number, signal.SIG_DFL if ends else signal.SIG_IGN)
        self._stall.stop()
        await self._cancel()
        await self._nursery.stop()
        await self._auditing.stop()
        if self._reactor.threadpool is not None:  # made by the first name looked up
            self._reactor.threadpool.stop()
        self._scribe.close()

    def _serve(self) -> None:
        """The control socket, the metrics port, the watchdog: beside the engine, not in it."""
        engine = self._engine
        self._stall.start()
        self._task(self._follow_certificates())
        self._task(serve.serve(engine, serve.socket_path(engine.storage.data)))
        config, data = self._site.config, engine.storage.data
        door = Door("metrics", config.metrics.listen, self._emit)
        self._task(door.serve(partial(port.serve, self._metrics)))
        if config.api.open:
            tls = config.api.tls
            secured = None if tls is None else self._certificates.server(tls)
            door = Door("the API", config.api.listen, self._emit)
            self._task(door.serve(partial(network.serve, engine, data, secured)))

    async def _follow_certificates(self) -> None:
        """New files are used within a minute, without a reload."""
        while True:
            await asyncio.sleep(_LOOK_AGAIN)
            self._certificates.refresh()

    async def _say_ready(self) -> None:
        """`ready`, once every channel listens; systemd is told as soon as the engine runs."""
        self._notifier.say("READY=1")
        channels = self._engine.house.channels.values()
        while not all(channel.settled for channel in channels):
            if self._engine.stopping.is_set():
                return
            await asyncio.sleep(0.1)
        print("ready", flush=True)  # noqa: T201

    async def _watchdog(self) -> None:
        while True:
            self._notifier.say("WATCHDOG=1")
            await asyncio.sleep(self._notifier.watchdog)

    async def _drain(self) -> int:
        began = self._clock.monotonic()
        self._notifier.say("RELOADING=1" if self._again else "STOPPING=1")
        self._emit(EngineDraining("rename" if self._again else self._reason))
        stored = await self._engine.drain()
        self._emit(EngineStopped(self._clock.monotonic() - began))
        if self._again:
            return AGAIN
        return OK if stored else FAILED

    @property
    def _again(self) -> bool:
        """It stops to begin anew, and nobody has asked for an end."""
        return self._engine.again and self._reason == "stop"

    def _stop(self, number: int) -> None:
        self._reason = signal.Signals(number).name
        self._engine.stop()

    def _reload(self) -> None:
        """SIGHUP: at once, or once the start is over."""
        if self._engine.state == "ready":
            self._task(self._engine.reload())
        self._reload_due = self._engine.state == "starting"

    def _from_afar(self, event: Event) -> None:
        """An Emit for other threads."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._emit, event)

    def _task(self, work: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """The fence of what runs beside the engine: a fault of it is said."""
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._emit(WatcherFailed(type(fault).__name__, faults.place(fault)))

    async def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)


def _settle_memory() -> None:
    """What was built at the start stays: the collector need not walk it for every message.

    Values of the hot path hold no cycles (msgspec, gc=False) and die by their count. With the
    interpreter's own thresholds a tenth of the engine's time went into collections.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _each(*listeners: Emit) -> Emit:
    def emit(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return emit
