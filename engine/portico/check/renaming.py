"""`was`: the name that a noun had is nobody's name now, and went to one noun alone."""

from collections.abc import Iterator

from portico.check.draft import Draft
from portico.spec.finding import Finding


def findings(draft: Draft) -> Iterator[Finding]:
    """Old names that are still in use, or claimed twice."""
    claimed: dict[tuple[str, str], str] = {}
    for (noun, name), document in draft.named.items():
        was = document.value.get("was") if isinstance(document.value, dict) else None
        if not isinstance(was, str):
            continue
        first = claimed.setdefault((noun, was), name)
        if other := draft.named.get((noun, was)):
            text = f"there is still a {noun} {was!r}"
            hint = f"see {other.path}:{other.line}; `was` names one that is gone"
            yield document.finding(("was",), "site.was", text, hint)
        elif first != name:
            text, hint = f"{noun} {first!r} was {was!r}, too", "it can go to one of them only"
            yield document.finding(("was",), "site.was", text, hint)
