"""Twisted's reactor, by a clock that nobody sets.

Twisted's own keeps its timers by the wall clock: one that is set back an hour (by NTP, by a
person) holds every time-out, retry and poll for an hour, and one that is set forward ends
them all at once.
"""

import asyncio
import time
from typing import Any


def started(loop: asyncio.AbstractEventLoop) -> Any:
    """The process's one reactor, on this loop, running; it handles no signals.

    To be called before anything imports `twisted.internet.reactor`.
    """
    from twisted.internet.asyncioreactor import AsyncioSelectorReactor
    from twisted.internet.main import installReactor

    class Steady(AsyncioSelectorReactor):
        seconds = staticmethod(time.monotonic)

    reactor = Steady(loop)
    installReactor(reactor)  # type: ignore[no-untyped-call]
    reactor.startRunning(installSignalHandlers=False)
    return reactor
