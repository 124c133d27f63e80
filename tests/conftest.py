"""What every test may ask for: the reactor on the tests' own loop, and real journals."""

import asyncio
import sys
from typing import Any

import pytest


@pytest.fixture(scope="session")
async def reactor() -> Any:
    """Twisted's reactor, running on the event loop that all asynchronous tests share.

    Bridge to it with `deferred.asFuture(asyncio.get_running_loop())`; it is never stopped,
    because stopping it would stop the loop.
    """
    from twisted.internet import asyncioreactor

    assert "twisted.internet.reactor" not in sys.modules, (
        "a module imported the reactor too early"
    )
    asyncioreactor.install(asyncio.get_running_loop())
    from twisted.internet import reactor as running

    running.startRunning(installSignalHandlers=False)
    yield running
    running.disconnectAll()
    if running.threadpool is not None:
        running.threadpool.stop()
