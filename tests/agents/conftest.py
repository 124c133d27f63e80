"""Agents written as YAML texts, read as the engine reads them, and run as a worker would."""

import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from portico.agents.item import Item
from portico.agents.plan import compile_plan
from portico.agents.run import run
from portico.spec import agent as agents
from portico.spec.document import parse

_numbers = itertools.count(1)


@dataclass
class Site:
    """A site's folder, and its agents by name."""

    root: Path
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self, name: str, text: str) -> None:
        """A file of the site."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def module(self, text: str) -> str:
        """A module that no other test uses; its name."""
        name = f"site_{next(_numbers)}"
        self.write(f"{name}.py", text)
        return name

    def read(self, text: str, content: str = "hl7") -> None:
        """Take the agents of a YAML text."""
        documents, findings = parse(text, "channels/a.yaml")
        assert findings == []
        for document in documents:
            if document.noun == "agent":
                reading = agents.read(document, document.value)
                assert reading.findings == []
                self.documents[reading.agent.name] = reading.agent.plain() | {
                    "content": content
                }

    def plan(self, name: str):
        """The compiled agent."""
        return compile_plan(self.documents[name], self.root)

    def run(self, name: str, content: bytes, **envelope):
        """The agent's result for one content."""
        words = {"channel": "in", "type": "", "received": 1_790_000_000_000_000_000, **envelope}
        item = Item(bytes(range(16)), content, words, "key")
        return run(self.plan(name), item, time.monotonic_ns)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A fresh site on the import path, as in a worker."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return Site(tmp_path)
