"""How the documents of a site fit together."""

from collections.abc import Iterator

from portico.check.draft import Draft
from portico.spec.finding import Finding


def findings(draft: Draft) -> Iterator[Finding]:
    """Everything between documents, and between documents and the site's files."""
    yield from ()
