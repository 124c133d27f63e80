"""The kinds of values that site files hold, as annotated types for pydantic models.

A scalar of a site file is the text that was typed (`NO`, `007`, `2.10`); these types turn it
into a value and say what would be right when they cannot (SITE reference, sections 1 and 3).
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from portico import units

T = TypeVar("T")


class Options(BaseModel):
    """Base of every shape in a site file: frozen, unknown keys are errors.

    A field whose YAML key is a Python word has an alias (`for_`, alias `for`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class HostPort(NamedTuple):
    """Where to listen or connect. Port 0 lets the system choose (tests)."""

    host: str
    port: int

    def __str__(self) -> str:
        """`127.0.0.1:2575`, `[::1]:2575`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def text_of(value: object) -> str:
    """The scalar as typed; raises ValueError for a list or a mapping."""
    if not isinstance(value, str):
        raise ValueError("expected one text, found a list or a mapping")
    return value


def _parsed(read: Callable[[str], T]) -> BeforeValidator:
    """A validator that leaves values of the final type alone (defaults, code) and reads text."""

    def validate(value: Any) -> Any:
        return read(value) if isinstance(value, str) else value

    return BeforeValidator(validate)


def host_port(text: str) -> HostPort:
    """`HOST:PORT` or `[IPV6]:PORT`. Raises ValueError."""
    match = re.fullmatch(r"\[([0-9a-fA-F:.]+)\]:(\d{1,5})|([^:\s/\[\]]+):(\d{1,5})", text)
    if not match or int(match[2] or match[4]) > 65_535:
        raise ValueError(f"{text!r} is not HOST:PORT; try '127.0.0.1:2575'")
    return HostPort(match[1] or match[3], int(match[2] or match[4]))


def switch(text: str) -> bool:
    """`yes` or `no`. Raises ValueError."""
    if text in ("yes", "no"):
        return text == "yes"
    raise ValueError(f"{text!r} is not a switch; write yes or no")


def count(text: str) -> int:
    """A whole number from 0. Raises ValueError."""
    if re.fullmatch(r"\d{1,18}", text):
        return int(text)
    raise ValueError(f"{text!r} is not a whole number")


def name(text: str) -> str:
    """`[a-z][a-z0-9_]*`. Raises ValueError with the nearest good name."""
    if re.fullmatch(r"[a-z][a-z0-9_]{0,62}", text):
        return text
    near = re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_") or "name"
    near = near if near[0].isalpha() else f"n_{near}"
    raise ValueError(f"{text!r} is not a name (a-z, 0-9, _; a letter first); try {near[:63]!r}")


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


Duration = Annotated[
    float,
    _parsed(units.duration),
    WithJsonSchema({"type": "string", "examples": ["30s", "forever"]}),
]
Size = Annotated[
    int, _parsed(units.size), WithJsonSchema({"type": "string", "examples": ["16MiB"]})
]
Switch = Annotated[bool, _parsed(switch), WithJsonSchema({"enum": ["yes", "no", True, False]})]
Count = Annotated[
    int, _parsed(count), WithJsonSchema({"type": ["integer", "string"], "minimum": 0})
]
Address = Annotated[
    HostPort,
    _parsed(host_port),
    WithJsonSchema({"type": "string", "examples": ["127.0.0.1:2575"]}),
]
Name = Annotated[
    str, _parsed(name), WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9_]*$"})
]
# One item may stand for a list of one: `Annotated[tuple[Name, ...], ONE_OR_MANY]`.
ONE_OR_MANY = BeforeValidator(_listed)
