"""TLS on a Twisted stream, by Python's own ssl: one context type for every part of the engine.

A SecureStream stands between the TCP transport and the protocol of a listener or destination:
protocol to the one, transport to the other. The inner protocol is connected only when the
handshake is done, pins and names included, so whatever it reads comes from a peer that may be
there. An end without close_notify counts as a lost connection, never as an orderly end: an
attacker can cut a stream. Nothing is renegotiated. Plain text waits in pieces until
the peer has taken what was encrypted, so one large message is in memory once.
Source: RFC 8446 section 6.1; RFC 5246 section 7.2.1.
"""

import ssl
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from portico.errors import HandshakeBroken
from portico.sockets import Outlet
from portico.tls import faults

Later = Callable[[float, Callable[[], None]], Any]

_PIECE = 64 << 10  # bytes of plain text encrypted at a time
_READ = 64 << 10
_HANDSHAKE, _ALERT = 0x16, 0x15  # the first byte of a record that may come first


@implementer(IHalfCloseableProtocol)
class SecureStream(StreamProtocol):
    """One connection. user: the common name that the peer proved, or empty.

    make: makes the inner protocol, when the handshake is done. host: the peer's name when we
    dialled, None when it did. patience: seconds for the handshake. ended: called once, with
    None once the inner protocol is connected, else with why it never will be.
    """

    transport: Any

    def __init__(
        self,
        make: Callable[[], Any],
        context: ssl.SSLContext,
        host: str | None,
        later: Later,
        patience: float,
        ended: Callable[[HandshakeBroken | None], None],
    ) -> None:
        self.user = ""
        self._make = make
        self._inner: Any = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=host is None, server_hostname=host
        )
        self._later, self._patience, self._ended = later, patience, ended
        self._timer: Any = None
        self._begun = self._up = self._heard = self._over = False
        self._closing = self._half = self._said_bye = False  # half: our end is to be told
        self._fault: HandshakeBroken | None = None
        self._rest: deque[memoryview] = deque()  # plain text not yet encrypted
        self._drained: Callable[[], None] | None = None

    # What the TCP transport calls.

    def connectionMade(self) -> None:
        """Twisted: TCP is connected; the client begins."""
        self._outlet = Outlet(self.transport, self._go_on)
        self._timer = self._later(self._patience, self._late)
        self._shake()

    def dataReceived(self, data: bytes) -> None:
        """Twisted: one read."""
        if self._over:
            return
        if not self._begun and data[0] not in (_HANDSHAKE, _ALERT):
            self._fail(faults.fault("not_tls"))
            return
        self._begun = True
        self._incoming.write(data)
        if not self._up:
            self._shake()
        if self._up:
            self._read()

    def readConnectionLost(self) -> None:
        """Twisted: TCP brings no more. After a close_notify answers may still leave."""
        if self._said_bye or self._over:
            return
        if self._up:
            self._fault = faults.fault("cut")
            self.abortConnection()
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Twisted: our half is closed; only we close it."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted: it is over."""
        self._over = True
        self._rest.clear()
        self._stop_timer()
        if self._up:
            self._inner.connectionLost(_failure(self._fault) if self._fault else reason)
        elif self._fault is None:
            self._fault = faults.fault("closed")
            self._ended(self._fault)

    # What the inner protocol calls of its transport.

    @property
    def admitted(self) -> bool:
        """The peer has judged us. With TLS 1.3 our handshake is done before that of a peer that
        we dialled, and only its first ticket tells, which not every peer sends.
        """
        if self._tls.server_side or self._tls.version() != "TLSv1.3":
            return True
        session = self._tls.session
        return session is not None and session.has_ticket

    def outlet(self, drained: Callable[[], None]) -> "SecureStream":
        """Where to write; see sockets.Outlet."""
        self._drained = drained
        return self

    @property
    def pulling(self) -> bool:
        """The peer does not take what was written, or nothing leaves any more."""
        return self._over or self._closing or bool(self._rest) or self._outlet.pulling

    def write(self, data: bytes) -> None:
        """Write in order."""
        if self._over or self._closing:
            return
        self._rest.append(memoryview(data))
        self._pump()

    def pauseProducing(self) -> None:
        """Read nothing for a while."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        self.transport.resumeProducing()

    def loseConnection(self) -> None:
        """Close, when all that was written has left."""
        self._closing = True
        if not self._rest:
            self._bye()

    def loseWriteConnection(self) -> None:
        """End our half, when all that was written has left; what comes is still read."""
        self._half = True
        if not self._rest:
            self._say_bye()

    def abortConnection(self) -> None:
        """Close now."""
        self._over = True
        self.transport.abortConnection()

    def getHandle(self) -> Any:
        """The socket, for its options."""
        return self.transport.getHandle()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._flush()  # an alert, which tells the peer
            self._fail(faults.of(error))
        else:
            self._flush()
            self._stop_timer()
            self._up = True
            self.user = _common_name(self._tls.getpeercert())
            self._inner = self._make()
            self._inner.makeConnection(self)
            self._ended(None)

    def _read(self) -> None:
        """Hand up what these bytes hold, whole, then how it ended if it did."""
        pieces, bye = [], False
        try:
            while self._incoming.pending or self._tls.pending():
                piece = self._tls.read(_READ)
                if not piece:
                    bye = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            bye = True  # as an empty read, once our own half has ended
        except ssl.SSLError as error:
            self._fault = faults.of(error)
            self._fault.unread = not (self._heard or pieces) and faults.unread(error)
        self._flush()
        if pieces:
            self._heard = True
            self._inner.dataReceived(b"".join(pieces))
        if self._fault is not None:
            self.abortConnection()
        elif bye and not self._over:
            self._said_bye = True
            self._half_closed()

    def _half_closed(self) -> None:
        if IHalfCloseableProtocol.providedBy(self._inner):
            self._inner.readConnectionLost()
        else:
            self.loseConnection()

    def _pump(self) -> None:
        """Encrypt while the peer takes it."""
        rest = self._rest
        while rest and not self._outlet.pulling and not self._over:
            piece = rest.popleft()
            if len(piece) > _PIECE:
                rest.appendleft(piece[_PIECE:])
                piece = piece[:_PIECE]
            while piece:
                piece = piece[self._tls.write(piece) :]
            self._flush()

    def _go_on(self) -> None:
        """All that was encrypted has left."""
        self._pump()
        if self._rest or self._outlet.pulling:
            return
        if self._closing:
            self._bye()
        elif self._half:
            self._say_bye()
        elif self._drained is not None and self._up:
            self._drained()

    def _bye(self) -> None:
        if self._over:
            return
        self._over = True
        self._say_bye()
        self.transport.loseConnection()

    def _say_bye(self) -> None:
        self._half = False
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # our close_notify is written; nobody waits for the peer's
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._outlet.write(self._outgoing.read())

    def _late(self) -> None:
        self._timer = None
        self._fail(faults.fault("timeout"))

    def _fail(self, fault: HandshakeBroken) -> None:
        self._over, self._fault = True, fault
        self._stop_timer()
        self.transport.loseConnection()
        self._ended(fault)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _failure(fault: HandshakeBroken) -> Failure:
    return Failure(fault)  # type: ignore[no-untyped-call]


def _common_name(told: Any) -> str:
    """The subject's CN of ssl's dictionary, if there is one."""
    for part in (told or {}).get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return ""
