"""server/watchers.py: the fence of what looks after a running engine."""

import asyncio
from types import SimpleNamespace

from portico.server import watchers
from portico.server.watchers import Watchers


async def test_a_watcher_that_fails_is_said_and_looks_again(monkeypatch):
    """One fault of ours never ends the alarms for good."""
    monkeypatch.setattr(watchers, "_AGAIN", 0)
    events, looks, done = [], [], asyncio.Event()
    house = SimpleNamespace(base=SimpleNamespace(emit=events.append))
    one = object.__new__(Watchers)
    one._house = house

    async def look():
        looks.append(1)
        if len(looks) < 3:
            raise KeyError("a name that nobody prints")
        done.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(one._again(look))
    await asyncio.wait_for(done.wait(), 5)
    task.cancel()

    assert [event.code for event in events] == ["KeyError", "KeyError"]
    assert all(event.at.startswith("test_watchers.py:") for event in events)
