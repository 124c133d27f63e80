"""The engine's hold on the zygote: start it, ask it for workers, hear how they end.

The zygote is started by execution before the reactor runs (a fork of the engine would keep
its locks and sockets), and again whenever it ends.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import msgspec

from portico.clock import Clock
from portico.errors import ConfigError, WorkerError
from portico.wire import pipe
from portico.workers import limits
from portico.workers.zygote import (
    Exited,
    FromZygote,
    Kill,
    Nudge,
    Ready,
    Spawn,
    Spawned,
    ToZygote,
)

_READ = 64 << 10
_HEADER_LIMIT = 64 << 10
_STEADY_SECONDS = 10.0  # one that lived so long is replaced at once
_FIRST_DELAY, _MOST_DELAY = 0.5, 30.0
_LAST_WORDS_SECONDS = 2.0

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(FromZygote).decode


class Kin(Protocol):
    """Who hears of one worker process."""

    def spawned(self, pid: int) -> None:
        """The fork succeeded."""
        ...

    def exited(self, code: int, cpu: float) -> None:
        """The process is gone. code: its exit code, or the signal's number below zero; cpu:
        seconds that it used."""
        ...

    def orphaned(self) -> None:
        """The zygote ended, and the process with it."""
        ...


class Nursery:
    """One zygote at a time; `lost` is told the pid of one that ended, and in how many
    seconds the next one starts.

    preload: modules loaded once for all workers, beside our own; never the site's.
    environ: the engine's environment, of which the zygote sees `limits.environment`.
    """

    def __init__(
        self, clock: Clock, preload: Sequence[str] = (), environ: Mapping[str, str] = os.environ
    ) -> None:
        self._clock = clock
        self._preload = tuple(preload)
        self._environ = limits.environment(environ)
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._decoder = pipe.PipeDecoder(_HEADER_LIMIT, 0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: asyncio.Future[None] | None = None
        self._there = asyncio.Event()  # a zygote takes words
        self._tokens = 0
        self._born = 0.0
        self._delay = 0.0
        self._again: asyncio.TimerHandle | None = None
        self._kin: dict[int, Kin] = {}
        self._lost: Callable[[int, float], None] = _unheard

    @property
    def pid(self) -> int:
        """The zygote's process id; 0 while there is none."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Execute the zygote. Returns at once: it loads while the engine does."""
        ours, its = socket.socketpair()
        with its:
            # S603: our own interpreter and module; the other words are the site's to choose
            self._process = subprocess.Popen(  # noqa: S603
                [
                    *(sys.executable, "-P", "-m", "portico.workers.zygote"),
                    *(str(its.fileno()), *self._preload),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(its.fileno(),),
                env=self._environ,
                start_new_session=True,
            )
        ours.setblocking(False)
        self._control = ours
        self._there.set()
        self._decoder = pipe.PipeDecoder(_HEADER_LIMIT, 0)
        self._born = self._clock.monotonic()
        if self._loop:
            self._loop.add_reader(ours, self._listen)

    async def attach(self, lost: Callable[[int, float], None]) -> None:
        """Hear the zygote on the running loop, once it has loaded what it preloads.

        Raises ConfigError when a module of `preload` cannot be imported.
        """
        assert self._control is not None, "start comes first"
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._ready = self._loop.create_future()
        self._loop.add_reader(self._control, self._listen)
        await self._ready

    async def there(self) -> None:
        """Until a zygote that ended is replaced."""
        await self._there.wait()

    def spawn(self, kin: Kin) -> tuple[int, socket.socket]:
        """Ask for a worker: its token and our end of its socket. Raises WorkerError."""
        self._tokens += 1
        try:
            ours, its = socket.socketpair()
        except OSError as error:
            raise WorkerError("no descriptors are left for a worker's pipe") from error
        ours.setblocking(False)
        with its:
            try:
                self._say(Spawn(self._tokens), its.fileno())
            except WorkerError:
                ours.close()
                raise
        self._kin[self._tokens] = kin
        return self._tokens, ours

    def kill(self, token: int) -> None:
        """End a worker and its process group; `exited` follows, or `orphaned`."""
        try:
            self._say(Kill(token))
        except WorkerError:  # the zygote ends, and with it the worker
            return

    def nudge(self, token: int) -> None:
        """Have a worker look at its pipe in the middle of an item."""
        with suppress(WorkerError):  # the zygote ends, and with it the worker
            self._say(Nudge(token))

    async def stop(self) -> None:
        """End the zygote and with it every worker."""
        if self._again:
            self._again.cancel()
        process, self._process = self._process, None
        self._hang_up()
        if process is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, _see_out, process)

    def _say(self, message: ToZygote, *descriptors: int) -> None:
        """One small write; a zygote that leaves hundreds of them unread is replaced."""
        if self._control is None:
            raise WorkerError("the parent of the workers is being replaced")
        try:
            socket.send_fds(self._control, [pipe.encode(_encode(message))], list(descriptors))
        except OSError as error:
            self._there.clear()
            if self._process:
                self._process.kill()
            raise WorkerError("the parent of the workers does not listen") from error

    def _listen(self) -> None:
        assert self._control is not None
        try:
            data = self._control.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        for frame in self._decoder.feed(data):
            self._hear(_decode(frame.header))
        if not data:
            self._replace()

    def _hear(self, message: FromZygote) -> None:
        if isinstance(message, Spawned):
            self._kin[message.token].spawned(message.pid)
        elif isinstance(message, Exited):
            self._kin.pop(message.token).exited(message.code, message.cpu)
        elif self._ready and not self._ready.done():
            self._settle(self._ready, message)

    @staticmethod
    def _settle(ready: asyncio.Future[None], message: Ready) -> None:
        if message.missing:
            names = ", ".join(message.missing)
            ready.set_exception(ConfigError(f"workers.preload: cannot import {names}"))
        else:
            ready.set_result(None)

    def _replace(self) -> None:
        """The zygote ended: tell, and start the next one, later and later if none lives."""
        process, self._process = self._process, None
        self._hang_up()
        if process is None or self._loop is None:
            return
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LAST_WORDS_SECONDS)
        lived = self._clock.monotonic() - self._born
        steady = lived >= _STEADY_SECONDS
        self._delay = 0.0 if steady else min(2 * self._delay or _FIRST_DELAY, _MOST_DELAY)
        if self._ready and not self._ready.done():
            self._ready.set_exception(ConfigError("the parent of the workers does not start"))
            return
        self._again = self._loop.call_later(self._delay, self._start_again, self._loop)
        self._lost(process.pid, self._delay)
        orphans, self._kin = self._kin, {}
        for kin in orphans.values():
            kin.orphaned()

    def _start_again(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self.start()
        except OSError:  # no process or no descriptor to be had now
            self._again = loop.call_later(_MOST_DELAY, self._start_again, loop)

    def _hang_up(self) -> None:
        self._there.clear()
        if self._control is not None:
            if self._loop:
                self._loop.remove_reader(self._control)
            self._control.close()
            self._control = None


def _unheard(*_: object) -> None:
    """Nobody listens yet."""


def _see_out(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_LAST_WORDS_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
