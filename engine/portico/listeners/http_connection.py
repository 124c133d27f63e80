"""One HTTP connection: requests in turn, one at a time, each with its own deadlines.

The head must be whole within the server's `timeout` of its first byte, and a body must keep a
pace: a peer that trickles is told 408 and closed, whatever it trickles. While an answer is
owed, or is not taken, nothing more is parsed: answers leave in order without a queue, and one
connection cannot fill the memory with them.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from msgspec import Struct

from portico.errors import HttpBroken
from portico.wire import http
from portico.wire.http import Head, RequestDecoder

PACE = 64 << 10  # bytes a second that a body must make once `timeout` has passed
_TURN = 16  # steps of one connection before others have their turn
_AHEAD = 64 << 10  # bytes of a next request that are read while an answer is owed
_LINGER = 5.0  # seconds that a peer may go on talking after it was refused
_DRAINED = 64 << 20  # bytes of the same


class HttpReply(Struct, frozen=True, gc=False):
    """What a request is told. fields: header lines with their ends, Content-Type among them;
    known: an event has said already why it is a refusal.
    """

    status: int
    body: bytes = b""
    fields: bytes = b""
    close: bool = False
    known: bool = False


class Route(Protocol):
    """What answers at one path. limit: bytes of a body; timeout: seconds; held: hand up
    nothing for a while; owed: answers that are still to come.
    """

    limit: int
    timeout: float
    held: bool
    owed: int

    def admit(self, head: Head, peer: "HttpConnection") -> HttpReply | None:
        """An HttpReply refuses the request before its body is read."""
        ...

    def take(self, request: "HttpRequest") -> None:
        """Answer it, now or later, with `request.respond`, once."""
        ...

    def settled(self) -> None:
        """One answer has been given."""
        ...

    def refused(self, peer: str, reply: HttpReply) -> None:
        """A request for it was refused so."""
        ...


class HttpOwner(Protocol):
    """What a connection needs of its server. now: seconds, counted in sweeps; date: its text;
    tick: seconds between sweeps, by which `now` may be late.
    """

    now: float
    tick: float
    date: bytes
    timeout: float
    idle: float

    def opened(self, connection: "HttpConnection") -> bool:
        """The connection is up; False: it may not be."""
        ...

    def gone(self, connection: "HttpConnection") -> None:
        """The connection is down."""
        ...

    def route(self, path: str) -> Route | None:
        """Who answers at this path."""
        ...

    def broken(self, fault: HttpBroken) -> HttpReply:
        """What a request is told that cannot be read."""
        ...

    def strayed(self, peer: str, status: int) -> None:
        """A request was refused that belongs to no route."""
        ...


class HttpRequest:
    """A whole request and the way back. body: as it came; peer: `host:port`; user: who sent
    it, where that is known.
    """

    __slots__ = ("_connection", "_route", "body", "connection", "head", "peer", "user")

    def __init__(
        self, connection: "HttpConnection", route: Route, head: Head, body: bytes
    ) -> None:
        self._connection, self.head, self.body = connection, head, body
        self._route: Route | None = route
        self.peer, self.connection = connection.peer, connection.number
        self.user = connection.user
        route.owed += 1

    @property
    def sender(self) -> "HttpConnection":
        """On which connection it came."""
        return self._connection

    def respond(self, reply: HttpReply) -> None:
        """Tell the peer; harmless when it has gone, or was told."""
        route, self._route = self._route, None
        if route is not None:
            self._connection.respond(self.head, reply)
            route.settled()


class HttpConnection(asyncio.Protocol):
    """One connected peer. `state`: `head body owed lingering`."""

    def __init__(self, owner: HttpOwner, number: int) -> None:
        self._owner = owner
        self.number = number
        self.peer, self.host = "", ""
        self.certificate: Any = None
        self.user = ""  # who sends the present request
        self.proved: tuple[str, str] | None = None  # channel and user that were told last
        self.state = "head"
        self.gone = False
        self.leaving = False  # close after the answer that is owed
        self.parked = False  # its route is held
        self.code = "peer"  # why it ended
        self._decoder = RequestDecoder()
        self._head: Head | None = None
        self._route: Route | None = None
        self._stepping = False
        self._paused = False
        self._heard = False  # the peer sends no more
        self._full = False  # the peer does not take its answers
        self._drained = 0
        self.touched = self._began = owner.now
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """asyncio: the peer is connected."""
        self._transport = transport
        self.host, port, *_ = transport.get_extra_info("peername") or ("", 0)
        self.peer = f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"
        self.certificate = transport.get_extra_info("peercert")
        if not self._owner.opened(self):
            self.gone = True
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """asyncio: one read."""
        self.touched = self._owner.now
        if self.gone:
            return
        if self.state == "lingering":
            self._drained += len(data)
            if self._drained > _DRAINED:
                self.abort("broken")
            return
        if self.state == "head" and not self._decoder.begun:
            self._began = self._owner.now
        self._decoder.feed(data)
        if self.state == "owed" or self.parked or self._full:
            self._pause(self._decoder.waiting > _AHEAD)
        else:
            self._advance()

    def pause_writing(self) -> None:
        """asyncio: the peer does not take its answers."""
        self._full = True

    def resume_writing(self) -> None:
        """asyncio: it has taken nearly all of them."""
        self._full = False
        self._began = self.touched = self._owner.now
        if not (self.parked or self._stepping):
            self._pause(False)
            self._advance()

    def eof_received(self) -> bool:
        """asyncio: the peer sends no more, and may still listen."""
        self.leaving = self._heard = True
        return self.state == "owed" or self.parked

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: it is over. Answers that come later reach nobody."""
        self.gone = True
        self._owner.gone(self)

    def respond(self, head: Head | None, reply: HttpReply) -> None:
        """Write a response; the connection stays when both sides want that."""
        if self.gone:
            return
        lasting = head is not None and head.lasting and not (reply.close or self.leaving)
        bare = head is not None and head.method == "HEAD"
        self._transport.write(
            http.response(
                reply.status, reply.fields, reply.body, self._owner.date, lasting, bare
            )
        )
        if not lasting:
            self.close("told")
            return
        self.state, self._head, self._route = "head", None, None
        self._began = self.touched = self._owner.now
        self._pause(False)
        if self._decoder.begun and not self._stepping:
            self._advance()

    def _advance(self) -> None:
        self._stepping, steps = True, 0
        try:
            while self.state in ("head", "body") and not (self.gone or self._full):
                if not self._step():
                    break
                steps += 1
                if steps >= _TURN and not self._full:
                    self.pause_writing()
                    asyncio.get_running_loop().call_soon(self.resume_writing)
        except HttpBroken as fault:
            self._refuse(self._owner.broken(fault))
        finally:
            self._stepping = False

    def _step(self) -> bool:
        """One part of a request; False: more bytes are needed first."""
        if self.state == "head":
            head = self._decoder.head()
            if head is None:
                return False
            return self._headed(head)
        assert self._route is not None and self._head is not None
        if self._route.held:
            self.parked = True
            self._pause(True)
            return False
        body = self._decoder.body()
        if body is None:
            return False
        self.state = "owed"
        self._route.take(HttpRequest(self, self._route, self._head, body))
        return True

    def _headed(self, head: Head) -> bool:
        route = self._owner.route(head.path)
        if route is None:
            raise HttpBroken(404, "nothing is served at this path")
        self._route, self._head, self.user = route, head, ""
        if (reply := route.admit(head, self)) is not None:
            self._refuse(reply)
            return True
        self._decoder.expect(head.length, route.limit)
        self.state, self._began = "body", self._owner.now
        if head.waits and not self._decoder.begun:
            self._transport.write(http.CONTINUE)
        return True

    def _refuse(self, reply: HttpReply) -> None:
        """Answer before the request is whole. With all of it here the connection may stay."""
        head = self._head
        if self._route is not None:
            self._route.refused(self.peer, reply)
        else:
            self._owner.strayed(self.peer, reply.status)
        whole = head is not None and self.state == "head" and head.length == 0
        self.respond(head if whole else None, reply)

    def _pause(self, wanted: bool) -> None:
        if wanted != self._paused and not self.gone:
            self._paused = wanted
            call: Callable[[], None] = (
                self._transport.pause_reading if wanted else self._transport.resume_reading
            )
            call()

    def unpark(self) -> None:
        """Its route is held no more."""
        if self.parked and self._route is not None and not self._route.held:
            self.parked = False
            self._began = self.touched = self._owner.now
            self._pause(False)
            self._advance()

    def expire(self, now: float) -> None:
        """Past a deadline: 408 where a request was begun, else a quiet end."""
        owner = self._owner
        now -= owner.tick  # what began since the last sweep began later than it says
        if self.state == "lingering":
            if now - self._began >= (owner.idle if self._full else _LINGER):
                self.abort(self.code)
        elif self.state == "body" and not self.parked and self._route is not None:
            if now - self._began >= self._route.timeout + self._decoder.got / PACE:
                self._late()
        elif self.state == "head" and self._decoder.begun and not self._full:
            if now - self._began >= owner.timeout:
                self._late()
        elif self.state == "head" and now - self.touched >= owner.idle:
            self.abort("idle") if self._writing() else self.close("idle")

    def _late(self) -> None:
        self.code = "timeout"
        self._refuse(self._owner.broken(HttpBroken(408, "the request did not come in time")))

    def _writing(self) -> bool:
        return bool(self._transport.get_write_buffer_size())

    def leave(self) -> None:
        """Close, after the answer that is owed."""
        self.leaving = True
        if self.state != "owed" and not self.gone:
            self.close("stopped")

    def close(self, code: str) -> None:
        """Close once what is written has left, and what the peer still says is heard.

        A socket that is closed with bytes unread resets the connection, and the peer may
        never see its answer.
        """
        self.code = code if self.code == "peer" else self.code
        if code in ("idle", "stopped") or not self._transport.can_write_eof():
            self.gone = True
            self._transport.close()
            return
        self.state, self._began = "lingering", self._owner.now
        self._pause(False)
        if self._heard:
            self._transport.close()
            return
        with suppress(OSError):  # the peer has gone meanwhile
            self._transport.write_eof()

    def abort(self, code: str) -> None:
        """Close now."""
        self.code, self.gone = code, True
        self._transport.abort()
