"""What the repository is still owed: one file a message, in the data folder, oldest first.

Any process of the site may put: the command line does when no engine runs. What root puts
belongs to whom the folder above belongs to, who is to read it. A name is the time and something
of its own, so that nobody has to agree; a file that is not whole has another ending. What
cannot be put is the caller's to tell.
"""

import itertools
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

FOLDER = "audit"
_ENDING, _DRAFT = ".msg", ".new"
_numbers = itertools.count()


class Full(OSError):
    """The spool holds as much as it may."""


class Spool:
    """A folder of messages. most: bytes."""

    def __init__(self, data: Path, most: int) -> None:
        self.folder = data / FOLDER
        self.most = most
        self.size = 0  # bytes, as of the last look, and what was put and dropped since

    def put(self, message: bytes, at: int) -> None:
        """On disk when it returns. at: nanoseconds since 1970. Raises Full, OSError."""
        if self.size + len(message) > self.most:
            raise Full("the spool of the audit trail is full")
        for folder in (self.folder.parent, self.folder):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _bequeath(folder)
        name = f"{at:020d}-{os.getpid()}-{next(_numbers):06d}"
        draft = self.folder / f"{name}{_DRAFT}"
        made = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(made, "wb") as file:
            file.write(message)
            file.flush()
            os.fsync(made)
        _bequeath(draft)
        draft.replace(self.folder / f"{name}{_ENDING}")
        self.size += len(message)

    def look(self) -> list[str]:
        """The names of all that waits, oldest first; counts their bytes."""
        found: list[tuple[str, int]] = []
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for one in entries:
                if one.name.endswith(_ENDING):
                    with suppress(FileNotFoundError):
                        found.append((one.name, one.stat().st_size))
        self.size = sum(size for _, size in found)
        return sorted(name for name, _ in found)

    def read(self, names: Iterable[str]) -> list[bytes]:
        """Their bytes. Raises OSError."""
        return [(self.folder / name).read_bytes() for name in names]

    def drop(self, names: Iterable[str]) -> None:
        """The repository has them."""
        for name in names:
            path = self.folder / name
            with suppress(FileNotFoundError):
                size = path.stat().st_size
                path.unlink()
                self.size -= size


def _bequeath(path: Path) -> None:
    """What root made is of the owner of the folder that it lies in."""
    if os.geteuid() == 0:
        above = path.parent.stat()
        os.chown(path, above.st_uid, above.st_gid)
