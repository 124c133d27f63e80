"""As which user the embedded PostgreSQL runs.

PostgreSQL refuses uid 0. An ordinary user runs it as itself. Root runs it inside a user
namespace that shows root as an ordinary user: no file changes hands, and a 0700 folder works.
Where namespaces are denied (most containers), root drops to an unprivileged user, who then
owns PostgreSQL's part of the data folder.
"""

import asyncio
import os
import pwd
import sys
from asyncio.subprocess import DEVNULL
from dataclasses import dataclass
from pathlib import Path

from portico.errors import ConfigError
from portico.journal import launcher
from portico.journal.folder import Folder


@dataclass(frozen=True, slots=True)
class Identity:
    """kind: `self`, `namespace` or `user`, as the launcher reads it."""

    kind: str
    uid: int
    gid: int

    def command(self, *program: object) -> list[str]:
        """The command line that runs a program as this user, as a child of this process."""
        spell = self.kind if self.kind == "self" else f"{self.kind}:{self.uid}:{self.gid}"
        start = (sys.executable, "-I", "-S", launcher.__file__, os.getpid(), spell)
        return [str(part) for part in (*start, *program)]

    def give(self, *folders: Path) -> None:
        """Make these folders and all in them this user's, where the user is not us."""
        if self.kind != "user":
            return
        for top in folders:
            os.chown(top, self.uid, self.gid)
            for place, names, files in os.walk(top):
                for name in (*names, *files):
                    os.lchown(os.path.join(place, name), self.uid, self.gid)


async def settle(folder: Folder, postgres: Path) -> Identity:
    """The user that runs PostgreSQL here, proved by running `postgres --version` as it.

    A folder handed to an unprivileged user becomes passable (0711), never readable.
    Raises ConfigError when there is no such user.
    """
    identity = _choose(folder)
    if await _try(identity, postgres) == launcher.NAMESPACE_DENIED:
        identity = _unprivileged("user")
    if identity.kind == "user":
        folder.path.chmod(folder.path.stat().st_mode | 0o111)
        identity.give(*(part for part in (folder.run, folder.postgres) if part.exists()))
    if await _try(identity, postgres) != 0:
        raise ConfigError(
            f"uid {identity.uid} cannot run {postgres}: every folder above it must be "
            "passable for that user; install Portico elsewhere, run it as an ordinary user, "
            "or set journal.url"
        )
    return identity


def _choose(folder: Folder) -> Identity:
    """Who may run it, by who we are and who owns the data so far."""
    uid = os.geteuid()
    if uid != 0 and _has_name(uid):
        return Identity("self", uid, os.getegid())
    owner = folder.postgres.stat() if folder.postgres.exists() else None
    if uid == 0 and owner is not None and owner.st_uid != 0:
        return Identity("user", owner.st_uid, owner.st_gid)
    return _unprivileged("namespace")


async def _try(identity: Identity, postgres: Path) -> int:
    command = identity.command(postgres, "--version")
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=DEVNULL)
    return await process.wait()


def _has_name(uid: int) -> bool:
    """Whether the machine has a name for this user; initdb asks for it."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _unprivileged(kind: str) -> Identity:
    """`postgres`, `nobody` or whoever this machine knows that is not root."""
    users = {user.pw_name: user for user in pwd.getpwall() if user.pw_uid != 0}
    for name in ("postgres", "nobody", *users):
        if name in users:
            return Identity(kind, users[name].pw_uid, users[name].pw_gid)
    raise ConfigError("this machine knows no user but root; PostgreSQL does not run as root")
