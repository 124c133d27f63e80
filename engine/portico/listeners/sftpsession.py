"""One SFTP session of a user: requests in, answers out, over an Inbox.

The answer to CLOSE (to RENAME, for a temporary name) leaves after the journal's commit (P1);
when the journal could not store, it is a failure, and the client knows that it has to send the
file again. Some clients do not look at that answer (paramiko) but look whether the file is
there: one that was not taken is not. Source: draft-ietf-secsh-filexfer-02.
"""

import asyncio
import posixpath
import stat
from collections.abc import AsyncIterator
from typing import Any, Protocol

import asyncssh
from asyncssh.constants import FXF_TRUNC, FXF_WRITE

from portico.events.emit import Event
from portico.listeners.contract import Fetching
from portico.listeners.inbox import Inbox, NoRoom, Upload, UploadTray, temporary
from portico.listeners.reading import FileReading
from portico.listeners.tray import FileSeen

_FOLDER, _FILE = stat.S_IFDIR | 0o700, stat.S_IFREG | 0o600


class SessionOwner(Protocol):
    """What a session needs of its listener."""

    channel: str
    fetching: Fetching
    going: asyncio.Event

    def now(self) -> int:
        """Wall clock, nanoseconds."""
        ...

    def inbox(self, user: str) -> Inbox:
        """What this user sees."""
        ...

    def emit(self, event: Event) -> None:
        """Say what happened."""
        ...

    def no_room(self, user: str, peer: str) -> None:
        """An upload was refused, since too much is not whole."""
        ...

    def over(self, user: str, peer: str, unfinished: int) -> None:
        """A session ended; so many uploads were never whole."""
        ...

    def heard(self, connection: Any) -> None:
        """A request came."""
        ...


