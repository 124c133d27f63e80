"""A listener of a byte-stream protocol: its port or its peer, its connections, its timers.

Peers connect to us (`listen`), or we to one (`address`); either way with TLS where `tls` says
so. What differs between protocols is the Framing. Time is counted in sweeps, so that a read
costs no call of the clock and 5,000 idle connections cost one loop a second; a time-out is
never early and at most two sweeps late. While the loop is held up time stands still: a stall
of ours is no silence of a peer.
"""

import asyncio
import ssl
from collections.abc import Callable
from itertools import count
from typing import Any, Self

from pydantic import model_validator

from portico import sockets
from portico.errors import HandshakeBroken, ListenFailed, TlsInvalid
from portico.events.emit import Event
from portico.events.intake import (
    ConnectionClosed,
    ConnectionOpened,
    ConnectionRefused,
    SourceUnreachable,
)
from portico.events.securing import HandshakeFailed
from portico.gate import NEAR, Gate, Networks, admitted
from portico.listeners.connection import Connection
from portico.listeners.contract import Receive, Surroundings
from portico.listeners.dialling import Dialling
from portico.listeners.framing import Framing
from portico.spec.fields import (
    ONE_WAY,
    Address,
    Count,
    Duration,
    HostPort,
    Options,
    Size,
    Span,
    one_sided,
    wrong,
)
from portico.spec.tls import TlsField
from portico.tls.certificates import Secured
from portico.tls.dialling import Peer
from portico.tls.listening import Listening

_DIAL = 10.0  # seconds for one try to reach a peer


class StreamSource(Options):
    """Options of every stream listener. Durations in seconds, sizes in bytes.

    listen: where peers connect; address: the peer to which we do, one of the two. timeout:
    silence within a begun message; idle: silence between messages.
    """

    model_config = ONE_WAY

    listen: Address | None = None
    address: Address | None = None
    tls: TlsField = None
    allow: Networks = NEAR
    connections: Count = 100
    limit: Size = 16 << 20
    timeout: Span = 30.0
    idle: Duration = 3600.0
    probe: Duration = 60.0

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.listen is None and self.address is None:
            hint = "or 'address', where we connect to receive"
            raise wrong("config.missing_key", "'listen' is missing", hint)
        if self.listen is not None and self.address is not None:
            text = "'listen' (they connect) and 'address' (we do) exclude each other"
            raise wrong("config.key", text)
        one_sided(self, "allow", "connections")
        return self


