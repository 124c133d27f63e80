"""The TCP destination: `type: tcp`, `address|listen: HOST:PORT`, `frame: {...}`.

With `address` we connect; with `listen` the peer connects and we push to it: a Delivery waits
`connect` for one that is free. Without `answer` a Delivery is done when the kernel has taken
its bytes, which promises nothing about the peer.
"""

import ssl
from typing import Annotated, Any, Self

import re2
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema, model_validator

from portico import sockets
from portico.destinations.contract import DestinationType, Done, Surroundings
from portico.destinations.line import Line
from portico.destinations.pool import LinePool
from portico.errors import FrameBroken, HandshakeBroken, ListenFailed, TlsInvalid
from portico.events.sending import PeerRefused, PortClosed
from portico.gate import NEAR, Gate, Networks, admitted
from portico.model.delivery import Answered, Attempt, Delivery
from portico.spec.fields import (
    ONE_WAY,
    Address,
    Duration,
    HostPort,
    Options,
    Text,
    kind_of,
    one_sided,
    wrong,
)
from portico.spec.framing import Frame
from portico.spec.tls import TlsField
from portico.tls.listening import Listening
from portico.wire.frames import Framing, Whole

_ANSWER_LIMIT = 64 << 20
_PEERS = 100  # that may be connected to a destination that listens
_OPEN_AGAIN = 5.0  # seconds between tries to open the port
_NOBODY = "no peer is connected"
_QUIET = re2.Options()
_QUIET.log_errors = False


def _pattern(text: str) -> str:
    try:
        re2.compile(text, _QUIET)
    except re2.error as error:
        raise wrong("config.value", f"{text!r} is no regular expression: {error}") from None
    return text


class Answer(Options):
    """What the peer says when it has it. matches: the whole answer, RE2."""

    matches: Annotated[Text, AfterValidator(_pattern)]


def _answer(value: Any) -> Any:
    if value == "none":
        return None
    if isinstance(value, str | list):
        hint = "none, or {matches: REGEX}"
        raise wrong("config.choice", f"{kind_of(value)} is not a choice here", hint)
    return value


class TcpTarget(Options):
    """Options of a TCP destination."""

    model_config = ONE_WAY

    address: Address | None = None
    listen: Address | None = None
    tls: TlsField = None
    allow: Networks = NEAR
    frame: Frame
    answer: Annotated[
        Answer | None,
        BeforeValidator(_answer),
        WithJsonSchema({"anyOf": [{"const": "none"}, {"type": "object"}]}),
    ] = None
    probe: Duration = 60.0

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.address is None) == (self.listen is None):
            text = "a TCP destination has 'address' (we connect) or 'listen' (they do)"
            raise wrong("config.key", text)
        one_sided(self, "allow")
        return self


class TcpTerms:
    """How this peer answers. pattern: of its answer, None when there is none."""

    commits = elsewhere = False

    def __init__(self, options: TcpTarget) -> None:
        wanted = options.answer
        self.pattern: Any = None if wanted is None else re2.compile(wanted.matches, _QUIET)
        self.framing: Framing = options.frame.framing
        self.once = isinstance(self.framing, Whole)  # a connection for each message

    @property
    def silent(self) -> bool:
        """Written is all that can be known."""
        return self.pattern is None


class TcpExchange:
    """A Delivery on its way; any whole answer ends it."""

    passed = False

    def __init__(self, content: bytes, terms: TcpTerms, done: Done, began: float) -> None:
        """Raises FrameBroken when the content cannot be framed."""
        self.frame = terms.framing.encode(content)
        self.done = done
        self.began = self.deadline = began
        self._pattern = terms.pattern

    def heard(self, content: bytes, now: float) -> Attempt | None:
        """`matched` or `unmatched`, by the text of the answer."""
        found = self._pattern.fullmatch(content.decode("utf-8", "replace"))
        code = "matched" if found else "unmatched"
        return Attempt(Answered.ANSWERED, code, content, self._micros(now))

    def failed(self, answered: Answered, code: str, detail: str, now: float) -> Attempt:
        """The attempt that ended without an answer."""
        return Attempt(answered, code, b"", self._micros(now), detail)

    def written(self, now: float) -> Attempt:
        """The attempt whose peer is not asked for more."""
        return Attempt(Answered.ANSWERED, "written", micros=self._micros(now))

    def _micros(self, now: float) -> int:
        return int((now - self.began) * 1e6)


class TcpLine(Line):
    """One connection. Where a connection is a message, our half ends behind it."""

    terms: TcpTerms

    def connectionMade(self) -> None:
        """Twisted: the peer is there."""
        super().connectionMade()
        self._pool.came(self)  # type: ignore[attr-defined]

    def send(self, exchange: Any) -> None:
        """The same; then end our half, where the answer is the peer's."""
        super().send(exchange)
        if self.terms.once and not self.terms.silent:
            self.transport.loseWriteConnection()


