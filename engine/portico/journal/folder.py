"""The data folder: what an engine keeps on disk, and the lock that makes it the only one.

    DIR/engine.lock   held by flock while an engine lives; its text is that engine's pid
    DIR/postgres/     the data of the embedded PostgreSQL
    DIR/postgres.log  what it says (never a row: see cluster.py)
    DIR/run/          its Unix socket
    DIR/secret        its password, 0600
    DIR/scratch/      what is too large for memory, without names; emptied at each start
    DIR/editions/     old versions of agents, while they are run (server/editions.py)
    DIR/restoring     until a restore has come to its end: nothing is run here before

The lock goes with the process, so a killed engine leaves nothing to clean up.
"""

import fcntl
import os
import secrets
import shutil
import sys
from pathlib import Path

from portico.errors import ConfigError, JournalLocked

SOCKET = ".s.PGSQL.5432"
SCRATCH = "scratch"
RESTORING = "restoring"
_SUN_PATH = 107  # bytes of a Unix socket's address (unix(7))


class Folder:
    """A data folder that this process alone uses, from `Folder(path)` to `close()`.

    Raises JournalLocked when another engine has it, ConfigError when it cannot be used: not
    either while a restore has not come to its end, unless it is that restore who asks.
    """

    def __init__(self, path: Path, restoring: bool = False) -> None:
        self.path = path.absolute()
        if not restoring and (self.path / RESTORING).exists():
            raise ConfigError(
                f"the data folder {self.path} is of a restore that was cut short; "
                "remove it and restore again"
            )
        self.postgres = self.path / "postgres"
        self.log = self.path / "postgres.log"
        self.run = self.path / "run"
        self._socket_fd = -1
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_fd = _lock(self.path / "engine.lock")
            self.run.mkdir(mode=0o700, exist_ok=True)
            _empty(self.path / SCRATCH)
        except OSError as error:
            raise ConfigError(
                f"the data folder {self.path} cannot be used: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Let the next engine have it. Harmless the second time."""
        for fd in (self._socket_fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self._socket_fd = self._lock_fd = -1

    def socket_folder(self) -> str:
        """A name of `run` that libpq takes as a host.

        A socket's address ends at 107 bytes and libpq splits at commas. A folder that does
        not fit goes by its open descriptor, which this process and its threads can follow.
        """
        direct = str(self.run)
        if "," not in direct and len(os.fsencode(self.run / SOCKET)) <= _SUN_PATH:
            return direct
        if sys.platform != "linux":
            raise ConfigError(f"the path of the data folder {self.path} is too long")
        if self._socket_fd < 0:
            self._socket_fd = os.open(self.run, os.O_PATH | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._socket_fd}"

    def password(self) -> str:
        """The embedded PostgreSQL's password: read, or made and on disk before this returns."""
        path = self.path / "secret"
        if not path.exists():
            write_durably(path, secrets.token_urlsafe(32))
        return path.read_text("ascii").strip()


def write_durably(path: Path, text: str) -> None:
    """Write a 0600 file so that after a power cut it is whole or absent."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the renames inside this folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _empty(path: Path) -> None:
    """A folder that is the owner's alone, and holds nothing."""
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)
    for left in path.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()


def _lock(path: Path) -> int:
    """An open descriptor that holds the lock. Raises JournalLocked."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise JournalLocked(
            f"the data folder {path.parent} is in use by another engine, process {holder}; "
            "stop that one, or give this one a folder of its own (data: in "
            "config/portico.yaml, or PORTICO_DATA)"
        ) from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
    return fd
