"""The engine's own ports, metrics and API: opened at the start, tried again while taken."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from portico.errors import ListenFailed
from portico.events.emit import Emit
from portico.events.operating import PortRefused
from portico.spec.fields import HostPort

_FIRST, _MOST = 1.0, 60.0  # seconds between tries

Serve = Callable[[socket.socket], Awaitable[None]]


def listen(what: str, where: HostPort) -> socket.socket:
    """A listening socket. Raises ListenFailed."""
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((where.host, where.port))
        listening.listen(16)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        text = f"{what} cannot listen on {where}: {error.strerror}"
        raise ListenFailed(text) from error
    return listening


class Door:
    """One port. The first try is made at once: what listens at all does before `ready`."""

    def __init__(self, what: str, where: HostPort, emit: Emit) -> None:
        self._what, self._where = what, where
        self._listening: socket.socket | None = None
        try:
            self._listening = listen(what, where)
        except ListenFailed as error:
            emit(PortRefused(error.code, str(error)))

    async def serve(self, serve: Serve) -> None:
        """Serve until cancelled, as soon as the port is free."""
        wait = _FIRST
        while self._listening is None:
            await asyncio.sleep(wait)
            wait = min(wait * 2, _MOST)
            try:
                self._listening = listen(self._what, self._where)
            except ListenFailed:
                continue
        await serve(self._listening)
