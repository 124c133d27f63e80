"""What this kernel offers for the cage of workers and for PostgreSQL started by root."""

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from portico.api.shapes import Look

_LANDLOCK_CREATE_RULESET = 444  # the same number on every architecture since Linux 5.13
_LANDLOCK_VERSION = 1
_USER_NAMESPACES = "/proc/sys/user/max_user_namespaces"
_RESTRICTED = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"


def looks() -> Iterator[Look]:
    """One look for each feature; a missing one is a warning: nothing depends on it alone."""
    if sys.platform != "linux":
        text = f"{sys.platform}: workers run without a cage"
        yield Look(subject="kernel", verdict="warning", text=text)
        return
    yield _look("landlock", _landlock() > 0, f"version {_landlock()}", "not offered")
    yield _look("seccomp", _seccomp(), "filters", "not offered")
    spaces, reason = _user_namespaces()
    yield _look("user namespaces", spaces, "allowed", reason)


def in_memory(folder: Path) -> bool:
    """Whether this folder is on a file system that lives in memory."""
    best, kind = "", ""
    for mount in _read("/proc/mounts").splitlines():
        _, point, system, *_ = (*mount.split(" "), "", "", "")
        inside = folder == Path(point) or Path(point) in folder.absolute().parents
        if inside and len(point) >= len(best):
            best, kind = point, system
    return kind in ("tmpfs", "ramfs")


def _look(subject: str, there: bool, good: str, missing: str) -> Look:
    text = good if there else missing
    return Look(subject=subject, verdict="good" if there else "warning", text=text)


def _landlock() -> int:
    """The version of its interface; 0 or less when it is missing or switched off."""
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION))


def _seccomp() -> bool:
    return "errno" in _read("/proc/sys/kernel/seccomp/actions_avail").split()


def _user_namespaces() -> tuple[bool, str]:
    if _read(_USER_NAMESPACES).strip() in ("", "0"):
        return False, "not allowed"
    if os.geteuid() != 0 and _read(_RESTRICTED).strip() == "1":
        return False, "not allowed to ordinary users (AppArmor)"
    return True, ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text("ascii", "replace")
    except OSError:
        return ""
