"""`${env:NAME}` in texts that are no secrets (an address for each environment): replaced when
the file is read."""

import re
from collections.abc import Mapping
from typing import Any

from portico.spec.document import Document
from portico.spec.finding import Finding
from portico.spec.secrets import REFERENCE, Expanded


def expand(
    document: Document, environ: Mapping[str, str], skip: tuple[str, ...] = ()
) -> tuple[Any, list[Finding]]:
    """The document's value with every `${env:NAME}` replaced, except below top keys `skip`."""
    findings: list[Finding] = []

    def walk(value: Any, at: tuple[str | int, ...]) -> Any:
        if isinstance(value, dict):
            return {
                k: v if not at and k in skip else walk(v, (*at, k)) for k, v in value.items()
            }
        if isinstance(value, list):
            return [walk(each, (*at, number)) for number, each in enumerate(value)]
        if "${" not in value:
            return value
        return _expanded(value, document, at, environ, findings)

    return walk(document.value, ()), findings


def _expanded(
    text: str,
    document: Document,
    at: tuple[str | int, ...],
    environ: Mapping[str, str],
    findings: list[Finding],
) -> str:
    def value(match: re.Match[str]) -> str:
        kind, target = match.groups()
        if kind != "env":
            return match[0]
        if target not in environ:
            complaint = f"there is no environment variable {target!r}"
            findings.append(document.finding(at, "config.env_missing", complaint))
        return environ.get(target, match[0])

    return Expanded.of(REFERENCE.sub(value, text), text)