class TcpDestination(LinePool):
    """The lines to one peer, dialled or accepted: a Destination, and the PortOwner."""

    def __init__(self, name: str, spec: Any, around: Surroundings) -> None:
        self._port: Listening | None = None
        self._opener: Any = None  # the pending next try to open the port
        self._complaint = ""  # why it is not open
        self._awaiting: list[TcpExchange] = []  # for a peer to connect
        super().__init__(name, spec, around)

    def _take(self, spec: Any) -> None:
        super()._take(spec)
        options: TcpTarget = spec.options
        self._terms = TcpTerms(options)
        self.gate = Gate(admitted(options), _PEERS)
        self.patience = spec.connect

    def _exchange(self, delivery: Delivery, done: Done) -> TcpExchange | None:
        try:
            return TcpExchange(delivery.content, self._terms, done, self.seconds())
        except FrameBroken as error:
            done(Attempt(Answered.ANSWERED, "unsendable", detail=str(error)))
            return None

    def _line(self) -> TcpLine:
        return TcpLine(self, self._terms, self._terms.framing.decoder(_ANSWER_LIMIT))

    def _stale(self, line: Line) -> bool:
        return line.terms is not self._terms or self._terms.once

    @property
    def _listens(self) -> bool:
        return self._options.listen is not None

    async def start(self) -> None:
        """Open the port, or try again until that works: what is sent waits meanwhile."""
        await super().start()
        if self._listens:
            self._open()

    def _open(self) -> None:
        self._opener = None
        port, where = Listening(self._around.reactor, self), self._options.listen
        try:
            self._context()
            port.open(where)
        except (ListenFailed, TlsInvalid) as error:
            if self._complaint != str(error):
                self._complaint = str(error)
                self._around.emit(PortClosed(self.name, error.code, str(error)))
            self._opener = self._around.reactor.callLater(_OPEN_AGAIN, self._open)
        else:
            self._port = port

    def adopt(self, spec: object) -> bool:
        """Take changed options; False when the address changed."""
        options = getattr(spec, "options", None)
        if not isinstance(options, TcpTarget) or options.listen != self._options.listen:
            return False
        return super().adopt(spec)

    async def stop(self, grace: float) -> None:
        """Accept nobody more; then as for lines that we dial."""
        if self._opener is not None:
            self._opener.cancel()
        if self._port is not None:
            await self._port.close()
        awaiting, self._awaiting = self._awaiting, []
        for exchange in awaiting:
            self._unsent(exchange, "no_connection", _NOBODY)
        await super().stop(grace)

    # PortOwner.

    @property
    def address(self) -> HostPort:
        """Where it listens, with the port that the system chose for port 0."""
        assert self._port is not None
        return self._port.address

    def context(self) -> ssl.SSLContext | None:
        """TLS for the next peer, or None. Raises TlsInvalid: the peer is closed."""
        return self._context()

    def connections(self) -> int:
        """How many are in."""
        return len(self._lines)

    def welcome(self, peer: str) -> TcpLine:
        """A line to the peer that has come."""
        return self._line()

    def turned_away(self, peer: str, code: str) -> None:
        """The gate was shut for this peer."""
        self._around.emit(PeerRefused(self.name, peer, code, "the port is not for it"))

    def unproven(self, peer: str, fault: HandshakeBroken) -> None:
        """This peer's handshake failed."""
        self._around.emit(PeerRefused(self.name, peer, f"tls_{fault.word}", str(fault)))

    def came(self, line: Line) -> None:
        """A peer is connected: by its own doing, it takes what waits or rests."""
        if not self._listens:
            return
        self._lines.add(line)
        sockets.probe(line.transport, self._options.probe)
        self.rested(line, fresh=True)
        self._watch()

    def rested(self, line: Line, fresh: bool = False) -> None:
        """A line is free: it rests, or takes what waits."""
        if not self._listens:
            super().rested(line)
        elif self._quiet is not None or (self._stale(line) and not fresh):
            line.close()
            self._say_quiet()
        elif self._awaiting:
            self._send(line, self._awaiting.pop(0))
        else:
            line.rested_at = self.seconds()
            self._resting.append(line)
            self._say_quiet()

    def _context(self) -> ssl.SSLContext | None:
        if self._listens and self._options.tls is not None and self._secured is None:
            self._secured = self._around.certificates.server(self._options.tls)
        return super()._context()

    def _reach(self, exchange: Any) -> None:
        if self._listens:
            self._awaiting.append(exchange)
        else:
            super()._reach(exchange)

    def _busy(self) -> bool:
        return super()._busy() or bool(self._awaiting)

    def _sweep(self, now: float) -> None:
        late = [exchange for exchange in self._awaiting if now >= exchange.deadline]
        for exchange in late:
            self._awaiting.remove(exchange)
            self._unsent(exchange, "no_connection", _NOBODY)
        super()._sweep(now)

    def _over(self) -> bool:
        return super()._over() and not self._awaiting


TCP = DestinationType(
    name="tcp",
    summary="frames over TCP: a length, marks, a fixed length or a connection each",
    options=TcpTarget,
    build=TcpDestination,
)
