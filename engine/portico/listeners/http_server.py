"""HTTP servers: one for each address, shared by the channels that have a path there.

Paths come and go without a connection being dropped. There is one sweep for all deadlines,
so that a request costs no timer; a deadline is never early and at most two sweeps late. Time is
counted in sweeps: while the loop is held up it stands still, and no peer is silent.
"""

import asyncio
from dataclasses import dataclass
from email.utils import formatdate
from itertools import count

from portico.clock import Clock
from portico.errors import HandshakeBroken, HttpBroken, ListenFailed
from portico.events.emit import Emit
from portico.events.intake import (
    ConnectionClosed,
    ConnectionOpened,
    ConnectionRefused,
    RequestRefused,
)
from portico.events.securing import HandshakeFailed
from portico.gate import Gate, Network
from portico.listeners.http_answer import problem
from portico.listeners.http_connection import HttpConnection, HttpReply, Route
from portico.sockets import in_the_way
from portico.spec.fields import HostPort
from portico.spec.tls import Tls
from portico.tls.certificates import Secured
from portico.tls.handshake import HANDSHAKE, Handshake

_BACKLOG = 4096  # peers that may knock in the same instant, as after a restart


@dataclass(frozen=True, slots=True)
class HttpTerms:
    """What one channel asks of the server at its address. Times in seconds."""

    channel: str
    allow: tuple[Network, ...]
    connections: int
    timeout: float
    idle: float


