"""TLS on a server of asyncio: the newest certificate for each peer, and a word of who failed.

`create_server(ssl=...)` keeps one context for good and drops such a peer in silence.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from portico.errors import HandshakeBroken
from portico.spec.fields import HostPort
from portico.tls import faults
from portico.tls.certificates import Secured

HANDSHAKE = 10.0  # seconds at most, however long a peer may be silent later

Make = Callable[[], asyncio.Protocol]


def _anybody(peer: HostPort) -> bool:
    return True


def _nothing() -> None:
    pass


class Handshake(asyncio.Protocol):
    """What a peer meets that has connected, until TLS stands; then what `make` makes.

    patience: seconds; refused: told of each peer (`host:port`) that did not get in, and why.
    admit: whether this peer may begin, else it is closed at once; over: called when the
    handshake of one that might is done, however it ended.
    """

    def __init__(
        self,
        make: Make,
        secured: Secured,
        patience: float,
        refused: Callable[[str, HandshakeBroken], None],
        admit: Callable[[HostPort], bool] = _anybody,
        over: Callable[[], None] = _nothing,
    ) -> None:
        self._make, self._secured = make, secured
        self._patience, self._refused = patience, refused
        self._admit, self._over = admit, over
        self._early: list[bytes] = []  # came with the end of the handshake
        self._ended = False

    def connection_made(self, transport: Any) -> None:
        """asyncio: TCP is connected."""
        host, port, *_ = transport.get_extra_info("peername")
        peer = HostPort(host, port)
        if not self._admit(peer):
            transport.abort()
            return
        transport.pause_reading()
        self._shaking = asyncio.ensure_future(self._shake(transport, peer))
        self._shaking.add_done_callback(lambda _: self._over())

    def data_received(self, data: bytes) -> None:
        """asyncio: TLS stands, and `_shake` has not heard of it yet."""
        self._early.append(data)

    def eof_received(self) -> None:
        """asyncio: the same."""
        self._ended = True

    async def _shake(self, transport: Any, peer: HostPort) -> None:
        try:
            secure: Any = await asyncio.get_running_loop().start_tls(
                transport,
                self,
                self._secured.context,
                server_side=True,
                ssl_handshake_timeout=self._patience,
            )
        except OSError as error:
            self._refused(str(peer), _why(error))
        else:
            if secure is not None:  # the peer is there still
                self._hand_over(secure)

    def _hand_over(self, transport: Any) -> None:
        protocol = self._make()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        for data in self._early:
            protocol.data_received(data)
        if self._ended:
            protocol.eof_received()


def _why(error: OSError) -> HandshakeBroken:
    if isinstance(error, ssl.SSLError):
        return faults.of(error)
    late = isinstance(error, ConnectionAbortedError)  # asyncio's word for it
    return faults.fault("timeout" if late else "closed")
