"""Findings for people, for programs, and for a code review."""

from collections.abc import Iterable

import msgspec

from portico.check.codes import CODES
from portico.spec.finding import Finding, Severity

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
# What a workflow command may not hold, in its message and in its properties.
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def text(findings: Iterable[Finding]) -> str:
    """One line each, and a last line that counts them; `nothing to report` for none."""
    found = list(findings)
    lines = [str(each) for each in found]
    return "\n".join([*lines, summary(found)]) + "\n"


def summary(findings: Iterable[Finding]) -> str:
    """`2 errors, 1 warning`."""
    found = [each.severity for each in findings]
    counts = [(found.count(kind), kind.value) for kind in Severity]
    words = [f"{count} {_plural(word, count)}" for count, word in counts if count]
    return ", ".join(words) or "nothing to report"


def json(findings: Iterable[Finding]) -> str:
    """A JSON list of objects: path, line, key, text, hint, code, severity, meaning."""
    rows = [
        {**msgspec.to_builtins(each), "meaning": CODES.get(each.code, "")} for each in findings
    ]
    return msgspec.json.encode(rows).decode() + "\n"


def annotations(findings: Iterable[Finding]) -> str:
    """Workflow commands that put each finding beside its line of a change on GitHub.

    Source: GitHub Actions, "Workflow commands", setting an error message.
    """
    return "".join(f"{_annotation(each)}\n" for each in findings)


def _annotation(finding: Finding) -> str:
    line = f",line={finding.line}" if finding.line else ""
    key = f"{finding.key}: " if finding.key else ""
    hint = f"; {finding.hint}" if finding.hint else ""
    place = f"file={_escaped(finding.path, _PROPERTY)}{line}"
    title = _escaped(finding.code, _PROPERTY)
    said = _escaped(f"{key}{finding.text}{hint}", _DATA)
    return f"::{_COMMANDS[finding.severity]} {place},title={title}::{said}"


def _escaped(words: str, table: dict[str, str]) -> str:
    return "".join(table.get(letter, letter) for letter in words)


def _plural(word: str, count: int) -> str:
    return word if count == 1 or word == "info" else f"{word}s"
