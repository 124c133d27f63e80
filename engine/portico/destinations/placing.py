"""Putting one file into a folder, so that a reader of the folder never sees half of it.

Written under a temporary name in the same folder, flushed to disk, then given its name, then
the folder is flushed (F3). Every step is relative to the open folder and follows no link, so
that no name can lead out of it (F7). Blocking: callers run it in a thread.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from portico.language import filename

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f/\\\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST = 200  # bytes of a name; NAME_MAX is 255, numbers and suffixes need room
_MODE, _FOLDER_MODE = 0o640, 0o750  # patient data, in names too: for the owner and the group
_MARK = "user.portico.delivery"  # extended attribute: whose file this is
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def safe_name(asked: str) -> str:
    """A name that stays in its folder and is not hidden; empty when nothing is left of it."""
    name = _UNSAFE.sub("_", asked)
    hidden = len(name) - len(name.lstrip("."))
    name = "_" * hidden + name[hidden:]
    if len(name.encode()) <= _LONGEST:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > 16:
        stem, dot, suffix = name, "", ""
    room = _LONGEST - len((dot + suffix).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + suffix


def place(folder: Path, name: str, content: bytes, owner: str, exists: str) -> str:
    """Write the file; the name it got. Raises OSError; FileExistsError for `fail`.

    name: from safe_name. owner: identity of the Delivery, the same at each try, safe as a
    name: a file that an earlier try has placed counts as this one. exists: what to do when
    the name is another's: `fail`, `number` (`a-1.hl7`), `replace`.
    """
    at = _open(folder)
    try:
        part = f".{owner}.part"
        _write(at, part, content, owner)
        try:
            return _settle(at, part, name, content, owner, exists)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=at)
            os.fsync(at)
    finally:
        os.close(at)


def _open(folder: Path) -> int:
    """The folder's descriptor; a folder that is missing is made, and is there after a crash."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(_FOLDER_MODE, exist_ok=True)
        above = os.open(one.parent, _FOLDER)
        os.fsync(above)
        os.close(above)
    return os.open(folder, _FOLDER)


def _write(at: int, part: str, content: bytes, owner: str) -> None:
    """The temporary file, on disk. One that a crash has left is replaced."""
    with suppress(FileNotFoundError):
        os.unlink(part, dir_fd=at)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(part, flags, _MODE, dir_fd=at)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(file, rest) :]
        with suppress(OSError):  # not every file system keeps attributes
            os.setxattr(file, _MARK, owner.encode())
        os.fsync(file)
    except OSError:
        os.unlink(part, dir_fd=at)
        raise
    finally:
        os.close(file)


def _settle(at: int, part: str, name: str, content: bytes, owner: str, exists: str) -> str:
    if exists == "replace":
        os.rename(part, name, src_dir_fd=at, dst_dir_fd=at)
        return name
    for candidate in names(name, exists):
        try:
            _name_once(at, part, candidate)
        except FileExistsError:
            if not _own(at, candidate, content, owner):
                continue
        return candidate
    raise FileExistsError(errno.EEXIST, "a file of that name exists")


def names(name: str, exists: str) -> Iterator[str]:
    """What to try in turn: for `number` `a.hl7`, `a-1.hl7`, ...; else the name alone."""
    return filename.candidates(name) if exists == "number" else iter((name,))


def _name_once(at: int, part: str, name: str) -> None:
    """Give it its name unless that is taken. Raises FileExistsError."""
    try:
        os.link(part, name, src_dir_fd=at, dst_dir_fd=at, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if name in os.listdir(at):
            raise FileExistsError(errno.EEXIST, "a file of that name exists") from error
        os.rename(part, name, src_dir_fd=at, dst_dir_fd=at)


def _own(at: int, name: str, content: bytes, owner: str) -> bool:
    """Whether an earlier try of the same Delivery placed this file.

    Where the file system keeps no attributes, equal content must do.
    """
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(name, flags, dir_fd=at)
    except OSError:
        return False
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_size != len(content):
            return False
        with suppress(OSError):
            return os.getxattr(file, _MARK) == owner.encode()
        with open(file, "rb", closefd=False) as reading:
            return reading.read() == content
    finally:
        os.close(file)
