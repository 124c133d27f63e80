"""The MLLP destination: `type: mllp`, `address: HOST:PORT`.

Connections are opened when a Delivery needs one, kept while they rest, and closed after
`idle`, at the peer's wish, or after anything unclear. Deadlines are looked after by one sweep:
never early, at most a second late. Source: MLLP Releases 1 and 2; PROTOCOLS M5, M6, A11, R2.
"""

import asyncio
from functools import partial
from typing import Any, Literal

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from portico import sockets
from portico.destinations.contract import DestinationType, Done, Surroundings
from portico.destinations.elsewhere import Elsewhere
from portico.destinations.exchange import Exchange, Terms
from portico.destinations.line import Line
from portico.errors import FrameBroken
from portico.events.sending import AnswerUnexpected
from portico.hl7.ack import Ack
from portico.model.delivery import Answered, Attempt, Delivery
from portico.spec.fields import Address, Duration, Name, Options

_STOPPED = "the engine stopped before the answer"
_LONGEST_DIAL = 3600.0  # seconds; the kernel gives up much sooner


class MllpTarget(Options):
    """Options of an MLLP destination.

    ack: `any` takes the first answer; `application` waits on after a CA; `none` asks for no
    answer: a Delivery is done when the kernel has taken its bytes, which promises nothing
    about the peer (with release 2: when the peer's commit block came). ack_on: the channel to
    which the peer's application ACK comes; a CA on the line is not the end then.
    """

    address: Address
    release: Literal["1", "2"] = "1"
    probe: Duration = 60.0
    ack: Literal["any", "application", "none"] = "any"
    ack_on: Name | None = None