class StreamListener:
    """The source of one channel: a Listener, and the PortOwner."""

    def __init__(
        self,
        channel: str,
        source: StreamSource,
        framing: Callable[[Any], Framing],
        receive: Receive,
        around: Surroundings,
    ) -> None:
        self.channel = channel
        self.receive = receive
        self.held = False
        self.emit: Callable[[Event], None] = around.emit
        self.time_ns = around.clock.time_ns
        self.later = around.reactor.callLater
        self._reactor = around.reactor
        self._certificates = around.certificates
        self.now = self._tick = 0.0
        self._framing = framing
        self._secured: Secured | None = None
        self._take(source)
        self._numbers = count(1)
        self._connections: set[Connection] = set()
        self._ripe: list[Connection] = []
        self._way: Listening | Dialling | None = None
        self._sweeper: Any = None
        self._empty: asyncio.Event | None = None  # while we stop

    def _take(self, source: StreamSource) -> None:
        self._source = source
        self.framing = self._framing(source)
        self.gate = Gate(admitted(source), source.connections)
        self.patience = source.timeout

    async def start(self) -> None:
        """Listen, or begin to dial. Raises ListenFailed with what is in the way."""
        self._loop = asyncio.get_running_loop()
        source = self._source
        try:
            self._secure(source)
        except TlsInvalid as error:
            raise ListenFailed(f"tls: {error}") from error
        if source.listen is not None:
            listening = self._way = Listening(self._reactor, self)
            listening.open(source.listen)
        else:
            peer = str(source.address)
            dialling = self._way = Dialling(
                self._reactor,
                self.channel,
                self._peer,
                lambda: self.welcome(peer),
                lambda code, text: self.emit(SourceUnreachable(self.channel, peer, code, text)),
            )
            dialling.open()
        self._sweep()

    def _secure(self, source: StreamSource) -> None:
        if source.tls is None:
            self._secured = None
        elif source.listen is not None:
            self._secured = self._certificates.server(source.tls)
        else:
            self._secured = self._certificates.client(source.tls)

    def context(self) -> ssl.SSLContext | None:
        """TLS for the next handshake, with the newest certificate; None without TLS."""
        return None if self._secured is None else self._secured.context

    def _peer(self) -> Peer:
        assert self._source.address is not None
        return Peer(self._source.address, self.context(), _DIAL)

    @property
    def address(self) -> HostPort:
        """Where it listens, with the port that the system chose for port 0."""
        assert isinstance(self._way, Listening)
        return self._way.address

    def connections(self) -> int:
        """How many peers are connected now."""
        return len(self._connections)

    def hold(self) -> None:
        """Stop reading; a new peer may connect, and waits too.

        A connection stops at its next read, whose frames are kept: a hold costs nothing for
        those that are idle, and they can still be seen to end.
        """
        self.held = True

    def release(self) -> None:
        """Read again."""
        self.held = False
        for connection in tuple(self._connections):
            connection.release()

    def adopt(self, source: object) -> bool:
        """Take changed options; False when the address changed. Peers that are in stay in."""
        before = self._source
        if not isinstance(source, type(before)):
            return False
        if (source.listen, source.address) != (before.listen, before.address):
            return False
        try:
            self._secure(source)
        except TlsInvalid:
            return False
        self._take(source)
        for connection in self._connections:
            connection.decoder = self._adopted(connection)
        return True

    def _adopted(self, connection: Connection) -> Any:
        """A new decoder between frames; within one, the old decoder with the new limit."""
        if not connection.decoder.unfinished:
            return self.framing.decoder()
        connection.decoder.limit = self._source.limit
        return connection.decoder

    async def stop(self, grace: float) -> None:
        """Accept no more; wait up to `grace` seconds for open answers; close everything."""
        if self._way is None:
            return
        way, self._way = self._way, None
        await way.close()
        self._empty = asyncio.Event()
        for connection in tuple(self._connections):
            connection.finish("stopped")
        try:
            await self._until_empty(grace)
            for connection in tuple(self._connections):
                connection.abort("stopped")
            await self._until_empty(1.0)
        finally:
            self._sweeper.cancel()

    async def _until_empty(self, seconds: float) -> None:
        assert self._empty is not None
        if self._connections:
            try:
                await asyncio.wait_for(self._empty.wait(), seconds)
            except TimeoutError:
                return

    def welcome(self, peer: str) -> Connection:
        """What speaks with this peer."""
        return Connection(self, next(self._numbers), peer)

    def turned_away(self, peer: str, code: str) -> None:
        """The gate was shut for this peer."""
        self.emit(ConnectionRefused(self.channel, peer, code))

    def unproven(self, peer: str, fault: HandshakeBroken) -> None:
        """This peer's handshake failed."""
        self.emit(HandshakeFailed(self.channel, peer, fault.word, str(fault)))

    def opened(self, connection: Connection) -> None:
        """A connection is up."""
        self._connections.add(connection)
        sockets.probe(connection.transport, self._source.probe)
        self.emit(ConnectionOpened(self.channel, connection.peer))

    def gone(self, connection: Connection) -> None:
        """A connection is down."""
        self._connections.discard(connection)
        self.emit(
            ConnectionClosed(
                self.channel, connection.peer, connection.closing, connection.decoder.unfinished
            )
        )
        if isinstance(self._way, Dialling):
            self._way.lost(connection.heard)
        if self._empty is not None and not self._connections:
            self._empty.set()

    def ripe(self, connection: Connection) -> None:
        """Flush it with all others whose answers come in this turn of the loop."""
        if not self._ripe:
            self._loop.call_soon(self._flush)
        self._ripe.append(connection)

    def _flush(self) -> None:
        ripe, self._ripe = self._ripe, []
        for connection in ripe:
            connection.flush()

    def _sweep(self) -> None:
        """Close who began a message and fell silent, and who was silent for long."""
        self.now += self._tick
        source = self._source
        timeout, idle = source.timeout + self._tick, source.idle + self._tick
        for connection in tuple(self._connections):
            if not connection.silent_for(timeout):
                continue
            if connection.reading and connection.decoder.unfinished:
                connection.refuse("timeout", "a begun message was not continued")
            elif connection.silent_for(idle) and not connection.owed:
                connection.expire()
        self._tick = max(0.01, min(1.0, source.timeout / 4, source.idle / 4))
        self._sweeper = self.later(self._tick, self._sweep)
