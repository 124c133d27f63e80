"""Our own PostgreSQL: a child process that is started, watched, restarted and stopped here.

It listens on a Unix socket only, in a private folder, and asks for a password. It has a
session of its own, so that Ctrl-C reaches the engine alone, and the kernel tells it to shut
down when the engine dies, however the engine dies.
"""

import asyncio
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import suppress

from psycopg.conninfo import make_conninfo

from portico.clock import Clock
from portico.errors import JournalError
from portico.events import journal as events
from portico.events.emit import Emit
from portico.journal import cluster, identity, postmaster
from portico.journal.binaries import Binaries
from portico.journal.folder import Folder
from portico.journal.identity import Identity

_FIRST_RETRY, _MOST_RETRY = 0.1, 5.0
_TRIM_EVERY = 60.0


def _nobody_listens(up: bool) -> None:
    """The default of `changed`."""


class Embedded:
    """The embedded PostgreSQL of one locked data folder.

    changed: called with True when it accepts connections and with False when it has died.
    Start it from the main thread: the kernel ties its life to the thread that forked it.
    """

    def __init__(
        self,
        folder: Folder,
        binaries: Binaries,
        emit: Emit,
        clock: Clock,
        changed: Callable[[bool], None] = _nobody_listens,
    ) -> None:
        self._folder = folder
        self._binaries = binaries
        self._emit = emit
        self._clock = clock
        self._changed = changed
        self._process: Process | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def version(self) -> str:
        """`18.4`."""
        return self._binaries.version_text

    @property
    def pid(self) -> int:
        """The postmaster's process id; 0 while there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else 0

    @property
    def conninfo(self) -> str:
        """How this process connects. Holds the password: never print it."""
        return make_conninfo(
            host=self._folder.socket_folder(),
            user=cluster.USER,
            password=self._folder.password(),
            dbname=cluster.DATABASE,
        )

    async def start(self) -> None:
        """Make the data folder if there is none; return when the server takes connections.

        Raises ConfigError (wrong programs for the data) and JournalUnavailable; may be called
        again after either.
        """
        try:
            who = await identity.settle(self._folder, self._binaries.postgres)
            if not cluster.exists(self._folder):
                await self._make(who)
            cluster.check_version(self._folder, self._binaries)
            self._process = await self._launch(who)
        except OSError as error:
            raise postmaster.failure(self._folder, error.strerror or "unknown") from error
        self._changed(True)
        self._watcher = asyncio.create_task(self._watch(self._process, who))

    async def stop(self) -> None:
        """Shut it down: with a checkpoint unless that takes more than a few seconds."""
        began = self._clock.monotonic()
        if self._watcher is not None:
            self._watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        if self._process is not None:
            await postmaster.end(self._process)
            self._process = None
            self._emit(events.JournalStopped(self._since(began)))

    async def _make(self, who: Identity) -> None:
        began = self._clock.monotonic()
        await postmaster.make(self._folder, self._binaries, who)
        place = str(self._folder.postgres)
        self._emit(events.JournalMade(self.version, place, self._since(began)))

    async def _launch(self, who: Identity) -> Process:
        began = self._clock.monotonic()
        await postmaster.end_leftovers(self._folder, self._clock, self._emit)
        process = await postmaster.launch(self._folder, self._binaries, who)
        seconds = self._since(began)
        self._emit(events.JournalStarted(self.version, process.pid, who.kind, seconds))
        return process

    async def _watch(self, process: Process, who: Identity) -> None:
        """Start it again whenever it dies, and keep its log small."""
        while True:
            try:
                status = await asyncio.wait_for(process.wait(), _TRIM_EVERY)
            except TimeoutError:
                cluster.trim_log(self._folder)
                continue
            self._emit(events.JournalDied(process.pid, status))
            self._changed(False)
            process = self._process = await self._revive(who)
            self._changed(True)

    async def _revive(self, who: Identity) -> Process:
        """Try until it runs, with growing pauses."""
        began, tries, pause = self._clock.monotonic(), 1, _FIRST_RETRY
        while True:
            try:
                process = await self._launch(who)
            except JournalError as error:
                self._emit(events.JournalUnreachable(str(error), pause))
            except OSError as error:
                reason = f"the data folder: {error.strerror}"
                self._emit(events.JournalUnreachable(reason, pause))
            else:
                self._emit(events.JournalRestarted(process.pid, tries, self._since(began)))
                return process
            await asyncio.sleep(pause)
            tries, pause = tries + 1, min(pause * 2, _MOST_RETRY)

    def _since(self, began: float) -> float:
        return self._clock.monotonic() - began
