"""What listeners and destinations ask of a TCP socket beyond what the reactor gives."""

import socket
from typing import Any

_PROBES = 3


def probe(transport: Any, seconds: float) -> None:
    """Find a peer that has gone without a word within `seconds` (M6); forever: never.

    Keep-alive probes watch a silent connection, TCP_USER_TIMEOUT one with bytes on the way;
    the kernel counts whole seconds, and at least one each.
    """
    if seconds == float("inf"):
        return
    handle = transport.getHandle()
    rest = max(1, int(seconds / (_PROBES + 1)))
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, rest)
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, rest)
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
