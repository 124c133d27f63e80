"""What the appliance's processes cost, read from /proc (Linux)."""

import os
from dataclasses import dataclass
from pathlib import Path

GROUPS = ("engine", "workers", "postgres")
_TICK = 1_000_000 / os.sysconf("SC_CLK_TCK")  # microseconds


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the process table. own, ended: microseconds of CPU, its and its children's
    that have ended."""

    pid: int
    parent: int
    name: str
    own: float
    ended: float


def cpu(engine: int) -> dict[str, float]:
    """Microseconds of CPU so far, by group.

    Children that ended count with their parent, so that a recycled worker or a finished
    autovacuum is not lost; those of the engine itself ended at its start.
    """
    spent = dict.fromkeys(GROUPS, 0.0)
    for group, process in _appliance(engine):
        spent[group] += process.own + (process.ended if group != "engine" else 0.0)
    return spent


def loop(engine: int) -> float:
    """Microseconds of CPU so far of the engine's loop, which is its first thread."""
    return _read(Path(f"/proc/{engine}/task/{engine}/stat").read_text()).own


def memory(engine: int) -> dict[str, float]:
    """MiB of engine, nursery and workers: RSS counts what they share each time, PSS once."""
    kib = {"Rss": 0, "Pss": 0}
    for group, process in _appliance(engine):
        if group != "postgres":
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in kib:
                    kib[name] += int(rest.split()[0])
    return {"rss_mib": kib["Rss"] / 1024, "pss_mib": kib["Pss"] / 1024}


def _appliance(engine: int) -> list[tuple[str, Process]]:
    """The engine and all processes below it, each with its group."""
    table = {process.pid: process for process in _table()}
    children: dict[int, list[Process]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process)
    found, ahead = [("engine", table[engine])], list(children.get(engine, ()))
    while ahead:
        process = ahead.pop()
        found.append(("postgres" if process.name == "postgres" else "workers", process))
        ahead += children.get(process.pid, ())
    return found


def _table() -> list[Process]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append(_read((entry / "stat").read_text()))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def _read(stat: str) -> Process:
    """Source: proc_pid_stat(5): 1 pid, 2 name, 4 parent, 14 to 17 ticks."""
    pid, _, rest = stat.partition(" (")
    name, _, rest = rest.rpartition(") ")
    fields = rest.split()
    own, ended = (sum(map(int, fields[n : n + 2])) * _TICK for n in (11, 13))
    return Process(int(pid), int(fields[1]), name, own, ended)
