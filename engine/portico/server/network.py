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
from portico.tls.handshake import HANDSHAKE, Handshake, Make

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
        door = None if secured is None else partial(_met, secured, engine.tell)
        await http.run_application(application, listening, _GRACE, door)
    finally:
        listening.close()


def _met(secured: Secured, tell: Emit, make: Make) -> Handshake:
    """What meets a peer before HTTP does."""

    def refused(peer: str, fault: HandshakeBroken) -> None:
        tell(HandshakeFailed("", peer, fault.word, str(fault)))

    return Handshake(make, secured, HANDSHAKE, refused)
