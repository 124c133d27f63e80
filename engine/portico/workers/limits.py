"""What a worker process may take, on any platform; and what it is not told.

Linux bounds private memory by RLIMIT_DATA (since 4.7) and everything that is mapped, shared
memory too, by RLIMIT_AS, which is kept loose because threads reserve far more than they
use. Elsewhere RLIMIT_AS alone is tried. What a platform lacks is left out, silently: the
deadline and the engine's own checks stand everywhere.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from portico.workers import libc

_KEPT = frozenset({"PATH", "LANG", "LANGUAGE", "TZ", "TZDIR"})
_KEPT_PREFIXES = ("LC_", "PYTHON")
_FILES = 256
_FILE_SIZE = 16 << 20
_SHARED = 1 << 30  # what may be mapped beyond private memory
_OOM_SCORE = 600  # the kernel ends a worker long before the engine or PostgreSQL

_PR_SET_PDEATHSIG = 1
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITIES = 0x20080522  # version 3 of the call
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Limits:
    """time: seconds for one Signal. memory: bytes beyond what a fresh worker has."""

    time: float = 30.0
    memory: int = 256 << 20


def environment(whole: Mapping[str, str]) -> dict[str, str]:
    """What of an environment workers may see: how to find programs and how to write text."""
    return {
        name: value
        for name, value in whole.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }


def bound_process(files: int = _FILES, size: int = _FILE_SIZE) -> None:
    """Bounds that every worker has from its first moment. size: bytes of a file."""
    os.umask(0o077)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, files)
    _lower(resource.RLIMIT_FSIZE, size)
    if sys.platform == "linux":
        _write("/proc/self/oom_score_adj", b"%d" % _OOM_SCORE)


def bound_memory(memory: int) -> None:
    """Let this process allocate that many bytes more than it has now; then MemoryError."""
    mapped, private = _sizes()
    if sys.platform == "linux":
        _lower(resource.RLIMIT_DATA, private + memory)
    _lower(resource.RLIMIT_AS, mapped + 2 * memory + _SHARED)


def die_with_parent(parent: int) -> None:
    """End this process when its parent's thread ends (Linux); at once if it has already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose parent ended (Linux), to be able to end them."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def drop_capabilities() -> None:
    """Root without privileges: what its files allow, and nothing else."""
    number = _CAPSET.get(platform.machine()) if sys.platform == "linux" else None
    if number is None:
        return
    head = ctypes.create_string_buffer(struct.pack("II", _CAPABILITIES, 0), 8)
    none = ctypes.create_string_buffer(24)
    libc.library().syscall(ctypes.c_long(number), head, none)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        libc.library().prctl(option, value, 0, 0, 0)


def _lower(which: int, wanted: int) -> None:
    """Set both the soft and the hard limit; a limit that is lower already stays."""
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        wanted = hard
    try:
        resource.setrlimit(which, (wanted, wanted))
    except (OSError, ValueError):  # a platform that names this limit and does not have it
        return


def _sizes() -> tuple[int, int]:
    """Bytes mapped in all, and private ones that can be written; zeros where unknown."""
    try:
        descriptor = os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return 0, 0
    try:
        numbers = os.read(descriptor, 256).split()
    finally:
        os.close(descriptor)
    page = resource.getpagesize()
    return int(numbers[0]) * page, int(numbers[5]) * page


def _write(path: str, text: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except OSError:  # no /proc
        return
    try:
        os.write(descriptor, text)
    except OSError:  # a container that forbids it
        return
    finally:
        os.close(descriptor)
