"""server/service.py: what runs beside the engine."""

import asyncio

from portico.server.service import Service


async def test_a_fault_beside_the_engine_is_said():
    """A control socket that cannot be made, a reload that breaks: neither is silent."""
    service, events = object.__new__(Service), []
    service._loop, service._tasks = asyncio.get_running_loop(), set()
    service._emit = events.append

    async def broken():
        raise OSError("a path that nobody prints")

    service._task(broken())
    service._task(asyncio.sleep(0))
    while service._tasks:
        await asyncio.sleep(0)

    assert [event.code for event in events] == ["OSError"]
    assert events[0].at.startswith("test_service.py:")
