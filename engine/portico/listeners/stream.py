"""A listener of a byte-stream protocol: one port, its connections, one sweep for all timers.

What differs between protocols is the Framing. Times are those of the last sweep, so that a
read costs no call of the clock and 5,000 idle connections cost one loop a second; a time-out
is never early and at most two sweeps late.
"""

import asyncio
import errno
import os
from collections.abc import Callable
from itertools import count
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import ServerFactory

from portico import sockets
from portico.errors import ListenFailed
from portico.events.emit import Event
from portico.events.intake import ConnectionClosed, ConnectionOpened, ConnectionRefused
from portico.listeners.connection import Connection, Framing
from portico.listeners.contract import Receive, Surroundings
from portico.gate import NEAR, Gate, Networks
from portico.spec.fields import Address, Count, Duration, HostPort, Options, Size

_BACKLOG = 4096  # peers that may knock in the same instant, as after a restart
_IN_THE_WAY = {
    errno.EADDRINUSE: "another program listens there",
    errno.EACCES: "ports below 1024 need a privilege that we do not have",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


class StreamSource(Options):
    """Options of every stream listener. Durations in seconds, sizes in bytes.

    timeout: silence within a begun message; idle: silence between messages.
    """

    listen: Address
    allow: Networks = NEAR
    connections: Count = 100
    limit: Size = 16 << 20
    timeout: Duration = 30.0
    idle: Duration = 3600.0
    probe: Duration = 60.0


class StreamListener(ServerFactory):
    """One port of one channel: a Listener."""

    noisy = False

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
        self.now: float = around.reactor.seconds()
        self._framing = framing
        self._take(source)
        self._numbers = count(1)
        self._connections: set[Connection] = set()
        self._ripe: list[Connection] = []
        self._port: Any = None
        self._sweeper: Any = None
        self._empty: asyncio.Event | None = None  # while we stop

    def _take(self, source: StreamSource) -> None:
        self._source = source
        self.framing = self._framing(source)
        self._gate = Gate(source.allow, source.connections)
        self._tick = max(0.01, min(1.0, source.timeout / 4, source.idle / 4))

    async def start(self) -> None:
        """Listen. Raises ListenFailed with what is in the way."""
        self._loop = asyncio.get_running_loop()
        where = self._source.listen
        try:
            self._port = self._reactor.listenTCP(where.port, self, _BACKLOG, where.host)
        except (CannotListenError, OSError) as error:
            reason = getattr(error, "socketError", error)
            number = getattr(reason, "errno", None) or 0
            text = _IN_THE_WAY.get(number) or os.strerror(number)
            raise ListenFailed(f"{where}: {text}") from error
        self._sweep()

    @property
    def address(self) -> HostPort:
        """Where it listens, with the port that the system chose for port 0."""
        host = self._port.getHost()
        return HostPort(host.host, host.port)

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
        if not isinstance(source, type(self._source)) or source.listen != self._source.listen:
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
        if self._port is None:
            return
        port, self._port = self._port, None
        await port.stopListening().asFuture(self._loop)
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

    def buildProtocol(self, addr: Any) -> Connection | None:
        """Twisted: a peer knocks. None closes it at once."""
        peer = str(HostPort(addr.host, addr.port))
        code = self._gate.refusal(addr.host, len(self._connections))
        if code is not None:
            self.emit(ConnectionRefused(self.channel, peer, code))
            return None
        return Connection(self, next(self._numbers), peer)

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
        self.now = self._reactor.seconds()
        timeout = self._source.timeout + self._tick
        idle = self._source.idle + self._tick
        for connection in tuple(self._connections):
            if not connection.silent_for(timeout):
                continue
            if connection.reading and connection.decoder.unfinished:
                connection.refuse("timeout", "a begun message was not continued")
            elif connection.silent_for(idle) and not connection.owed:
                connection.expire()
        self._sweeper = self.later(self._tick, self._sweep)
