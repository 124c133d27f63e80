"""check/codes.py: the codes of findings are stable, and complete."""

import re
from pathlib import Path

from portico.check.codes import CODES, UNREAD

ENGINE = Path(__file__).parents[2] / "engine/portico"
PARSED = {"host_port", "switch", "count", "name", "duration", "size"}


def test_every_code_that_the_engine_says_is_explained():
    """No finding carries a code that nobody can look up."""
    said = {f"config.{name}" for name in PARSED}
    for path in ENGINE.rglob("*.py"):
        if path.name not in ("codes.py", "errors.py"):
            said |= set(re.findall(r'"((?:config|site|yaml)\.[a-z_]+)"', path.read_text()))

    assert said <= CODES.keys()


def test_codes_of_unreadable_files_are_codes():
    """A misspelt one would never fit."""
    assert UNREAD <= CODES.keys()
