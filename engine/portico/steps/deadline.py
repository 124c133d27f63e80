"""A soft deadline: what runs too long is interrupted inside its own process.

The pool's kill stands behind it for code that cannot be interrupted.
"""

import signal
import threading
from collections.abc import Callable
from functools import cache
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


class Expired(BaseException):
    """Raised in the middle of what ran too long; no Exception, so site code lets it pass."""


def call(seconds: float, function: Callable[..., T], *args: Any, **named: Any) -> T:
    """The function's value, or Expired once that many seconds of wall clock have passed.

    Only the main thread can be interrupted, so elsewhere there is no limit. SIGALRM belongs
    to this module.
    """
    if threading.current_thread() is not threading.main_thread():
        return function(*args, **named)
    _install()
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return function(*args, **named)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@cache
def _install() -> None:
    """Once a process: it costs as much as a field's edit."""
    signal.signal(signal.SIGALRM, _expire)


def _expire(number: int, frame: FrameType | None) -> None:
    raise Expired
