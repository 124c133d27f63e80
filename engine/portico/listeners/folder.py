"""The folder source: `source: {type: folder, path: DIR}`; each file becomes Signals.

The folder is looked at every `every`, and as soon as the system says that a file was closed
or moved there (inotify; it is silent about what other machines write to a network folder).
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar

from twisted.python.filepath import FilePath

from portico.listeners.contract import ListenerType, Receive, Surroundings
from portico.listeners.local import LocalFolder
from portico.listeners.poller import DEFAULTS, Poller
from portico.listeners.tray import FileSeen
from portico.spec.fetching import PollSource

T = TypeVar("T")

_THREADS = 4
_BEFORE_AGAIN = 0.05  # seconds that wake-ups are gathered


class FolderSource(PollSource):
    """Options of a folder source. path: relative to the site."""


class FolderTray:
    """A LocalFolder off the reactor's thread, with a wake-up: a Tray."""

    def __init__(self, channel: str, source: FolderSource, around: Surroundings) -> None:
        self._path = around.root / source.path
        self.where = source.path.rstrip("/")
        self._folder = LocalFolder(self._path, source, self.where)
        self._reactor = around.reactor
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"folder-{channel}")
        self._woken = asyncio.Event()
        self._watch: Any = None

    async def open(self, mark: str) -> None:
        """Open the folder, and listen for what happens in it."""
        await self._run(self._folder.open, mark)
        if self._watch is None:
            self._watch = _watch(self._path, self._reactor, self._woken.set)

    async def left(self) -> list[FileSeen]:
        """What an earlier life had claimed."""
        return await self._run(self._folder.left)

    async def look(self) -> AsyncIterator[list[FileSeen]]:
        """Every regular file."""
        self._woken.clear()
        chunks = self._folder.look()
        while (chunk := await self._run(next, chunks, None)) is not None:
            yield chunk

    async def take(self, found: FileSeen) -> BinaryIO | None:
        """Claim and open it."""
        return await self._run(self._folder.take, found)

    async def give_back(self, found: FileSeen) -> None:
        """Undo the claim."""
        await self._run(self._folder.give_back, found)

    async def reply(self, found: FileSeen, content: BinaryIO) -> None:
        """Place the answer to it."""
        await self._run(self._folder.reply, found, content)

    async def finish(self, found: FileSeen) -> None:
        """Do what `after` says."""
        await self._run(self._folder.finish, found)

    async def wait(self, seconds: float) -> None:
        """Until then, or until a file was closed or moved into the folder."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)
            await asyncio.sleep(_BEFORE_AGAIN)

    async def close(self) -> None:
        """Close the folder. A thread in a system call cannot be stopped, only left."""
        if self._watch is not None:
            self._watch.stopReading()
            self._watch.connectionLost(None)
            self._watch = None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._run(self._folder.close), 5.0)

    def end(self) -> None:
        """No thread is needed any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)


def _watch(path: Any, reactor: Any, woken: Callable[[], None]) -> Any:
    """Inotify on the folder, or None where there is none, or no more of it (the system bounds
    watches and instances): then `every` must do."""
    if reactor is None:
        return None
    try:
        from twisted.internet import inotify  # fails to import elsewhere than on Linux
    except ImportError:
        return None
    notifier: Any = None
    try:
        notifier = inotify.INotify(reactor)  # type: ignore[no-untyped-call]
        notifier.watch(
            FilePath(str(path)),
            inotify.IN_CLOSE_WRITE | inotify.IN_MOVED_TO,
            callbacks=[lambda *_: woken()],
        )
    except (inotify.INotifyError, OSError):
        if notifier is not None:
            notifier.connectionLost(None)
        return None
    notifier.startReading()
    return notifier


def _build(channel: str, source: Any, receive: Receive, around: Surroundings) -> Poller:
    return Poller(channel, source, FolderTray(channel, source, around), around)


FOLDER = ListenerType(
    name="folder",
    summary="files of a folder of this machine, each taken once",
    options=FolderSource,
    build=_build,
    defaults=DEFAULTS,
)
