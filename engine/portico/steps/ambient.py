"""What a transform can reach while it runs, beside its arguments: tables and the log.

One run at a time in a process, so its RunState can stand here; functions of a transform take
no extra argument for what few of them need.
"""

import math
from pathlib import Path
from typing import Protocol

from portico.language.tables import Table, Tables
from portico.model.verdict import LogLine
from portico.steps.state import RunState

_LEVELS = ("debug", "info", "warning", "error")


class Voice(Protocol):
    """Tells people what a run says before it ends."""

    def log(self, line: LogLine) -> None:
        """A line that is kept with the session."""
        ...

    def progress(self, step: str, done: float, total: float | None) -> None:
        """How far a step has come."""
        ...


class _Ambient:
    """The run of this process; None outside of a step, as in an author's own tests."""

    state: RunState | None = None
    voice: Voice | None = None


ambient = _Ambient()


def _load(name: str) -> bytes:
    return (Path("transforms/tables") / f"{name}.csv").read_bytes()


def table(name: str) -> Table:
    """The table `transforms/tables/NAME.csv`: `key in table(name)`, `table(name).get(key)`.

    `get(key, column)` gives the cell, without a column that of the second; None when there is
    no such key. In a test of your own the site is the current folder. Raises ConfigError when
    there is no such table.
    """
    if ambient.state is None:
        return Tables(_load)[name]
    return ambient.state.context.tables[name]


def log(level: str, text: str) -> None:
    """Keep a line with the session: level `debug info warning error`.

    People read it in lists and log files: put no patient data in it.
    """
    if level not in _LEVELS:
        raise ValueError(f"level is one of {', '.join(_LEVELS)}")
    if ambient.state is not None:
        line = ambient.state.log(level, text)
        if line is not None and ambient.voice is not None:
            ambient.voice.log(line)


def progress(done: float, total: float | None = None) -> None:
    """Say how far a long step has come: `progress(3, 12)`; `portico show ID --follow` shows it.

    It is not kept. Raises ValueError for what is no number.
    """
    if not math.isfinite(done) or not math.isfinite(total or 0):
        raise ValueError("progress takes finite numbers")
    if ambient.state is not None and ambient.voice is not None:
        whole = None if total is None else float(total)
        ambient.voice.progress(ambient.state.step, float(done), whole)