class MllpDestination:
    """The lines to one peer: a Destination.

    spec: `options` (MllpTarget), and `connections`, `timeout`, `connect`, `idle` of the
    document's common keys, in seconds.
    """

    def __init__(self, name: str, spec: Any, around: Surroundings) -> None:
        self.name = name
        self.width = 1
        self.seconds = around.reactor.seconds
        self._around = around
        self._lines: set[Line] = set()
        self._resting: list[Line] = []
        self._dialling: dict[Exchange, Deferred[Any]] = {}
        self._elsewhere = Elsewhere()
        self._sweeper: Any = None
        self._quiet: asyncio.Event | None = None  # while we stop
        self._take(spec)

    def _take(self, spec: Any) -> None:
        self._spec = spec
        self._options: MllpTarget = spec.options
        self.width = spec.connections
        self.ack_on = self._options.ack_on or ""
        release_2 = self._options.release == "2"
        self._terms = Terms(self._options.ack, release_2, bool(self.ack_on))
        self._tick = max(0.01, min(1.0, spec.timeout / 4, spec.connect / 4, spec.idle / 4))

    async def start(self) -> None:
        """Nothing to do: the first Delivery connects."""

    def deliver(self, delivery: Delivery, done: Done) -> None:
        """Try once."""
        try:
            exchange = Exchange(delivery.content, self._terms, done, self.seconds())
        except FrameBroken as error:
            done(Attempt(Answered.ANSWERED, "unsendable", detail=str(error)))
            return
        if self._terms.elsewhere:
            if exchange.control_id is None:
                text = "no MSH-10 by which its answer could be known"
                done(Attempt(Answered.ANSWERED, "unsendable", detail=text))
                return
            exchange.done = partial(self._over, exchange, done)
        if self._resting:
            self._send(self._resting.pop(), exchange)
        else:
            self._dial(exchange)

    def adopt(self, spec: object) -> bool:
        """Take changed options: lines that rest are closed, others after their exchange."""
        if not isinstance(getattr(spec, "options", None), MllpTarget):
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
                line.fail(Answered.UNCLEAR, "closed", _STOPPED)
        for exchange in self._elsewhere:
            self._give_up(exchange, "closed", _STOPPED)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def rested(self, line: Line) -> None:
        """A line's exchange ended well."""
        stale = line.terms is not self._terms
        if stale or self._quiet is not None or len(self._lines) > self.width:
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

    def passed(self, exchange: Exchange) -> None:
        """A line has no more to say of it: from now on the other connection's answer counts."""
        exchange.deadline = self.seconds() + self._spec.timeout
        self._watch()

    def credit(self, told: Ack, content: bytes, sender: tuple[bytes, bytes] | None) -> bool:
        """An answer came on the other connection (Creditor)."""
        exchange = self._elsewhere.take(told, sender)
        if exchange is None:
            return False
        for line in tuple(self._lines):
            line.release(exchange)
        exchange.done(exchange.credited(told.code, content, self.seconds()))
        return True

    def _over(self, exchange: Exchange, done: Done, attempt: Attempt) -> None:
        """An exchange whose answer was to come on the other connection has ended."""
        self._elsewhere.drop(exchange)
        done(attempt)
        self._say_quiet()

    def _give_up(self, exchange: Exchange, code: str, text: str) -> None:
        exchange.done(exchange.failed(Answered.UNCLEAR, code, text, self.seconds()))

    def unasked(self, line: Line) -> None:
        """A frame that nothing waited for."""
        if line in self._resting:
            self._resting.remove(line)
        self._around.emit(AnswerUnexpected(self.name, str(self._options.address)))

    def _dial(self, exchange: Exchange) -> None:
        exchange.deadline = exchange.began + self._spec.connect
        where, terms = self._options.address, self._terms
        patience = min(self._spec.connect, _LONGEST_DIAL)
        endpoint = HostnameEndpoint(self._around.reactor, where.host, where.port, patience)
        lines: Any = Factory.forProtocol(lambda: Line(self, terms))
        lines.noisy = False
        deferred = endpoint.connect(lines)
        self._dialling[exchange] = deferred
        deferred.addCallbacks(
            self._connected,
            self._unreachable,
            callbackArgs=(exchange,),
            errbackArgs=(exchange,),
        )
        self._watch()

    def _connected(self, line: Line, exchange: Exchange) -> None:
        self._dialling.pop(exchange, None)
        self._lines.add(line)
        sockets.probe(line.transport, self._options.probe)
        self._send(line, exchange)

    def _unreachable(self, failure: Failure, exchange: Exchange) -> None:
        self._dialling.pop(exchange, None)
        now = self.seconds()
        late = now >= exchange.deadline
        why = "no connection in time" if late else type(failure.value).__name__
        text = f"{self._options.address}: {why}"
        exchange.done(exchange.failed(Answered.NO_CONNECTION, "no_connection", text, now))
        self._say_quiet()

    def _send(self, line: Line, exchange: Exchange) -> None:
        exchange.began = self.seconds()
        exchange.deadline = exchange.began + self._spec.timeout
        if self._terms.elsewhere:
            self._elsewhere.add(exchange)
        line.send(exchange)

    def _watch(self) -> None:
        busy = self._lines or self._dialling or self._elsewhere
        if self._sweeper is None and busy:
            self._sweeper = self._around.reactor.callLater(self._tick, self._sweep)

    def _sweep(self) -> None:
        """End what is past its deadline; close lines that rested for long."""
        self._sweeper = None
        now = self.seconds()
        for exchange, deferred in tuple(self._dialling.items()):
            if now >= exchange.deadline:
                deferred.cancel()
        for line in tuple(self._lines):
            if line.exchange is not None and now >= line.exchange.deadline:
                line.fail(Answered.UNCLEAR, "timeout", "no answer in time")
        for exchange in self._elsewhere:
            if now >= exchange.deadline:
                self._give_up(exchange, "timeout", "no application answer in time")
        for line in tuple(self._resting):
            if now - line.rested_at >= self._spec.idle:
                self._resting.remove(line)
                line.close()
        self._watch()

    def _say_quiet(self) -> None:
        if self._quiet is not None and not self._dialling and not self._elsewhere:
            if all(line.exchange is None for line in self._lines):
                self._quiet.set()


MLLP = DestinationType(
    name="mllp",
    summary="HL7 messages over MLLP, releases 1 and 2; we connect",
    options=MllpTarget,
    build=MllpDestination,
    not_yet={
        "tls": "TLS comes with the TCP destination",
    },
)
