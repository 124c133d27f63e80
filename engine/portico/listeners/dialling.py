"""A source that dials: one connection to its peer, made again whenever it ends.

The waits between tries double from half a second to a minute (M6), spread by a tenth so that
the channels of an engine do not knock in step; a connection that held, or brought something,
resets them.
"""

from collections.abc import Callable
from typing import Any
from zlib import crc32

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from portico.tls.dialling import Peer, dial, why

FIRST, MOST = 0.5, 60.0  # seconds
_HELD = 10.0  # seconds after which a connection counts as good


class Dialling:
    """Keeps one connection up.

    peer: asked before each try. make: the protocol. failed: called with a word and a sentence
    for the first of several tries that fail.
    """

    def __init__(
        self,
        reactor: Any,
        name: str,
        peer: Callable[[], Peer],
        make: Callable[[], Any],
        failed: Callable[[str, str], None],
    ) -> None:
        self._reactor = reactor
        self._name = name
        self._peer = peer
        self._make = make
        self._failed = failed
        self._tries = 0
        self._said = False  # that the peer cannot be reached
        self._since = 0.0
        self._dialled: Deferred[Any] | None = None
        self._timer: Any = None
        self._open = False

    def open(self) -> None:
        """Dial; the peer may be down."""
        self._open = True
        self._dial()

    async def close(self) -> None:
        """Dial no more; a connection that stands stays."""
        self._open = False
        dialled, self._dialled = self._dialled, None
        if dialled is not None:
            dialled.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def lost(self, heard: bool) -> None:
        """The connection has ended. heard: it brought a message; for some peers that is all."""
        if heard or self._reactor.seconds() - self._since >= _HELD:
            self._tries = 0
        self._again()

    def _dial(self) -> None:
        self._timer = None
        self._dialled = dial(self._reactor, self._peer(), self._make)
        self._dialled.addCallbacks(self._up, self._down)

    def _up(self, _: Any) -> None:
        self._dialled, self._said = None, False
        self._since = self._reactor.seconds()

    def _down(self, failure: Failure) -> None:
        self._dialled = None
        if not self._open:
            return
        if not self._said:
            self._said = True
            self._failed(*why(failure))
        self._again()

    def _again(self) -> None:
        if not self._open or self._timer is not None:
            return
        wait = min(MOST, FIRST * 2 ** min(self._tries, 16))
        spread = crc32(f"{self._name}/{self._tries}".encode()) / 2**32
        self._tries += 1
        self._timer = self._reactor.callLater(wait * (0.9 + 0.2 * spread), self._dial)
