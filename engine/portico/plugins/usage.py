"""What a process and those below it use of the machine (Linux /proc; elsewhere nothing)."""

import os
from pathlib import Path

from msgspec import Struct

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_MOST = 256  # processes that are looked at


class Usage(Struct, frozen=True):
    """memory: resident bytes. cpu: seconds, of those that live."""

    memory: int = 0
    cpu: float = 0.0


def of(pid: int) -> Usage:
    """The sums over a process and all that came of it."""
    memory, cpu, pending, seen = 0, 0.0, [pid] if pid else [], 0
    while pending and seen < _MOST:
        seen += 1
        one = pending.pop()
        try:
            memory += int(_read(one, "statm").split()[1]) * _PAGE
            fields = _read(one, "stat").rpartition(")")[2].split()
            cpu += (int(fields[11]) + int(fields[12])) / _TICKS  # utime and stime: proc(5)
            pending += map(int, _read(one, f"task/{one}/children").split())
        except (OSError, ValueError, IndexError):
            continue
    return Usage(memory, cpu)


def _read(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text(encoding="ascii", errors="replace")
