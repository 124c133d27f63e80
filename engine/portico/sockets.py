"""What listeners and destinations ask of a TCP socket beyond what the reactor gives."""

import errno
import os
import socket
from collections.abc import Callable
from typing import Any

_PROBES = 3
_LONGEST = 32_767 * (_PROBES + 1)  # seconds; Linux takes no longer rest between probes
_IN_THE_WAY = {
    errno.EADDRINUSE: "another program listens there",
    errno.EACCES: "ports below 1024 need a privilege that we do not have",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


def in_the_way(error: BaseException) -> str:
    """Why an address cannot be listened at, for people."""
    number = getattr(error, "errno", None) or 0
    return _IN_THE_WAY.get(number) or os.strerror(number)


def probe(transport: Any, seconds: float) -> None:
    """Find a peer that has gone without a word within `seconds` (M6), or within a day and a
    half if that is sooner; forever: never.

    Keep-alive probes watch a silent connection, TCP_USER_TIMEOUT one with bytes on the way;
    the kernel counts whole seconds, and at least one each.
    """
    if seconds == float("inf"):
        return
    seconds = min(seconds, _LONGEST)
    handle = transport.getHandle()
    rest = max(1, int(seconds / (_PROBES + 1)))
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, rest)
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, rest)
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def outlet(transport: Any, drained: Callable[[], None]) -> Any:
    """Where to write to this transport: an Outlet, or what the transport itself offers."""
    own = getattr(transport, "outlet", None)
    return Outlet(transport, drained) if own is None else own(drained)


class Outlet:
    """Writes to a plain TCP transport: to the kernel at once, by the reactor what is left.

    The reactor's own write costs two changes of its poll set and a turn of the loop each: a
    stop-and-wait round took 22 us with it and takes 11 us so. Once a write does not fit, the
    transport pulls the rest, in order, and `drained` is called when all of it has left.
    Closing the transport (loseConnection) waits for the rest too.
    """

    __slots__ = ("_drained", "_rest", "_send", "_transport", "pulling")

    def __init__(self, transport: Any, drained: Callable[[], None]) -> None:
        self._transport = transport
        self._send = transport.getHandle().send
        self._drained = drained
        self._rest: list[bytes] = []
        self.pulling = False  # the peer does not take what was written, or has gone

    def write(self, data: bytes) -> None:
        """Write in order. A peer that has gone takes nothing more, and shows as the
        transport's connectionLost."""
        if self.pulling:
            self._rest.append(data)
            return
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.pulling = True
            self._transport.abortConnection()
            return
        if sent < len(data):
            self._rest.append(data[sent:])
            self.pulling = True
            self._transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """Twisted: there is room for more."""
        if self._rest:
            rest, self._rest = b"".join(self._rest), []
            self._transport.write(rest)
        else:
            self.pulling = False
            self._transport.unregisterProducer()
            self._drained()

    def stopProducing(self) -> None:
        """Twisted: the connection has gone."""
        self._rest.clear()
