"""/v1 on a TCP port, where the site asks for it by `api.listen`, behind a bearer token and,
beyond the loopback, TLS.
"""

import asyncio
import importlib
import socket
from functools import partial
from pathlib import Path

from portico.api.port import EnginePort
from portico.errors import HandshakeBroken
from portico.events.emit import Emit
from portico.events.securing import HandshakeFailed
from portico.tls.certificates import Secured

_GRACE = 2


async def serve(
    engine: EnginePort, data: Path, secured: Secured | None, listening: socket.socket
) -> None:
    """Serve until cancelled. Raises OSError when the token cannot be kept."""
    http = await asyncio.to_thread(importlib.import_module, "portico.api.http")
    guard = importlib.import_module("portico.api.guard")
    resources = importlib.import_module("portico.api.resources")
    try:
        application = guard.Guard(resources.build(engine), guard.token(data), engine.tell)
        tls = secured.lasting(partial(_unproven, engine.tell)) if secured is not None else None
        await http.run_application(application, listening, _GRACE, tls)
    finally:
        listening.close()


def _unproven(tell: Emit, fault: HandshakeBroken) -> None:
    """A handshake failed; uvicorn says nothing of it."""
    tell(HandshakeFailed("", "", fault.word, str(fault)))
