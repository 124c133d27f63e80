"""Options that every source of files has (SITE reference, section 3, pollers)."""

import re
from dataclasses import dataclass
from fnmatch import translate
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from portico import units
from portico.spec.fields import (
    ONE_OR_MANY,
    Duration,
    Options,
    Shown,
    Size,
    Text,
    kind_of,
    wrong,
)

_READY_HINT = "one of {stable: 5s}, {suffix: .done}, rename"
_AFTER_HINT = "one of {move: done}, delete, keep"


@dataclass(frozen=True, slots=True)
class Ready:
    """When a file is whole (F1): seconds without a change, a marker beside it, or at once.

    way: `stable suffix rename`.
    """

    way: str
    seconds: float = 0.0
    suffix: str = ""

    def plain(self) -> str | dict[str, str]:
        """As a site file spells it."""
        if self.way == "stable":
            return {self.way: units.duration_text(self.seconds)}
        return {self.way: self.suffix} if self.way == "suffix" else self.way


@dataclass(frozen=True, slots=True)
class After:
    """What becomes of a file whose messages are all journaled. way: `move delete keep`.

    path: where it is moved, relative to the folder that it lay in.
    """

    way: str
    path: str = ""

    def plain(self) -> str | dict[str, str]:
        """As a site file spells it."""
        return {self.way: self.path} if self.way == "move" else self.way


def _one(value: Any, hint: str) -> tuple[str, str]:
    """`{choice: argument}` as a pair, a bare word with an empty argument."""
    if isinstance(value, str):
        return value, ""
    if isinstance(value, dict) and len(value) == 1:
        (way, argument), *_ = value.items()
        if isinstance(argument, str):
            return str(way), argument
    found = kind_of(value)
    raise wrong("config.choice", f"{found} is not a choice here", hint)


def _ready(value: Any) -> Any:
    if isinstance(value, Ready):
        return value
    way, argument = _one(value, _READY_HINT)
    if way == "rename" and not argument:
        return Ready(way)
    if way == "suffix" and argument:
        if not re.fullmatch(r"[A-Za-z0-9._-]+", argument):
            text = f"{argument!r} is not a suffix"
            raise wrong("config.value", text, "such as .done: a.hl7 is ready beside a.hl7.done")
        return Ready(way, suffix=argument)
    if way == "stable" and argument:
        try:
            return Ready(way, seconds=units.duration(argument))
        except ValueError as error:
            text, _, hint = str(error).partition("; ")
            raise wrong("config.duration", text, hint) from None
    raise wrong("config.choice", f"{way!r} is not a choice here", _READY_HINT)


def _elsewhere(path: str, hint: str = "such as replies") -> str:
    """Another folder than the one that is read."""
    if path and PurePosixPath(path) == PurePosixPath("."):
        raise wrong("config.value", "the files lie there already", hint)
    return path


def _after(value: Any) -> Any:
    if isinstance(value, After):
        return value
    way, argument = _one(value, _AFTER_HINT)
    if way == "move" and argument:
        _elsewhere(argument, "such as {move: done}")
        return After(way, argument)
    if way in ("delete", "keep") and not argument:
        return After(way)
    raise wrong("config.choice", f"{way!r} is not a choice here", _AFTER_HINT)


def _glob(text: str) -> str:
    if "/" in text or not text:
        hint = "such as *.hl7; folders below are not looked into"
        raise wrong("config.value", f"{text!r} is not a pattern of names", hint)
    return text


Globs = Annotated[tuple[Annotated[Text, AfterValidator(_glob)], ...], ONE_OR_MANY]
ReadyField = Annotated[
    Ready,
    PlainValidator(_ready),
    Shown(Ready.plain),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["rename"]},
                {"type": "object", "properties": {"stable": {"type": "string"}}},
                {"type": "object", "properties": {"suffix": {"type": "string"}}},
            ],
            "examples": [{"stable": "5s"}],
        }
    ),
]
AfterField = Annotated[
    After,
    PlainValidator(_after),
    Shown(After.plain),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["delete", "keep"]},
                {"type": "object", "properties": {"move": {"type": "string"}}},
            ],
            "examples": [{"move": "done"}],
        }
    ),
]


class PollSource(Options):
    """Options of every poller. Durations in seconds, sizes in bytes.

    files: patterns of names, any of which counts, case and all. replies: where answers to files
    go, relative to the folder; empty: none are made. limit: of one file.
    """

    path: Annotated[Text, Field(min_length=1)]
    files: Globs = ("*",)
    every: Annotated[Duration, Field(ge=0.01)] = 30.0
    ready: ReadyField = Ready("stable", seconds=5.0)
    after: AfterField = After("move", "done")
    replies: Annotated[Text, AfterValidator(_elsewhere)] = ""
    sort: Literal["name", "time"] = "name"
    limit: Size = 1 << 30


def pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    """What any of the globs matches. Names that begin with a dot need a glob that does."""
    parts = [
        translate(glob) if glob.startswith(".") else rf"(?!\.){translate(glob)}"
        for glob in globs
    ]
    return re.compile("|".join(f"(?:{part})" for part in parts))
