"""The start of the process: what must be there first, while the rest is loaded beside it."""

import asyncio
import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from portico.check.site import load_site
from portico.clock import SystemClock
from portico.server.ground import Ground
from portico.workers.nursery import Nursery

AGAIN = -1  # not an exit code: this process is to begin anew
_SERVICE = "portico.server.service"
_TURN = 0.001  # seconds that a thread computes before the loop has its turn


def run(root: Path, environ: Mapping[str, str] = os.environ) -> int:
    """Run the appliance on a site until it is told to stop; the exit code, or AGAIN.

    Raises SiteInvalid with all findings before anything is started.
    """
    site = load_site(root, environ)
    clock = SystemClock()
    nursery = Nursery(clock, site.config.workers.preload, environ)
    nursery.start()  # before the reactor: it must inherit nothing of it
    ground = Ground(site, environ, clock)
    sys.setswitchinterval(_TURN)  # what other threads do is less urgent
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        ground.begin(loop)
        loading = asyncio.to_thread(importlib.import_module, _SERVICE)
        service = loop.run_until_complete(loading).Service(
            site, environ, clock, loop, nursery, ground
        )
        code: int = loop.run_until_complete(service.live())
        return code
    finally:
        _leave(loop)


def _leave(loop: asyncio.AbstractEventLoop) -> None:
    """Close it. What is under way still, such as a handshake whose peer is silent, is ended."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=1.0))
    loop.close()
