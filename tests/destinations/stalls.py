"""The engine's loop held up, as by a machine that swaps or a step that computes."""

import time
from collections.abc import Callable
from typing import Any


def stall(seconds: float, call: Callable[..., Any], *args: Any) -> None:
    """Nothing else runs in this thread for so long; `call` at the beginning of it."""
    began = time.monotonic()
    call(*args)
    while time.monotonic() - began < seconds:
        pass
