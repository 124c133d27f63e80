"""Becomes a PostgreSQL program that runs as the right user and ends when the engine ends.

Run as a script of its own, so that nothing of ours happens between fork and exec:

    python -I -S launcher.py ENGINE_PID IDENTITY PROGRAM ARGUMENT...

IDENTITY is `self`, `namespace:UID:GID` (a user namespace in which we are that user) or
`user:UID:GID` (become that user). Exit status 97: namespaces are denied here. Imports only
what Python has without site-packages.
"""

import ctypes
import os
import sys
from pathlib import Path

NAMESPACE_DENIED = 97
_CLONE_NEWUSER = 0x1000_0000
_PR_SET_PDEATHSIG = 1
_SIGQUIT = 3


def main(arguments: list[str]) -> None:
    """Take the identity, tie our life to the engine's, and exec. Does not return."""
    engine, identity, *command = arguments
    kind, *numbers = identity.split(":")
    if kind == "namespace":
        _enter_namespace(*numbers)
    elif kind == "user":
        _become(*map(int, numbers))
    if sys.platform == "linux":
        # After the change of user, which clears it. SIGQUIT is PostgreSQL's shutdown at once:
        # it works during a recovery too, and the next engine does not wait for a checkpoint.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGQUIT)
    if os.getppid() != int(engine):
        sys.exit("the engine has gone")
    os.umask(0o077)
    os.execv(command[0], command)  # noqa: S606 - the supervisor chose the program


def _enter_namespace(uid: str, gid: str) -> None:
    """Be `uid` in a new user namespace; outside it we stay who we are, without privileges."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")
    except OSError:
        sys.exit(NAMESPACE_DENIED)


def _become(uid: int, gid: int) -> None:
    """Drop to another user, for good."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


if __name__ == "__main__":
    main(sys.argv[1:])
