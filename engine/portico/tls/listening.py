"""A port that peers connect to, through the gate, with TLS where it is asked for."""

import asyncio
import ssl
from typing import Any, Protocol

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import ServerFactory

from portico import sockets
from portico.errors import HandshakeBroken, ListenFailed
from portico.gate import Gate
from portico.spec.fields import HostPort
from portico.tls.handshake import HANDSHAKE
from portico.tls.stream import SecureStream

_BACKLOG = 4096  # peers that may knock in the same instant, as after a restart


class PortOwner(Protocol):
    """Who owns a port: whom it lets in, and what speaks with them."""

    @property
    def gate(self) -> Gate:
        """Who may connect, and how many."""
        ...

    @property
    def patience(self) -> float:
        """Seconds of silence within what has begun."""
        ...

    def context(self) -> ssl.SSLContext | None:
        """TLS for the next peer, or None."""
        ...

    def connections(self) -> int:
        """How many are in."""
        ...

    def welcome(self, peer: str) -> Any:
        """The protocol that speaks with this peer (`host:port`)."""
        ...

    def turned_away(self, peer: str, code: str) -> None:
        """The gate was shut for this peer."""
        ...

    def unproven(self, peer: str, fault: HandshakeBroken) -> None:
        """This peer's handshake failed."""
        ...


class Listening(ServerFactory):
    """One open port."""

    noisy = False

    def __init__(self, reactor: Any, door: PortOwner) -> None:
        self._reactor = reactor
        self._door = door
        self._knocking: set[SecureStream] = set()
        self._port: Any = None

    def open(self, where: HostPort) -> None:
        """Listen. Raises ListenFailed with what is in the way."""
        try:
            self._port = self._reactor.listenTCP(where.port, self, _BACKLOG, where.host)
        except (CannotListenError, OSError) as error:
            text = sockets.in_the_way(getattr(error, "socketError", error))
            raise ListenFailed(f"{where}: {text}") from error

    async def close(self) -> None:
        """Accept no more; who is in stays in."""
        port, self._port = self._port, None
        if port is not None:
            await port.stopListening().asFuture(asyncio.get_running_loop())
        for stream in tuple(self._knocking):
            stream.abortConnection()

    @property
    def address(self) -> HostPort:
        """Where it listens, with the port that the system chose for port 0."""
        host = self._port.getHost()
        return HostPort(host.host, host.port)

    def buildProtocol(self, addr: Any) -> Any:
        """Twisted: a peer knocks. None closes it at once."""
        door, peer = self._door, str(HostPort(addr.host, addr.port))
        code = door.gate.refusal(addr.host, door.connections() + len(self._knocking))
        if code is not None:
            door.turned_away(peer, code)
            return None
        context = door.context()
        return door.welcome(peer) if context is None else self._secure(peer, context)

    def _secure(self, peer: str, context: ssl.SSLContext) -> SecureStream:
        door = self._door

        def ended(fault: HandshakeBroken | None) -> None:
            self._knocking.discard(stream)
            if fault is not None:
                door.unproven(peer, fault)

        stream = SecureStream(
            lambda: door.welcome(peer),
            context,
            None,
            self._reactor.callLater,
            min(door.patience, HANDSHAKE),
            ended,
        )
        self._knocking.add(stream)
        return stream
