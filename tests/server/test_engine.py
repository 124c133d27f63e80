"""server/engine.py: what a drain waits for, and what it lets nobody begin."""

import asyncio
from types import SimpleNamespace

from portico.clock import SystemClock
from portico.server.engine import Engine


def quiet(name, done):
    """An async verb that notes that it was called."""

    async def verb(*_):
        done.append(name)
        return True

    return verb


def draining(done):
    """An engine whose parts are twins."""
    engine = object.__new__(Engine)
    engine._lock, engine._search = asyncio.Lock(), None
    engine._base = SimpleNamespace(clock=SystemClock())
    channel = SimpleNamespace(
        stop=quiet("sources", done), intake=SimpleNamespace(stop=lambda: None)
    )
    sync = SimpleNamespace(stop=lambda: None, pause=lambda: None, clear=lambda: None)
    engine.house = SimpleNamespace(
        channels={"adt": channel},
        outboxes={},
        deferring=sync,
        dispatcher=sync,
        running=sync,
        recorded=sync,
        resuming=sync,
        editions=sync,
        broker=sync,
        pool=SimpleNamespace(stop=quiet("workers", done)),
        plugging=SimpleNamespace(stop=quiet("plugins", done)),
        modelling=SimpleNamespace(stop=quiet("models", done)),
        once=SimpleNamespace(settle=quiet("calls", done)),
    )
    engine.watchers = SimpleNamespace(stop=quiet("watchers", done))
    engine.messages = SimpleNamespace(stop=quiet("replays", done))
    engine.storage = SimpleNamespace(close=quiet("journal", done))
    return engine


async def test_a_reload_that_has_begun_ends_before_sources_close():
    """Half a swap would open sources that nobody closes again; what comes later waits."""
    done = []
    engine = draining(done)
    async with asyncio.timeout(10):
        await engine._lock.acquire()
        drain = asyncio.ensure_future(engine.drain())
        while "watchers" not in done:
            await asyncio.sleep(0)
        assert done == ["watchers"]
        done.append("swapped")
        engine._lock.release()
        await drain

    assert done == [
        "watchers",
        "swapped",
        "replays",
        "sources",
        "plugins",
        "models",
        "workers",
        "calls",
        "journal",
    ]
    assert engine._lock.locked()
