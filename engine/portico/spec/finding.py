"""A Finding: one thing that is wrong, or worth knowing, in a site's files."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error keeps the engine from starting; a warning and an info do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One finding.

    path: relative to the site's root, with `/`. line: from 1, or 0 for the file as a whole.
    key: dotted keys, items from 1 (`steps[2].filter.keep`), or empty. hint: what would be
    right. code: stable, explained in check.codes.CODES and docs/errors.md.
    """

    path: str
    line: int
    key: str
    text: str
    hint: str
    code: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        """`channels/adt.yaml:14 source.limit: no such size; try '16MiB'  [config.size]`."""
        place = f"{self.path}:{self.line}" if self.line else self.path
        mark = "" if self.severity is Severity.ERROR else f"{self.severity}: "
        subject = f" {self.key}:" if self.key else ":"
        hint = f"; {self.hint}" if self.hint else ""
        return f"{place}{subject} {mark}{self.text}{hint}  [{self.code}]"


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that keep the engine from starting."""
    return tuple(each for each in findings if each.severity is Severity.ERROR)


def key_text(location: Iterable[str | int]) -> str:
    """A location as people read it, items from 1: `steps[2].filter.keep`."""
    text = ""
    for part in location:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")
