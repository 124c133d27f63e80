"""uvicorn as a task of the engine's loop: no signal handlers, no log lines of its own."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from portico.api import resources
from portico.api.port import EnginePort
from portico.api.who import NamedPeer


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
    application: Any, listening: socket.socket, grace: int, tls: ssl.SSLContext | None = None
) -> None:
    """The same for any ASGI application, with TLS where there is a context."""
    config = uvicorn.Config(
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
    config.ssl = tls
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
