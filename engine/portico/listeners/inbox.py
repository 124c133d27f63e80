"""What one SFTP session sees: folders to put files into, and the files that it has put there.

No name that a client gives ever reaches the file system: uploads are spooled without a name in
the user's folder, and paths exist in this table alone, so that there is nothing to leave (F7).
A file becomes Signals when it is closed; under a temporary name (`a.hl7.part`, `.a.hl7`) when
it is renamed. What has been stored is still listed while the session lasts, up to some thousand
names, for clients that look whether their file arrived.
"""

import errno
import os
import posixpath
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import asyncssh

from portico.listeners.allowance import Allowance
from portico.listeners.sieve import unfinished
from portico.listeners.tray import FileSeen

_IN_MEMORY = 256 << 10  # bytes of an upload that are kept in memory
_ALL_IN_MEMORY = 64 << 20  # bytes of all uploads, from which on nothing more is
_MOST = 10_000  # names of one session, folders and files
_MOST_OPEN = 16  # uploads that are open at a time
_MOST_WAITING = 256  # uploads of one session whose bytes wait for a name
_DEPTH = 4  # levels of folders that are shown


@dataclass(slots=True)
class Upload:
    """A file of this session. spool: its bytes, None once they are stored or dropped; held:
    how many of them count against the user's allowance.
    """

    name: str
    changed: int
    spool: Any
    size: int = 0
    open: int = 0
    broken: bool = False
    held: int = 0

    def write(self, offset: int, data: bytes, on_disk: bool) -> None:
        """Write there. Beyond what memory may hold the disk gets it, holes and all: nothing
        is filled up to a far offset."""
        if self.spool is None:
            raise OSError(errno.ESTALE, "")
        if on_disk or offset + len(data) > _IN_MEMORY:
            self.spool.rollover()
        self.spool.seek(offset)
        self.spool.write(data)
        self.size = max(self.size, offset + len(data))

    def drop(self) -> None:
        """Its bytes are needed no more."""
        if self.spool is not None:
            with suppress(OSError):  # the last of them may have found no room
                self.spool.close()
            self.spool = None


class UploadTray:
    """An upload as the place that a Reading takes it from."""

    def __init__(self, where: str, upload: Upload) -> None:
        self.where, self._upload = where, upload

    async def take(self, found: FileSeen) -> BinaryIO | None:
        """Its bytes, which are the reading's from now on."""
        spool: BinaryIO | None = self._upload.spool
        if spool is not None:
            spool.seek(0)
        self._upload.spool = None
        return spool

    async def give_back(self, found: FileSeen) -> None:
        """The client sends it again."""

    async def reply(self, found: FileSeen, content: BinaryIO) -> None:
        """None is asked for: the answer to CLOSE is all that SFTP has."""


def temporary(path: str) -> bool:
    """Whether a file of that name will be renamed before it is whole."""
    name = posixpath.basename(path)
    return unfinished(name) or name.startswith(".")


class NoRoom(asyncssh.SFTPQuotaExceeded):
    """Uploads that are not stored yet fill what the user, or all users, may have."""


