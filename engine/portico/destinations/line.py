"""One connection to a peer: at most one message in flight (M5)."""

from typing import Any, Protocol

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from portico.destinations.contract import Done
from portico.errors import HandshakeBroken, WireError
from portico.model.delivery import Answered, Attempt
from portico.sockets import outlet
from portico.wire import mllp


class Decoder(Protocol):
    """A byte machine of wire/: see wire/mllp.py."""

    fault: WireError | None

    def feed(self, data: bytes) -> list[bytes]:
        """Contents of the frames that these bytes complete."""
        ...

    def settle(self) -> list[bytes]:
        """The frame that is ended by the end of the connection."""
        ...


class Exchange(Protocol):
    """A Delivery on its way. began, deadline: seconds of the reactor. passed: the line has
    nothing more to say of it, though it is not over.
    """

    frame: bytes
    done: Done
    began: float
    deadline: float
    passed: bool

    def heard(self, content: bytes, now: float) -> Attempt | None:
        """What this frame makes of the attempt; None: wait on."""
        ...

    def failed(self, answered: Answered, code: str, detail: str, now: float) -> Attempt:
        """The attempt that ended without an answer."""
        ...

    def written(self, now: float) -> Attempt:
        """The attempt whose peer is not asked for more."""
        ...


class Terms(Protocol):
    """How a peer answers. silent: not at all; commits: release 2 of MLLP; elsewhere: on another
    connection.
    """

    @property
    def silent(self) -> bool:
        """Written is all that can be known."""
        ...

    @property
    def commits(self) -> bool:
        """Frames are confirmed by commit blocks."""
        ...

    @property
    def elsewhere(self) -> bool:
        """The application's answer comes on another connection."""
        ...


class Pool(Protocol):
    """What a line needs of its destination."""

    def seconds(self) -> float:
        """The reactor's time."""
        ...

    def rested(self, line: "Line") -> None:
        """The line has nothing in flight: keep it or close it."""
        ...

    def gone(self, line: "Line") -> None:
        """The line is down."""
        ...

    def passed(self, exchange: Exchange) -> None:
        """What more there is to hear of it comes on another connection."""
        ...

    def unasked(self, line: "Line") -> None:
        """The peer sent a frame that nothing waited for."""
        ...


class Line(StreamProtocol):
    """Sends one Exchange at a time; closes on any answer that is not clear.

    A connection whose exchange ended unclear is never used again, so that a late answer
    cannot be taken for the next message's.
    """

    transport: Any

    def __init__(self, pool: Pool, terms: Terms, decoder: Decoder) -> None:
        self.exchange: Exchange | None = None
        self.terms = terms
        self.rested_at = 0.0
        self._pool = pool
        self._decoder = decoder

    def connectionMade(self) -> None:
        """Twisted: the peer took the connection."""
        self._outlet = outlet(self.transport, self._drained)

    def send(self, exchange: Exchange) -> None:
        """Write its frame and wait for what comes back."""
        self.exchange = exchange
        self._outlet.write(exchange.frame)
        if self.terms.silent and not self._outlet.pulling:
            self._drained()

    def dataReceived(self, data: bytes) -> None:
        """Twisted: one read."""
        for content in self._decoder.feed(data):
            self._heard(content)
        if self._decoder.fault is not None:
            self.fail(Answered.UNCLEAR, "garbled", "the answer's framing is broken")

    def fail(self, answered: Answered, code: str, detail: str) -> None:
        """End what is in flight so, and close; nothing more is sent here."""
        exchange, self.exchange = self.exchange, None
        self._pool.gone(self)
        self.transport.abortConnection()
        if exchange is not None:
            exchange.done(exchange.failed(answered, code, detail, self._pool.seconds()))

    def close(self) -> None:
        """Close a line that rests."""
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted: it is over; what was in flight may have arrived."""
        self._pool.gone(self)
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        now, code, text = self._pool.seconds(), "closed", "closed before the answer"
        attempt, answered = None, Answered.UNCLEAR
        if isinstance(
            reason.value, ConnectionDone
        ):  # an orderly end, which some frames end with
            for content in self._decoder.settle():
                attempt = attempt or exchange.heard(content, now)
        elif isinstance(reason.value, HandshakeBroken):
            code, text = f"tls_{reason.value.word}", str(reason.value)
            answered = Answered.NO_CONNECTION if reason.value.unread else answered
        exchange.done(attempt or exchange.failed(answered, code, text, now))

    def _heard(self, content: bytes) -> None:
        if self.terms.silent:
            return
        exchange = self.exchange
        if exchange is None:
            self._pool.unasked(self)
            self.transport.abortConnection()
            return
        if self.terms.commits and content not in (mllp.STORED, mllp.NOT_STORED):
            self._outlet.write(mllp.encode(mllp.STORED))
        attempt = exchange.heard(content, self._pool.seconds())
        if attempt is not None:
            self._end(exchange, attempt)
        elif exchange.passed:
            self._pass()

    def release(self, exchange: Exchange) -> None:
        """Its answer came on another connection while this one waited for an accept answer:
        close, so that a late one meets nobody."""
        if self.exchange is exchange:
            self.exchange = None
            self.close()

    def _pass(self) -> None:
        """The line is free, though the exchange is not over."""
        exchange, self.exchange = self.exchange, None
        self._pool.rested(self)
        if exchange is not None:
            self._pool.passed(exchange)

    def _end(self, exchange: Exchange, attempt: Attempt) -> None:
        self.exchange = None
        if attempt.answered is Answered.ANSWERED:
            self._pool.rested(self)
        else:
            self.transport.abortConnection()
        exchange.done(attempt)

    def _drained(self) -> None:
        if not self.terms.silent or self.exchange is None:
            return
        if self.terms.elsewhere:
            self._pass()
        else:
            self._end(self.exchange, self.exchange.written(self._pool.seconds()))
