"""Output: tables and lines for people, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from portico.cli.grid import Grid

_WIDE = 1000  # columns where the output is no terminal: a line is never broken


def out() -> Console:
    """Standard output. Nothing is taken for markup, nothing is coloured by guess."""
    return _console(stderr=False)


def err() -> Console:
    """Standard error, for what is not the answer: progress, hints."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=width)


def table(*columns: str, numbers: tuple[str, ...] = (), heading: bool = True) -> Grid:
    """An empty table. numbers: the columns that are aligned to the right."""
    return Grid(columns, frozenset(numbers), heading)


def row(made: Grid, *cells: object, style: str = "") -> None:
    """A row of values; control characters of peers are made visible."""
    made.rows.append((tuple(printable(str(cell)) for cell in cells), style))


def show(made: Grid) -> None:
    """The table on standard output."""
    screen = out()
    for text, style in made.lines(screen.width if screen.is_terminal else None):
        screen.print(Text(text, style=style), soft_wrap=True)


def printable(text: str) -> str:
    """One line in which nothing can move the cursor or paint the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def line(text: str, style: str = "") -> None:
    """One line on standard output."""
    out().print(Text(printable(text), style=style), soft_wrap=True)


def note(text: str) -> None:
    """One line on standard error."""
    err().print(Text(printable(text)), soft_wrap=True)


def counted(count: int, noun: str) -> str:
    """`1 Signal`, `3 Signals`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def progress(*, quiet: bool = False) -> Progress:
    """A progress bar on a terminal at standard error, gone when it is done."""
    screen = err()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=screen,
        disable=quiet or not screen.is_terminal,
        transient=True,
    )


def say_json(value: BaseModel | Sequence[Any] | dict[str, Any]) -> None:
    """The value as indented JSON on standard output."""
    if not isinstance(value, BaseModel | dict):
        value = [
            one.model_dump(mode="json") if isinstance(one, BaseModel) else one for one in value
        ]
    if isinstance(value, BaseModel):
        print(value.model_dump_json(indent=2))
    else:
        print(json.dumps(value, indent=2, ensure_ascii=False))
