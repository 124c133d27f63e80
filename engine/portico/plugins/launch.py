"""Becomes a plugin's program, within its walls:  python -P -m portico.plugins.launch JSON

It starts with nothing of the engine but three pipes. Where a machine lacks a wall the others
stand. The profile is wider than that of a Python worker by what a plugin cannot do without: to
become one program, and what it declares. Memory is watched from outside: RLIMIT_AS kills Node
and Java.
"""

import os
import sys

import msgspec
from msgspec import Struct

from portico.workers import landlock, limits, seccomp

_FILES, _FILE_SIZE = 512, 64 << 20


class Launch(Struct, frozen=True):
    """parent: the engine's process, whose end is ours. command: an absolute path first.

    reads, runs: paths that can be read, files that can be executed. scratch: the folder to
    write to. sockets: a network may be used.
    """

    parent: int
    command: list[str]
    environ: dict[str, str]
    reads: list[str]
    runs: list[str]
    scratch: str
    sockets: bool = False


def shut(given: Launch) -> None:
    """Close the walls around this process. Raises OSError."""
    limits.die_with_parent(given.parent)
    limits.bound_process(_FILES, _FILE_SIZE)
    filters = seccomp.available()  # Landlock hides how one knows
    if landlock.version() > 0:
        landlock.shut(given.reads, given.scratch, given.runs, network=given.sockets)
    limits.drop_capabilities()
    if filters:
        seccomp.shut(seccomp.PROGRAMS | (seccomp.SOCKETS if given.sockets else frozenset()))


def main(text: str) -> None:
    """Close the walls, then become the program."""
    given = msgspec.json.decode(text, type=Launch)
    os.chdir(given.scratch)
    os.closerange(3, 4096)
    shut(given)
    os.execve(given.command[0], given.command, given.environ)  # noqa: S606  the registry's


if __name__ == "__main__":
    main(sys.argv[1])
