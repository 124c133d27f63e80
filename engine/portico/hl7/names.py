"""What the standard calls a field: `PID-5 Patient Name`, in versions 2.1 to 2.8.2.

The names stand in names.tsv beside this module, made from hl7apy's tables by tools/names.py.
It is read when the first name is asked for (2 ms) and kept; nothing of the hot path asks.
"""

import pkgutil
from functools import cache, lru_cache
from typing import NamedTuple

from portico.hl7.path import Path

_FILE = "names.tsv"


class Name(NamedTuple):
    """type: the data type, such as XPN; `varies` where another field says it."""

    type: str
    text: str


def field(segment: str, number: int, version: str = "") -> Name | None:
    """The name of a field; None when no version knows it.

    version: `2.5.1`; an unknown one is the newest. A field that came later or went before
    has the name of the nearest version: the version of a message is a hint.
    """
    return _find(f"{segment}-{number}", version)


def component(kind: str, number: int, version: str = "") -> Name | None:
    """The name of a component of a data type."""
    return _find(f"{kind}.{number}", version)


def named(path: Path, version: str = "") -> Name | None:
    """The name of the innermost place of a path that has one of its own; None for a segment."""
    if path.field is None:
        return None
    name = field(path.segment, path.field, version)
    for number in path.inner:
        inner = component(name.type, number, version) if name else None
        if inner is None:
            return name
        name = inner
    return name


def label(path: Path, version: str = "") -> str:
    """`PID-5.1 Family Name`; the path alone when nobody knows its name."""
    name = named(path, version)
    return f"{path} {name.text}" if name else str(path)


@cache
def segments() -> frozenset[str]:
    """Every segment that some version has."""
    return frozenset(key.partition("-")[0] for key in _table()[1] if "-" in key)


@lru_cache(maxsize=4096)
def _find(key: str, version: str) -> Name | None:
    versions, lines = _table()
    line = lines.get(key)
    if line is None:
        return None
    changes = dict(column.split(" ", 1) for column in line.split("\t"))
    at = versions.index(version) + 1 if version in versions else len(versions)
    for known in (*reversed(versions[:at]), *versions[at:]):
        if known in changes:
            return Name(*changes[known].split(" ", 1))
    return None


@cache
def _table() -> tuple[list[str], dict[str, str]]:
    text = (pkgutil.get_data(__package__, _FILE) or b"").decode("ascii")
    head, *lines = text.splitlines()
    keyed = (line.partition("\t") for line in lines)
    return head.split(" "), {key: rest for key, _, rest in keyed}
