"""Connecting to a peer, with TLS where it is asked for: ready means that both may speak."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from portico.errors import HandshakeBroken
from portico.spec.fields import HostPort
from portico.tls.stream import SecureStream

P = TypeVar("P")

_LONGEST = 3600.0  # seconds; the kernel gives up much sooner
# Twisted's names of what comes often, as people know it.
_WORDS = {
    "ConnectionRefusedError": "connection refused",
    "DNSLookupError": "host name not found",
    "NoRouteError": "no route to host",
    "TCPTimedOutError": "no answer in time",
    "TimeoutError": "no answer in time",
}


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to dial. context: TLS, or None. patience: seconds for TCP, and as many for TLS."""

    where: HostPort
    context: ssl.SSLContext | None
    patience: float


def dial(reactor: Any, peer: Peer, make: Callable[[], P]) -> "Deferred[P]":
    """Fires with the protocol that `make` made once it may speak: TCP is connected, and the
    handshake done. Fails with HandshakeBroken, or with what Twisted says; cancelling gives up.
    """
    patience = min(peer.patience, _LONGEST)
    endpoint: Any = _Endpoint(reactor, peer.where.host, peer.where.port, patience)
    if peer.context is None:
        plain: Deferred[P] = endpoint.connect(_factory(make))
        return plain
    secure = _Secure(reactor, peer, patience, make)
    reached: Deferred[Any] = endpoint.connect(_factory(secure.stream))
    return reached.addCallback(lambda _: secure.up)


def why(failure: Failure) -> tuple[str, str]:
    """A word and a sentence for what `dial` failed with."""
    error = failure.value
    if isinstance(error, HandshakeBroken):
        return f"tls_{error.word}", str(error)
    name = type(error).__name__
    return "no_connection", _WORDS.get(name, name)


class _Endpoint(HostnameEndpoint):
    """Knows names that IDNA does not, and DNS does: Docker's and Windows' have underscores."""

    @staticmethod
    def _hostAsBytesAndText(host: Any) -> tuple[bool, bytes, str]:
        if "_" in host and host.isascii():
            return False, host.encode(), host
        return HostnameEndpoint._hostAsBytesAndText(host)


class _Secure:
    """One try: the stream of a connection, and the promise of its inner protocol."""

    def __init__(
        self, reactor: Any, peer: Peer, patience: float, make: Callable[[], Any]
    ) -> None:
        self.up: Deferred[Any] = Deferred(self._give_up)
        self._reactor, self._peer, self._patience, self._make = reactor, peer, patience, make
        self._inner: Any = None
        self._stream: SecureStream | None = None

    def stream(self) -> SecureStream:
        """The protocol that TCP connects."""
        assert self._peer.context is not None
        self._stream = SecureStream(
            self._made,
            self._peer.context,
            self._peer.where.host,
            self._reactor.callLater,
            self._patience,
            self._ended,
        )
        return self._stream

    def _made(self) -> Any:
        self._inner = self._make()
        return self._inner

    def _ended(self, fault: HandshakeBroken | None) -> None:
        if self.up.called:
            return
        if fault is not None:
            self.up.errback(Failure(fault))  # type: ignore[no-untyped-call]
        else:
            self.up.callback(self._inner)

    def _give_up(self, _: "Deferred[Any]") -> None:
        if self._stream is not None:
            self._stream.abortConnection()


def _factory(make: Callable[[], Any]) -> Any:
    factory = Factory.forProtocol(make)
    factory.noisy = False
    return factory
