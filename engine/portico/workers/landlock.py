"""The files that a caged worker can reach (Linux Landlock).

Read-only below the paths that are named, and write below one; every other file, and every TCP
port, is as if it were another user's. Source: Linux Documentation/userspace-api/landlock.rst.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from functools import cache

from portico.workers import libc

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same numbers on every machine
_VERSION, _PATH_BENEATH = 1, 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE, _READ, _LIST = 1, 2, 4, 8
_REMOVE_FOLDER, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_FOLDER, _MAKE_FILE = 1 << 7, 1 << 8
_FILES_V1 = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15  # since versions 2, 3 and 5
_BIND, _CONNECT = 1, 2  # TCP, since version 4
_SOCKETS, _SIGNALS = 1, 2  # out of the cage, since version 6

_READABLE = _READ | _LIST
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL
_WRITABLE = (
    _READABLE | _WRITE | _REMOVE_FILE | _REMOVE_FOLDER | _MAKE_FILE | _MAKE_FOLDER | _TRUNCATE
)


@cache
def version() -> int:
    """The kernel's version of Landlock; 0 when it has none."""
    try:
        return libc.call(_CREATE, None, 0, _VERSION)
    except (OSError, AttributeError):
        return 0


def shut(
    readable: Iterable[str],
    writable: str,
    executable: Iterable[str] = (),
    *,
    network: bool = False,
) -> None:
    """Leave this process these paths for good; what is not there is passed over.

    executable: programs that it may become. network: TCP stays. Raises OSError. Descriptors
    that are open stay open.
    """
    has = version()
    files = _FILES_V1 | (has > 1) * _REFER | (has > 2) * _TRUNCATE | (has > 4) * _IOCTL
    net = (_BIND | _CONNECT) if has > 3 and not network else 0
    scope = (_SOCKETS | _SIGNALS) if has > 5 else 0
    rules = struct.pack("QQQ", files, net, scope)
    size = 24 if has > 5 else 16 if has > 3 else 8
    ruleset = libc.call(_CREATE, ctypes.create_string_buffer(rules, len(rules)), size, 0)
    try:
        for path in readable:
            _add(ruleset, path, _READABLE & files)
        for path in executable:
            _add(ruleset, path, (_READ | _EXECUTE) & files)
        _add(ruleset, writable, _WRITABLE & files)
        libc.library().prctl(_PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
        libc.call(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _add(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, handle)
        libc.call(_ADD, ruleset, _PATH_BENEATH, ctypes.create_string_buffer(rule, len(rule)), 0)
    finally:
        os.close(handle)
