"""Sites written into a temporary folder, and what `check` says of them."""

from pathlib import Path

import pytest

from portico.check.site import examine
from portico.spec.finding import Severity


class SiteFolder:
    """A site's folder; `files` are paths below it and their text."""

    def __init__(self, root):
        self.root = root
        self.environ = {}

    def write(self, files):
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text) if isinstance(text, str) else path.write_bytes(text)

    def examine(self):
        return examine(self.root, self.environ)

    def said(self, *documents):
        """Code, line and key of every finding that is not mere information."""
        self.write({"channels/a.yaml": "---\n".join(documents)})
        _, found = self.examine()
        return [(f.code, f.line, f.key) for f in found if f.severity is not Severity.INFO]


@pytest.fixture
def site(tmp_path: Path) -> SiteFolder:
    return SiteFolder(tmp_path)
