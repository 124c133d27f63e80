"""server/telling.py: alarms on their way to sinks."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

from portico.clock import SystemClock
from portico.server import telling
from portico.server.telling import Notice, Teller


async def test_a_full_queue_gives_up_its_oldest_and_no_other(monkeypatch):
    """What is being told when the queue overflows is told, and so is all behind it."""
    monkeypatch.setattr(telling, "_MOST", 2)
    sink = SimpleNamespace(mail=None, webhook="")
    teller = Teller(lambda: {"desk": sink}, Path(), {}, SystemClock(), [].append, lambda: 0.0)
    told, room = [], asyncio.Semaphore(0)

    async def send(name, notice):
        await room.acquire()
        told.append(notice.name)

    monkeypatch.setattr(teller, "_send", send)
    teller.tell(notice("first"), None)
    await asyncio.sleep(0)
    for name in ("second", "third", "fourth"):
        teller.tell(notice(name), None)
    for _ in range(3):
        room.release()
    await asyncio.wait_for(asyncio.gather(*teller._tasks.values()), 5)

    assert told == ["first", "third", "fourth"]
    assert teller.taken(("down", "destination", "second"))


def notice(name):
    """That a destination is down."""
    return Notice("open", "down", "destination", name, "", 0, 0)
