"""A folder of this machine, as a place to take files from. Blocking: called in threads.

Every step is relative to the open folder and follows no link, so that no name can lead out of
it (F7); what is no regular file is not seen. A claim is a rename into a hidden folder beside
the files (F2): of two engines one succeeds, and after a crash the files lie where their owner
looks first.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from portico.errors import FileLeft, SourceAway
from portico.language import filename
from portico.listeners.tray import CHUNK, FileSeen, away, claim_folder, reply_name
from portico.spec.fetching import PollSource

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LocalFolder:
    """One folder. after: what becomes of its files; suffix: of their markers, replies: where
    answers to them go, or empty.
    """

    def __init__(self, path: Path, source: PollSource, where: str) -> None:
        self._path, self._where = path, where
        self._after, self._suffix = source.after, source.ready.suffix
        self._replying = source.replies
        self._here = self._claims = self._done = self._replies = -1
        self._claim_name = ""
        self._closing = Lock()

    def open(self, mark: str) -> None:
        """Open the folder, or again when another lies there now. Raises SourceAway."""
        self._claim_name = claim_folder(mark)
        try:
            if self._here >= 0 and self._same():
                return
            self.close()
            self._here = os.open(self._path, _FOLDER)
            if self._after.way != "keep":
                self._claims = self._inner(self._claim_name, 0o700)
            if self._after.way == "move":
                self._done = self._inner(self._after.path, 0o750)
            if self._replying:
                self._replies = self._inner(self._replying, 0o750)
        except OSError as error:
            self.close()
            raise self._away(error) from None
        if self._done >= 0 and os.fstat(self._done).st_dev != os.fstat(self._here).st_dev:
            self.close()
            raise SourceAway(
                f"{self._where}: `after: {{move: {self._after.path}}}` leads to another file "
                "system; move to a folder on the same one"
            )

    def left(self) -> list[FileSeen]:
        """What lies among our claims."""
        if self._claims < 0:
            return []
        with os.scandir(self._claims) as entries:
            found = [one for entry in entries if (one := _found(entry, claimed=True))]
        return sorted(found, key=lambda one: (one.changed, one.name))

    def look(self) -> Iterator[list[FileSeen]]:
        """Every regular file, a chunk at a time."""
        try:
            with os.scandir(self._here) as entries:
                while chunk := list(islice(entries, CHUNK)):
                    yield [one for entry in chunk if (one := _found(entry))]
        except OSError as error:
            raise self._away(error) from None

    def take(self, found: FileSeen) -> BinaryIO | None:
        """Claim and open it; None when it is gone, taken, or not what was seen."""
        at = self._here if self._claims < 0 else self._claims
        if self._claims >= 0 and not found.claimed and not self._claim(found.name):
            return None
        try:
            number = os.open(found.name, _FILE, dir_fd=at)
        except OSError as error:
            self.give_back(found)
            if isinstance(error, FileNotFoundError):
                return None
            raise FileLeft("unreadable", found.size, os.strerror(error.errno or 0)) from None
        status = os.fstat(number)
        if stat.S_ISREG(status.st_mode) and _as_seen(status, found):
            return os.fdopen(number, "rb")
        os.close(number)
        self.give_back(found)
        return None

    def give_back(self, found: FileSeen) -> None:
        """Undo the claim; where another file has the name by now, it is found among ours."""
        if self._claims >= 0:
            with suppress(OSError):
                _move(self._claims, self._here, found.name, (found.name,))

    def reply(self, found: FileSeen, content: BinaryIO) -> None:
        """Temporary name, flushed, then renamed; then the folder is flushed."""
        name = reply_name(found.name)
        part = f".{name}.part"
        try:
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=self._replies)
            with os.fdopen(os.open(part, _NEW, 0o640, dir_fd=self._replies), "wb") as file:
                shutil.copyfileobj(content, file)
                file.flush()
                os.fsync(file.fileno())
            os.rename(part, name, src_dir_fd=self._replies, dst_dir_fd=self._replies)
            os.fsync(self._replies)
        except OSError as error:
            raise FileLeft("unfinished", found.size, os.strerror(error.errno or 0)) from None

    def finish(self, found: FileSeen) -> None:
        """Marker first, so that a file that comes under the name waits for its own."""
        if self._after.way == "keep":
            return
        try:
            if self._suffix:
                with suppress(FileNotFoundError):
                    os.unlink(found.name + self._suffix, dir_fd=self._here)
            if self._after.way == "delete":
                os.unlink(found.name, dir_fd=self._claims)
            else:
                _move(self._claims, self._done, found.name, filename.candidates(found.name))
        except FileNotFoundError:
            return  # somebody has taken it away: that ends it, too
        except OSError as error:
            raise FileLeft("unfinished", found.size, os.strerror(error.errno or 0)) from None

    def close(self) -> None:
        """Close the folders, each once; the one of our claims goes when it is empty."""
        with self._closing:
            here, claims, done = self._here, self._claims, self._done
            replies = self._replies
            self._here = self._claims = self._done = self._replies = -1
        if claims >= 0:
            with suppress(OSError):
                os.rmdir(self._claim_name, dir_fd=here)
        for number in (here, claims, done, replies):
            if number >= 0:
                os.close(number)

    def _same(self) -> bool:
        """The path still leads to the folder that is open, and our own lie in it."""
        there, here = os.stat(self._path), os.fstat(self._here)
        own = (self._claims, self._done, self._replies)
        links = [os.fstat(one).st_nlink for one in own if one >= 0]
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) and all(links)

    def _claim(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._claims, follow_symlinks=False)
        except FileNotFoundError:
            pass
        else:
            return False  # an earlier file of that name is not finished yet
        try:
            os.rename(name, name, src_dir_fd=self._here, dst_dir_fd=self._claims)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise FileLeft("unclaimed", 0, os.strerror(error.errno or 0)) from None
        return True

    def _inner(self, path: str, mode: int) -> int:
        """A folder below, or beside, made when missing."""
        with suppress(FileExistsError):
            os.mkdir(path, mode, dir_fd=self._here)
        return os.open(path, _FOLDER, dir_fd=self._here)

    def _away(self, error: OSError) -> SourceAway:
        if isinstance(error, PermissionError) and self._after.way != "keep":
            return SourceAway(
                f"{self._where}: Permission denied; `after: {self._after.way}` needs to write "
                "there, `after: keep` needs to read only"
            )
        return away(self._where, error)


def _found(entry: "os.DirEntry[str]", claimed: bool = False) -> FileSeen | None:
    """A regular file as a FileSeen; None for anything else, and for one that has gone."""
    try:
        if not entry.is_file(follow_symlinks=False):
            return None
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return FileSeen(entry.name, status.st_size, status.st_mtime_ns, claimed)


def _as_seen(status: os.stat_result, found: FileSeen) -> bool:
    return (status.st_size, status.st_mtime_ns) == (found.size, found.changed)


def _move(source: int, target: int, name: str, names: Iterable[str]) -> None:
    """Into the other folder, under the first of these that is free; nothing is overwritten."""
    for candidate in names:
        try:
            os.link(
                name, candidate, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False
            )
        except FileExistsError:
            there = os.stat(candidate, dir_fd=target, follow_symlinks=False)
            mine = os.stat(name, dir_fd=source, follow_symlinks=False)
            if not os.path.samestat(there, mine):
                continue  # else it was linked before a crash, and goes from here alone
        except PermissionError:  # a file system without links, or somebody else's file
            if candidate in os.listdir(target):
                continue
            os.rename(name, candidate, src_dir_fd=source, dst_dir_fd=target)
            return
        os.unlink(name, dir_fd=source)
        return
    raise FileExistsError(errno.EEXIST, "every name is taken")
