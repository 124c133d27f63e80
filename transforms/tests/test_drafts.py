"""A drafted transform is looked at before a person is, and ours does what it says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from portico.authoring import Permanent
from transforms import drafts

RECORDED = Path(__file__).parents[1] / "prompts/recorded.json"
GOOD = "from portico.authoring import Message\n\ndef convert(msg: Message) -> None:\n    pass\n"
TEST = "def test_it():\n    pass\n"


def draft():
    """The recorded one."""
    answers = json.loads(RECORDED.read_bytes())["recorded"].values()
    return next(answer for answer in answers if "transform" in answer)


def test_a_transform_with_a_test_passes():
    """It returns nothing: the message goes on as it is."""
    assert drafts.check({}, GOOD, TEST) is None


@pytest.mark.parametrize(
    ("transform", "tests"),
    [
        ("def convert(", TEST),
        ("x = 1", TEST),
        (GOOD, "x = 1"),
        (GOOD, "def test_it("),
        ("import os\n" + GOOD, TEST),
        ("from . import x\n" + GOOD, TEST),
        ("from portico.journal import calls\n" + GOOD, TEST),
        (GOOD + "eval('1')\n", TEST),
        (GOOD + "().__class__\n", TEST),
        (GOOD + "def f():\n    import socket\n", TEST),
        ("(" * 5000, TEST),
    ],
)
def test_what_is_no_transform_is_refused(transform, tests):
    """Nobody is asked to read it."""
    with pytest.raises(Permanent):
        drafts.check({}, transform, tests)


def test_the_recorded_draft_passes_its_own_tests(tmp_path):
    """What the demo shows works: module and tests, in a process of their own."""
    drafted = draft()
    drafts.check({}, drafted["transform"], drafted["tests"])
    (tmp_path / "ambulance.py").write_text(drafted["transform"])
    (tmp_path / "test_ambulance.py").write_text(drafted["tests"])

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout
    assert "12 passed" in done.stdout