class Inbox:
    """The table of one session. folder: the user's, where uploads are spooled; allowance: what
    all sessions share.
    """

    def __init__(self, user: str, folder: Path, limit: int, allowance: Allowance) -> None:
        self._user, self._folder, self._limit = user, folder, limit
        self._allowance = allowance
        self.folders = {"/", *_below(folder)}
        self.files: dict[str, Upload] = {}

    def path(self, raw: bytes) -> str:
        """The path that a client means; `..` ends at the top."""
        return posixpath.normpath("/" + raw.decode("utf-8", "backslashreplace").lstrip("/"))

    def begin(self, path: str, now: int, fresh: bool) -> Upload:
        """Open a file for writing. Raises SFTPError."""
        if path in self.folders:
            raise asyncssh.SFTPFailure("that is a folder")
        if posixpath.dirname(path) not in self.folders:
            raise asyncssh.SFTPNoSuchFile("there is no such folder")
        if not self._room():
            raise asyncssh.SFTPFailure("too many files in one session; connect again")
        if sum(1 for one in self.files.values() if one.open) >= _MOST_OPEN:
            raise asyncssh.SFTPFailure("too many files are open")
        if sum(1 for one in self.files.values() if one.spool is not None) >= _MOST_WAITING:
            raise asyncssh.SFTPFailure("too many files wait for their names; rename them")
        upload = self.files.get(path)
        if upload is not None and upload.open:
            raise asyncssh.SFTPFailure("that file is open")
        if upload is None or fresh or upload.spool is None:
            if upload is not None:
                if not fresh:
                    raise asyncssh.SFTPFailure("that file is stored; it cannot be changed")
                self._drop(upload)
            spool = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._folder))
            upload = self.files[path] = Upload(posixpath.basename(path), now, spool)
        upload.open = 1
        return upload

    def _room(self) -> bool:
        """For one more name: what was stored first makes it, sessions last for months."""
        if len(self.files) + len(self.folders) < _MOST:
            return True
        done = (at for at, one in self.files.items() if one.spool is None and not one.open)
        return self.files.pop(next(done, ""), None) is not None

    def write(self, upload: Upload, offset: int, data: bytes) -> None:
        """Write within the limits. Raises SFTPError; what cannot be whole is dropped then."""
        try:
            self._fit(upload, offset + len(data))
            upload.write(offset, data, self._allowance.total > _ALL_IN_MEMORY)
        except OSError as error:
            self._break(upload)
            raise asyncssh.SFTPFailure(os.strerror(error.errno or 0)) from None
        except asyncssh.SFTPError:
            self._break(upload)
            raise

    def _fit(self, upload: Upload, end: int) -> None:
        """Room up to there. Raises SFTPError."""
        if upload.broken:
            raise asyncssh.SFTPFailure("the file was not taken")
        if end > self._limit:
            raise asyncssh.SFTPFailure(f"a file may hold {self._limit} bytes")
        more = max(0, end - upload.held) if upload.spool is not None else 0
        if not self._allowance.take(self._user, more):
            raise NoRoom("too much waits here that is not whole; close, rename or remove it")
        upload.held += more

    def _break(self, upload: Upload) -> None:
        upload.broken = True
        self._drop(upload)

    def _drop(self, upload: Upload) -> None:
        """Its bytes go, unless they are being stored."""
        if upload.spool is not None:
            upload.drop()
            self.free(upload)

    def free(self, upload: Upload) -> None:
        """Its bytes are stored or gone."""
        self._allowance.give(self._user, upload.held)
        upload.held = 0

    def forget(self, path: str) -> None:
        """A file is not listed any more."""
        upload = self.files.pop(path, None)
        if upload is not None:
            self._drop(upload)

    def lose(self, upload: Upload) -> None:
        """The same for one that was not taken, whatever it is called by now."""
        for path in [at for at, one in self.files.items() if one is upload]:
            self.forget(path)

    def names(self, folder: str) -> list[str]:
        """What lies in a folder. Raises SFTPError."""
        if folder not in self.folders:
            raise asyncssh.SFTPNoSuchFile("there is no such folder")
        inside = (*self.folders, *self.files)
        return [one for one in inside if one != "/" and posixpath.dirname(one) == folder]

    def make(self, folder: str) -> None:
        """A folder of this session alone. Raises SFTPError."""
        if folder in self.folders or folder in self.files:
            raise asyncssh.SFTPFailure("the name is taken")
        if posixpath.dirname(folder) not in self.folders:
            raise asyncssh.SFTPNoSuchFile("there is no such folder")
        if not self._room():
            raise asyncssh.SFTPFailure("too many folders")
        self.folders.add(folder)

    def end(self) -> int:
        """The session is over; how many uploads were never whole."""
        left = [one for one in self.files.values() if one.spool is not None]
        for one in left:
            self._drop(one)
        return len(left)


def _below(folder: Path) -> list[str]:
    """Folders that somebody made there, for partners who `cd` to one; links are none."""
    found: list[str] = []
    for top, names, _ in os.walk(folder):
        here = Path(top).relative_to(folder)
        names[:] = [] if len(here.parts) >= _DEPTH - 1 else [n for n in names if n[0] != "."]
        for name in names:
            if not os.path.islink(os.path.join(top, name)) and len(found) < _MOST // 10:
                found.append("/" + (here / name).as_posix())
    return found
