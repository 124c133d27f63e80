"""Agents of a few steps, run over one message as a worker would."""

import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from portico.agents.item import Item
from portico.agents.plan import compile_plan
from portico.agents.run import run
from portico.spec.rules import StepReader

MESSAGE = (
    b"MSH|^~\\&|HIS|HOSP|LAB|L|20260131120000||ADT^A01^ADT_A01|77|P|2.5.1||||||UNICODE UTF-8\r"
    b"EVN|A01|20260131120000\r"
    b'PID|1||123^^^HOSP^MR~9^^^STATE^SS||muster^max||19800131|M||""|A\\T\\B\r'
    b"PV1|1|I\r"
    b"OBX|1|NM|WBC||5.5\r"
    b"OBX|2|ED|PDF||^^^Base64^JVBE\r"
    b"OBX|3|TX|NOTE||hello\r"
)
SIGNAL = bytes.fromhex("0199a1b2c3d47000800000000000abcd")
_numbers = itertools.count(1)


@dataclass
class Trial:
    """A site folder, and agents run in it."""

    root: Path

    def table(self, name, text):
        """Write a table of the site."""
        folder = self.root / "transforms/tables"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.csv").write_text(text)

    def module(self, text):
        """Write a transform; its dotted name, which no other test uses."""
        name = f"trial_{next(_numbers)}"
        (self.root / f"{name}.py").write_text(text)
        return name

    def plan(self, *steps, **more):
        """The plan of raw steps; further keys are the agent's."""
        wrong = []
        reader = StepReader(
            lambda spot: f"channels/a.yaml:{spot[1] + 1}", lambda *e: wrong.append(e)
        )
        document = {
            "agent": "trial",
            "on": {"channel": "in"},
            "content": more.pop("content", "hl7"),
            "on_error": reader.on_error(more.pop("on_error", None)),
            "steps": reader.steps(list(steps)),
            **more,
        }
        assert not wrong
        return compile_plan(document, self.root)

    def run(self, *steps, given=MESSAGE, envelope=None, **more):
        """The result of raw steps over a content."""
        words = {"channel": "in", "type": "ADT^A01", "received": 1_790_000_000_000_000_000}
        item = Item(SIGNAL, given, words | (envelope or {}), "key")
        return run(self.plan(*steps, **more), item, time.monotonic_ns)

    def out(self, *steps, given=MESSAGE, **more):
        """The bytes that the steps and a last `send` let out."""
        result = self.run(*steps, {"send": "lab"}, given=given, **more)
        assert result.failure is None
        content = result.outputs[-1].content
        return given if content is None else content


@pytest.fixture
def trial(tmp_path, monkeypatch):
    """A fresh site; its folder is on the import path, as in a worker."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return Trial(tmp_path)