class UploadSession(asyncssh.SFTPServer):
    """One session. Every path is looked up in its Inbox."""

    def __init__(self, owner: SessionOwner, channel: Any) -> None:
        super().__init__(channel)
        self._owner = owner
        connection = channel.get_connection()
        self._user = str(channel.get_extra_info("username"))
        self._peer = str(connection.get_extra_info("peername")[0])
        self._at = connection
        self._inbox = owner.inbox(self._user)

    def realpath(self, path: bytes, *_: Any) -> bytes:
        """Where a path leads."""
        self._owner.heard(self._at)
        return self._inbox.path(path).encode()

    async def open(self, path: bytes, pflags: int, attrs: Any) -> Upload:
        """A file to be written; what has been written cannot be read back."""
        self._owner.heard(self._at)
        if not pflags & FXF_WRITE:
            raise asyncssh.SFTPPermissionDenied("files are only taken here")
        await self._owner.going.wait()
        fresh = bool(pflags & FXF_TRUNC)
        return self._inbox.begin(self._inbox.path(path), self._owner.now(), fresh)

    def write(self, file: Any, offset: int, data: bytes) -> int:
        """A piece of it."""
        self._owner.heard(self._at)
        try:
            self._inbox.write(file, offset, data)
        except NoRoom:
            self._owner.no_room(self._user, self._peer)
            raise
        return len(data)

    def read(self, file: Any, offset: int, size: int) -> bytes:
        """Nothing is read back."""
        raise asyncssh.SFTPPermissionDenied("files are only taken here")

    async def close(self, file: Any) -> None:
        """The file is whole: Signals, then the answer. Not when the client has just gone."""
        self._owner.heard(self._at)
        file.open = 0
        path = next((at for at, one in self._inbox.files.items() if one is file), "")
        if self._gone() or not path:
            return
        if file.broken:
            self._inbox.forget(path)
            raise asyncssh.SFTPFailure("the file was not taken")
        if not temporary(path):
            await self._store(path, file)

    async def rename(self, old: bytes, new: bytes, *_: Any) -> None:
        """A temporary file gets its name: now it is whole."""
        await self._renamed(old, new, replace=False)

    async def posix_rename(self, old: bytes, new: bytes) -> None:
        """The same over a file that is there."""
        await self._renamed(old, new, replace=True)

    def stat(self, path: bytes, *_: Any) -> asyncssh.SFTPAttrs:
        """What a client may know of a path."""
        self._owner.heard(self._at)
        return self._attributes(self._inbox.path(path))

    lstat = stat

    def fstat(self, file_obj: Any) -> asyncssh.SFTPAttrs:
        """Of an open file."""
        return _attributes_of(file_obj)

    def setstat(self, path: bytes, attrs: Any, *_: Any) -> None:
        """Modes and times are taken note of by nobody."""

    lsetstat = setstat

    def fsetstat(self, file: Any, attrs: Any) -> None:
        """The same."""

    def fsync(self, file: Any) -> None:
        """The journal's commit is what counts."""

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        """What lies in a folder."""
        self._owner.heard(self._at)
        folder = self._inbox.path(path)
        inside = self._inbox.names(folder)
        for name in (b".", b".."):
            yield asyncssh.SFTPName(name, attrs=self._attributes(folder))
        for one in inside:
            name = posixpath.basename(one).encode()
            yield asyncssh.SFTPName(name, attrs=self._attributes(one))

    def mkdir(self, path: bytes, attrs: Any) -> None:
        """For this session."""
        self._inbox.make(self._inbox.path(path))

    def remove(self, path: bytes) -> None:
        """Out of sight; what is stored stays stored."""
        where = self._inbox.path(path)
        if where not in self._inbox.files:
            raise asyncssh.SFTPNoSuchFile("there is no such file")
        self._inbox.forget(where)

    def rmdir(self, path: bytes) -> None:
        """Never."""
        raise asyncssh.SFTPPermissionDenied("folders stay")

    def readlink(self, path: bytes) -> bytes:
        """There are none."""
        raise asyncssh.SFTPNoSuchFile("there are no links")

    def symlink(self, old: bytes, new: bytes) -> None:
        """Never."""
        raise asyncssh.SFTPPermissionDenied("there are no links")

    def link(self, old: bytes, new: bytes) -> None:
        """Never."""
        raise asyncssh.SFTPPermissionDenied("there are no links")

    def statvfs(self, path: bytes) -> Any:
        """Nothing of our disk is told."""
        raise asyncssh.SFTPOpUnsupported("not told")

    def exit(self) -> None:
        """The session is over."""
        self._owner.over(self._user, self._peer, self._inbox.end())

    def _gone(self) -> bool:
        """asyncssh closes the files of a client that hangs up in the middle of one, too: what
        such a client did not close itself is no whole file."""
        half_closed = getattr(self.channel, "_recv_state", "open") != "open"
        return half_closed or self.channel.is_closing()

    async def _renamed(self, old: bytes, new: bytes, replace: bool) -> None:
        self._owner.heard(self._at)
        source, target = self._inbox.path(old), self._inbox.path(new)
        upload = self._inbox.files.get(source)
        if upload is None:
            raise asyncssh.SFTPNoSuchFile("there is no such file")
        if posixpath.dirname(target) not in self._inbox.folders or upload.open:
            raise asyncssh.SFTPFailure("it cannot be renamed so")
        if target in self._inbox.files or target in self._inbox.folders:
            if not replace or target in self._inbox.folders:
                raise asyncssh.SFTPFailure("the name is taken")
        if upload.spool is not None and not temporary(target):
            await self._store(target, upload)
        if target != source:
            self._inbox.forget(target)
            self._inbox.files[target] = self._inbox.files.pop(source, upload)

    async def _store(self, path: str, upload: Upload) -> None:
        """Hand it up and wait for the commit. Raises SFTPFailure when it was not taken; then it
        is not there any more, and no rename can make it look so."""
        await self._owner.going.wait()
        folder = posixpath.dirname(path).rstrip("/")
        tray = UploadTray(f"{self._user}@{self._peer}{folder}", upload)
        found = FileSeen(posixpath.basename(path), upload.size, self._owner.now())
        reading = FileReading(tray, found, self._owner.fetching, self._owner.now)
        taken = False
        try:
            await reading.open()
            await reading.hand_up(self._owner.going)
            await reading.settled()
            taken = reading.whole and not reading.refused
        finally:
            self._inbox.free(upload)
            if not taken:
                self._inbox.lose(upload)
        if not reading.whole:
            fault = reading.fault or "not stored; send it again"
            raise asyncssh.SFTPFailure(str(fault))
        for event in reading.events(self._owner.channel):
            self._owner.emit(event)
        if reading.refused:
            raise asyncssh.SFTPFailure("the content was refused")

    def _attributes(self, path: str) -> asyncssh.SFTPAttrs:
        if path in self._inbox.folders:
            return asyncssh.SFTPAttrs(size=0, permissions=_FOLDER, atime=0, mtime=0)
        upload = self._inbox.files.get(path)
        if upload is None:
            raise asyncssh.SFTPNoSuchFile("there is no such file")
        return _attributes_of(upload)


def _attributes_of(upload: Upload) -> asyncssh.SFTPAttrs:
    seconds = upload.changed // 1_000_000_000
    return asyncssh.SFTPAttrs(size=upload.size, permissions=_FILE, atime=seconds, mtime=seconds)
