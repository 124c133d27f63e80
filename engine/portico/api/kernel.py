"""What this kernel offers for the cage of workers and for PostgreSQL started by root."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from portico.api.shapes import Look
from portico.workers import landlock, seccomp

_USER_NAMESPACES = "/proc/sys/user/max_user_namespaces"
_RESTRICTED = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"


def looks() -> Iterator[Look]:
    """One look for each feature; a missing one is a warning: nothing depends on it alone."""
    if sys.platform != "linux":
        text = f"{sys.platform}: workers run without a cage"
        yield Look(subject="kernel", verdict="warning", text=text)
        return
    version = landlock.version()
    yield _look("landlock", version > 0, f"version {version}", "not offered")
    yield _look("seccomp", seccomp.available(), "filters", "not offered")
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
