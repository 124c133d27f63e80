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
from rich.table import Table
from rich.text import Text

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


def table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """An empty table without lines. numbers: the columns that are aligned to the right."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        right = column in numbers
        made.add_column(column, justify="right" if right else "left", overflow="fold")
    return made


def row(made: Table, *cells: object, style: str = "") -> None:
    """A row of values; control characters of peers are made visible."""
    made.add_row(*(Text(printable(str(cell))) for cell in cells), style=style)


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


def progress() -> Progress:
    """A progress bar on standard error, gone when it is done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err(),
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