class HttpServer:
    """One address. It opens with its first path and closes with its last.

    Where channels share it, a peer may connect that one of them allows, as many as all of
    them admit together, and the longest of their times holds.
    """

    def __init__(self, where: HostPort, clock: Clock, emit: Emit) -> None:
        self.where = where
        self._tls: Secured | None = None
        self.timeout = self.idle = 0.0
        self._clock, self._emit = clock, emit
        self.now = self.tick = 0.0
        self.date = b""
        self._routes: dict[str, Route] = {}
        self._terms: dict[str, HttpTerms] = {}
        self._gate = Gate((), 0)
        self._numbers = count(1)
        self.connections: set[HttpConnection] = set()
        self._knocking = 0  # peers whose handshake is not done
        self._server: asyncio.Server | None = None
        self._opening = asyncio.Lock()  # channels that share it may open together
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty: asyncio.Event | None = None

    @property
    def address(self) -> HostPort:
        """Where it listens, with the port that the system chose for port 0."""
        assert self._server is not None
        host, port, *_ = self._server.sockets[0].getsockname()
        return HostPort(host, port)

    @property
    def idle_of_paths(self) -> bool:
        """Nobody has a path here."""
        return not self._routes

    async def open(self, tls: Secured | None) -> None:
        """Listen. Raises ListenFailed with what is in the way."""
        async with self._opening:
            await self._open(tls)

    async def _open(self, tls: Secured | None) -> None:
        if self._server is not None:
            if _said(tls) != _said(self._tls):
                raise ListenFailed(f"{self.where}: another channel has other `tls` there")
            return
        self._tls = tls
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._knocked, self.where.host, self.where.port, backlog=_BACKLOG
            )
        except OSError as error:
            raise ListenFailed(f"{self.where}: {in_the_way(error)}") from error
        self._sweep()

    def _knocked(self) -> asyncio.Protocol:
        """What meets a new peer."""
        if self._tls is None:
            return self._welcome()
        patience = min(max(self.timeout, 1.0), HANDSHAKE)
        return Handshake(
            self._welcome, self._tls, patience, self._unproven, self._admits, self._shaken
        )

    def _admits(self, peer: HostPort) -> bool:
        """A peer may begin its handshake; while it is at it, it counts as connected."""
        connected = len(self.connections) + self._knocking
        code = self._gate.refusal(peer.host, connected)
        if code is not None:
            self._emit(ConnectionRefused(self._name(), str(peer), code))
            return False
        self._knocking += 1
        return True

    def _shaken(self) -> None:
        self._knocking -= 1

    def _welcome(self) -> HttpConnection:
        return HttpConnection(self, next(self._numbers))

    def serve(self, path: str, route: Route, terms: HttpTerms) -> None:
        """Answer at this path from now on. Raises ListenFailed when another channel does."""
        if path in self._routes and self._terms[path].channel != terms.channel:
            other = self._terms[path].channel
            raise ListenFailed(f"{self.where}{path}: the channel {other} answers there")
        self._routes[path], self._terms[path] = route, terms
        self._agree()

    def leave(self, path: str) -> None:
        """Answer there no more."""
        self._routes.pop(path, None)
        self._terms.pop(path, None)
        self._agree()

    def _agree(self) -> None:
        terms = list(self._terms.values())
        allow = tuple({network: None for one in terms for network in one.allow})
        self._gate = Gate(allow, sum(one.connections for one in terms))
        self.timeout = max((one.timeout for one in terms), default=self.timeout)
        self.idle = max((one.idle for one in terms), default=self.idle)

    async def close(self, grace: float) -> None:
        """Accept no more; wait up to `grace` seconds for open answers; close everything."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        self._empty = asyncio.Event()
        for connection in tuple(self.connections):
            connection.leave()
        try:
            await self._until_empty(grace)
            for connection in tuple(self.connections):
                connection.abort("stopped")
            await self._until_empty(1.0)
        finally:
            if self._sweeper is not None:
                self._sweeper.cancel()

    async def _until_empty(self, seconds: float) -> None:
        assert self._empty is not None
        if self.connections:
            try:
                await asyncio.wait_for(self._empty.wait(), seconds)
            except TimeoutError:
                return

    def release(self) -> None:
        """Some route is held no more."""
        for connection in tuple(self.connections):
            connection.unpark()

    def opened(self, connection: HttpConnection) -> bool:
        """A peer is connected; False when it may not be."""
        code = self._gate.refusal(connection.host, len(self.connections))
        if code is not None or self._server is None:
            refused = ConnectionRefused(self._name(), connection.peer, code or "too_many")
            self._emit(refused)
            return False
        self.connections.add(connection)
        self._emit(ConnectionOpened(self._name(), connection.peer))
        return True

    def gone(self, connection: HttpConnection) -> None:
        """A connection is down."""
        if connection not in self.connections:
            return
        self.connections.discard(connection)
        closed = ConnectionClosed(self._name(), connection.peer, connection.code, 0)
        self._emit(closed)
        if self._empty is not None and not self.connections:
            self._empty.set()

    def route(self, path: str) -> Route | None:
        """Who answers at this path."""
        return self._routes.get(path)

    def broken(self, fault: HttpBroken) -> HttpReply:
        """What a request is told that cannot be read: no more is read after it."""
        return problem(fault.status, fault.code, str(fault), close=True)

    def strayed(self, peer: str, status: int) -> None:
        """A request was refused that belongs to no route."""
        self._emit(RequestRefused(self._name(), peer, str(status)))

    def _unproven(self, peer: str, fault: HandshakeBroken) -> None:
        """This peer's handshake failed."""
        self._emit(HandshakeFailed(self._name(), peer, fault.word, str(fault)))

    def _name(self) -> str:
        """The channel that a connection is counted under: the first of this address."""
        return next((one.channel for one in self._terms.values()), "")

    def _sweep(self) -> None:
        self.now += self.tick
        self.date = formatdate(self._clock.time_ns() // 1_000_000_000, usegmt=True).encode()
        for connection in tuple(self.connections):
            connection.expire(self.now)
        self.tick = max(0.01, min(1.0, self.timeout / 4, self.idle / 4))
        self._sweeper = asyncio.get_running_loop().call_later(self.tick, self._sweep)


def _said(tls: Secured | None) -> Tls | None:
    """What the site says; each channel may say it for itself."""
    return None if tls is None else tls.options.bare


class HttpServers:
    """All servers of one engine, by address; port 0 is never shared."""

    def __init__(self, clock: Clock, emit: Emit) -> None:
        self._clock, self._emit = clock, emit
        self._at: dict[HostPort, HttpServer] = {}

    def at(self, where: HostPort) -> HttpServer:
        """The server of that address, perhaps a new one that is not open."""
        if where.port and where in self._at:
            return self._at[where]
        server = HttpServer(where, self._clock, self._emit)
        if where.port:
            self._at[where] = server
        return server

    async def leave(self, server: HttpServer, path: str, grace: float) -> None:
        """Take a path away; the last one closes the server."""
        server.leave(path)
        if server.idle_of_paths:
            if self._at.get(server.where) is server:
                del self._at[server.where]
            await server.close(grace)
