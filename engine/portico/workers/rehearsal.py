"""A site of one step, loaded and run in the parent of all workers before the first fork.

What Python makes at the first use of a thing (caches, compiled patterns, quickened code) is
made once here and shared, where each worker would make it in pages of its own.
"""

import sys
from pathlib import Path
from typing import Any

from portico.agents import plan as plans
from portico.agents import run as runs
from portico.agents.item import Item
from portico.clock import SystemClock
from portico.workers import cage

_ROUNDS = 10  # the interpreter quickens a function at its eighth call
_POOL = 16 << 10  # bytes that Python's allocator takes at a time, for objects of one size
_STEP = {"name": "same", "at": "", "when": None, "on_error": None}
_DOCUMENT: dict[str, Any] = {
    "agent": "rehearsal",
    "on": {"channel": "in"},
    "steps": [
        {**_STEP, "verb": "python", "args": {"call": "portico_rehearsal:same"}},
        {**_STEP, "verb": "send", "args": {"to": ["out"]}},
    ],
}
_CONTENTS = (b"MSH|^~\\&|A|B|||||ADT^A01|1|P|2.5\rPID|1||2^^^3\r", b'{"a": 1}')


def rehearse(folder: Path) -> None:
    """Make the site in this folder, and do with it what a worker does with its own."""
    name = "portico_rehearsal"
    (folder / f"{name}.py").write_text("def same(content):\n    return content\n")
    finder = cage.SiteFinder(folder)
    sys.meta_path.insert(0, finder)
    cage.features()
    for _ in range(_ROUNDS):
        plan = plans.compile_plan(_DOCUMENT, folder)
        for content in _CONTENTS:
            item = Item(bytes(16), content, {"channel": "in", "type": ""})
            runs.run(plan, item, SystemClock.monotonic_ns)
    sys.meta_path.remove(finder)
    del sys.modules[name]


def fill() -> list[bytes]:
    """Small objects for the gaps that loading has left between others: keep them, and what a
    worker makes lies together in new pages instead of all over the shared ones."""
    return [bytes(size - 33) for size in range(48, 513, 16) for _ in range(2 * _POOL // size)]
