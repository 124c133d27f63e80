"""The folder destination: `type: folder`, `path: DIR`; each Delivery becomes a file.

Files are written by a few threads, never by the reactor's: an fsync takes as long as it takes.
"""

import asyncio
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from portico import ids
from portico.destinations import placing
from portico.destinations.contract import DestinationType, Done, Surroundings
from portico.destinations.filing import FileTarget
from portico.model.delivery import Answered, Attempt, Delivery

_FULL = (errno.ENOSPC, errno.EDQUOT)


class FolderTarget(FileTarget):
    """Options of a folder destination. path: relative to the site, made when missing."""


class FolderDestination:
    """One folder: a Destination. spec: `options` is a FolderTarget."""

    def __init__(self, name: str, spec: Any, around: Surroundings) -> None:
        self.width = 4
        self._root = around.root
        self._seconds = around.clock.monotonic
        self._options: FolderTarget = spec.options
        self._pool = ThreadPoolExecutor(self.width, thread_name_prefix=f"folder-{name}")
        self._writing: dict[asyncio.Future[Attempt], Done] = {}

    async def start(self) -> None:
        """Nothing to open: a folder that is away is no error here."""

    def deliver(self, delivery: Delivery, done: Done) -> None:
        """Write it in a thread."""
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(self._pool, self._write, self._options, delivery)
        self._writing[writing] = done
        writing.add_done_callback(self._written)

    def adopt(self, spec: object) -> bool:
        """The next file goes by the changed options."""
        options = getattr(spec, "options", None)
        if isinstance(options, FolderTarget):
            self._options = options
            return True
        return False

    async def stop(self, grace: float) -> None:
        """Let files be finished; a thread in a system call cannot be stopped, only left."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=grace)
        self._pool.shutdown(wait=False, cancel_futures=True)
        left, self._writing = self._writing, {}
        for done in left.values():
            done(Attempt(Answered.UNCLEAR, "closed", detail="the engine stopped meanwhile"))

    def _written(self, writing: "asyncio.Future[Attempt]") -> None:
        done = self._writing.pop(writing, None)
        if done is None or writing.cancelled():
            return
        error = writing.exception()
        if error is not None:
            done(Attempt(Answered.UNCLEAR, "closed", detail=type(error).__name__))
        else:
            done(writing.result())

    def _write(self, options: FolderTarget, delivery: Delivery) -> Attempt:
        """In a thread. The detail holds no name: names can be made of patient data."""
        began = self._seconds()
        owner = f"{ids.text(delivery.signal)}-{delivery.number}"
        name = placing.safe_name(delivery.file) or f"{owner}.hl7"
        folder: Path = self._root / options.path
        try:
            placed = placing.place(folder, name, delivery.content, owner, options.exists)
        except FileExistsError:
            detail = "a file of that name exists"
            return Attempt(Answered.ANSWERED, "unsendable", detail=detail)
        except OSError as error:
            code = "disk_full" if error.errno in _FULL else "no_connection"
            detail = f"{options.path}: {os.strerror(error.errno or errno.EIO)}"
            return Attempt(Answered.NO_CONNECTION, code, detail=detail)
        micros = int((self._seconds() - began) * 1e6)
        return Attempt(Answered.ANSWERED, "written", placed.encode(), micros)


FOLDER = DestinationType(
    name="folder",
    summary="files in a folder of this machine, each whole from the moment it is seen",
    options=FolderTarget,
    build=FolderDestination,
)
