"""uvicorn as a task of the engine's loop: no signal handlers, no log lines of its own."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn

from portico.api import resources
from portico.api.port import EnginePort
from portico.api.who import NamedPeer

Door = Callable[[Callable[[], asyncio.Protocol]], asyncio.Protocol]


class _Server(uvicorn.Server):
    """The engine's signals are its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def run(engine: EnginePort, listening: socket.socket, grace: int) -> None:
    """Serve /v1 until cancelled, then let open requests end within `grace` seconds."""
    await run_application(resources.build(engine), listening, grace)


async def run_application(
    application: Any, listening: socket.socket, grace: int, door: Door | None = None
) -> None:
    """The same for any ASGI application. door: what meets a peer before HTTP does."""
    config: Any = uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        ws="none",
        loop="none",
        timeout_graceful_shutdown=grace,
        http=NamedPeer,
        server_header=False,
    )
    config.load()
    if door is not None:
        config.http_protocol_class = lambda **given: door(partial(NamedPeer, **given))
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
