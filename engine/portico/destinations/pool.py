"""The lines to one peer: dialled when a Delivery needs one, kept while they rest.

A line is closed after `idle`, at the peer's wish, or after anything unclear. Deadlines are
looked after by one sweep: never early, at most a second late, and never by a moment after
which the sockets were not read.
"""

import asyncio
import ssl
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from portico import sockets
from portico.destinations.contract import Done, Surroundings
from portico.destinations.line import Line
from portico.errors import TlsInvalid
from portico.events.sending import AnswerUnexpected
from portico.model.delivery import Answered, Delivery
from portico.tls.certificates import Secured
from portico.tls.dialling import Peer, dial, why

STOPPED = "the engine stopped before the answer"
_LOOK, _LOOKS = 0.02, 25  # half a second in which a peer of TLS 1.3 may refuse us


class LinePool:
    """What the destinations of byte streams share: a Destination but for three questions.

    spec: `options` (with `address`, `tls`, `probe`), and `connections`, `timeout`, `connect`,
    `idle` of the document's common keys, in seconds.
    """

    def __init__(self, name: str, spec: Any, around: Surroundings) -> None:
        self.name = name
        self.width = 1
        self.seconds = around.reactor.seconds
        self._around = around
        self._lines: set[Line] = set()
        self._resting: list[Line] = []
        self._dialling: dict[Any, Deferred[Any]] = {}
        self._secured: Secured | None = None
        self._sweeper: Any = None
        self._quiet: asyncio.Event | None = None  # while we stop
        self._take(spec)

    def _take(self, spec: Any) -> None:
        self._spec = spec
        self._options = spec.options
        self.width = spec.connections
        self._secured = None
        self._tick = max(0.01, min(1.0, spec.timeout / 4, spec.connect / 4, spec.idle / 4))

    def _exchange(self, delivery: Delivery, done: Done) -> Any:
        """Question 1: its Exchange, None when `done` was told that it cannot be sent."""
        raise NotImplementedError

    def _line(self) -> Line:
        """Question 2: a new line, by the present terms."""
        raise NotImplementedError

    def _stale(self, line: Line) -> bool:
        """Question 3: whether this line follows terms that no longer hold."""
        raise NotImplementedError

    async def start(self) -> None:
        """Only what is shown to the peer is read, so that its end can be watched."""
        try:
            self._context()
        except TlsInvalid:
            return  # the first Delivery says so

    def deliver(self, delivery: Delivery, done: Done) -> None:
        """Try once."""
        exchange = self._exchange(delivery, done)
        if exchange is None:
            return
        if self._resting:
            self._send(self._resting.pop(), exchange)
        else:
            exchange.deadline = exchange.began + self._spec.connect
            self._reach(exchange)
            self._watch()

    def adopt(self, spec: object) -> bool:
        """Take changed options: lines that rest are closed, others after their exchange."""
        if not isinstance(getattr(spec, "options", None), type(self._options)):
            return False
        self._take(spec)
        for line in self._resting:
            line.close()
        self._resting.clear()
        return True

    async def stop(self, grace: float) -> None:
        """Let exchanges end within `grace` seconds; then close and report them unclear."""
        self._quiet = asyncio.Event()
        self._say_quiet()
        try:
            await asyncio.wait_for(self._quiet.wait(), grace)
        except TimeoutError:
            for deferred in tuple(self._dialling.values()):
                deferred.cancel()
        for line in tuple(self._lines):
            if line.exchange is None:
                line.close()
            else:
                line.fail(Answered.UNCLEAR, "closed", STOPPED)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def rested(self, line: Line) -> None:
        """A line's exchange ended well."""
        if self._stale(line) or self._quiet is not None or len(self._lines) > self.width:
            line.close()
        else:
            line.rested_at = self.seconds()
            self._resting.append(line)
        self._say_quiet()

    def gone(self, line: Line) -> None:
        """A line is down; one that rested costs no attempt."""
        self._lines.discard(line)
        if line in self._resting:
            self._resting.remove(line)
        self._say_quiet()

    def unasked(self, line: Line) -> None:
        """A frame that nothing waited for."""
        if line in self._resting:
            self._resting.remove(line)
        where = self._options.address or self._options.listen
        self._around.emit(AnswerUnexpected(self.name, str(where)))

    def passed(self, exchange: Any) -> None:
        """A line has no more to say of it: who has such exchanges looks after them."""
        raise NotImplementedError

    def _context(self) -> ssl.SSLContext | None:
        """TLS for the next handshake, or None. Raises TlsInvalid."""
        if self._options.tls is None:
            return None
        if self._secured is None:
            self._secured = self._around.certificates.client(self._options.tls)
        return self._secured.context

    def _reach(self, exchange: Any) -> None:
        """Find a line for it: dial."""
        where = self._options.address
        try:
            peer = Peer(where, self._context(), self._spec.connect)
        except TlsInvalid as error:
            self._unsent(exchange, "tls", str(error))
            return
        deferred = dial(self._around.reactor, peer, self._line)
        self._dialling[exchange] = deferred
        deferred.addCallbacks(
            self._connected,
            self._unreachable,
            callbackArgs=(exchange,),
            errbackArgs=(exchange,),
        )

    def _connected(self, line: Line, exchange: Any) -> None:
        self._dialling.pop(exchange, None)
        self._lines.add(line)
        sockets.probe(line.transport, self._options.probe)
        if line.terms.silent and not getattr(line.transport, "admitted", True):
            line.exchange = exchange  # a refusal ends it, and nothing was sent
            self._wait(line, exchange, _LOOKS)
        else:
            self._send(line, exchange)

    def _wait(self, line: Line, exchange: Any, looks: int) -> None:
        """Until the peer may refuse us no more, or has not done so for long."""
        if line.exchange is not exchange:
            return
        if looks and not line.transport.admitted:
            self._around.reactor.callLater(_LOOK, self._wait, line, exchange, looks - 1)
        else:
            self._send(line, exchange)

    def _unreachable(self, failure: Failure, exchange: Any) -> None:
        self._dialling.pop(exchange, None)
        late = self.seconds() >= exchange.deadline
        code, text = ("no_connection", "no connection in time") if late else why(failure)
        self._unsent(exchange, code, f"{self._options.address}: {text}")
        self._say_quiet()

    def _unsent(self, exchange: Any, code: str, text: str) -> None:
        now = self.seconds()
        exchange.done(exchange.failed(Answered.NO_CONNECTION, code, text, now))

    def _send(self, line: Line, exchange: Any) -> None:
        exchange.began = self.seconds()
        exchange.deadline = exchange.began + self._spec.timeout
        line.send(exchange)

    def _busy(self) -> bool:
        """There is something for the sweep to look after."""
        return bool(self._lines or self._dialling)

    def _watch(self) -> None:
        if self._sweeper is None and self._busy():
            self._sweeper = self._around.reactor.callLater(self._tick, self._due)

    def _due(self) -> None:
        """Sweep by this moment, once the sockets have been read: if the engine was held up,
        answers that came in time lie there still."""
        now = self.seconds()
        self._sweeper = self._around.reactor.callLater(0, self._swept, now)

    def _swept(self, now: float) -> None:
        self._sweeper = None
        self._sweep(now)
        self._watch()

    def _sweep(self, now: float) -> None:
        """End what was past its deadline then; close lines that rested for long."""
        for exchange, deferred in tuple(self._dialling.items()):
            if now >= exchange.deadline:
                deferred.cancel()
        for line in tuple(self._lines):
            if line.exchange is not None and now >= line.exchange.deadline:
                line.fail(Answered.UNCLEAR, "timeout", "no answer in time")
        for line in tuple(self._resting):
            if now - line.rested_at >= self._spec.idle:
                self._resting.remove(line)
                line.close()

    def _over(self) -> bool:
        """Nothing is in flight."""
        return not self._dialling and all(line.exchange is None for line in self._lines)

    def _say_quiet(self) -> None:
        if self._quiet is not None and self._over():
            self._quiet.set()
