"""One path of one address: what HTTPS and SOAP sources share.

The server at the address is shared too (listeners/http_server.py); it lives in
`Surroundings.shared`, one for each address of an engine.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import parse_qsl

from msgspec import structs
from pydantic import AfterValidator

from portico.errors import ListenFailed, TlsInvalid
from portico.events.auditing import LoginAccepted, LoginRefused
from portico.events.intake import RequestRefused
from portico.gate import ANY, NEAR, Gate, Network, Networks
from portico.listeners.contract import Surroundings
from portico.listeners.http_answer import problem
from portico.listeners.http_auth import PRIVATE, Admission, Auth, Refusal
from portico.listeners.http_connection import HttpConnection, HttpReply, HttpRequest
from portico.listeners.http_server import HttpServer, HttpServers, HttpTerms
from portico.listeners.signatures import Signatures
from portico.spec.fields import (
    Address,
    Count,
    Duration,
    HostPort,
    Options,
    Size,
    Span,
    Text,
    wrong,
)
from portico.spec.tls import TlsField
from portico.tls.certificates import Secured
from portico.wire.http import Head

_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/%-]*")
# Fields that say how a request travels, not what it says: they cost a row each in the journal.
_TRAVEL = PRIVATE | frozenset(
    """accept accept-charset accept-encoding accept-language cache-control connection
    content-encoding content-length content-type date expect host keep-alive pragma soapaction
    te transfer-encoding upgrade user-agent x-timestamp""".split()
)
_SERVERS = "http"


def _path(value: str) -> str:
    if not _PATH.fullmatch(value):
        raise wrong("config.value", f"{value!r} is not a path", "such as /adt")
    return value


class HttpSource(Options):
    """Options of every HTTP source. Durations in seconds, sizes in bytes.

    timeout: for a head to be whole; a body may take that and then a second for each 64 KiB.
    idle: silence between requests.
    """

    listen: Address
    tls: TlsField = None
    path: Annotated[Text, AfterValidator(_path)] = "/"
    allow: Networks = NEAR
    connections: Count = 100
    limit: Size = 16 << 20
    timeout: Span = 30.0
    idle: Duration = 3600.0

    @property
    def apart(self) -> str:
        """What tells the channels of one address apart."""
        return self.path

    @property
    def exposed(self) -> bool:
        """Anybody who reaches the address could send."""
        auth: Any = getattr(self, "auth", None)
        certified = self.tls is not None and self.tls.clients == "required"
        return auth is None and not certified and not loopback(self.listen.host)


def loopback(host: str) -> bool:
    """Only this machine reaches that address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def allowed(source: HttpSource) -> tuple[Network, ...]:
    """Who may connect: where certificates are required and nothing is said, anybody."""
    required = source.tls is not None and source.tls.clients == "required"
    return ANY if required and "allow" not in source.model_fields_set else source.allow


class HttpPath(ABC):
    """The common half of a Listener that answers at a path (and is a Route)."""

    def __init__(
        self, channel: str, source: HttpSource, auth: Auth | None, around: Surroundings
    ) -> None:
        self.channel, self.around = channel, around
        self.held = self.stopped = False
        self.owed = 0
        self._signatures = Signatures()
        self._tasks: set[asyncio.Task[None]] = set()
        self._settled: asyncio.Event | None = None  # while we stop
        self._server: HttpServer | None = None
        self.take_source(source, auth)

    @abstractmethod
    def admit(self, head: Head, peer: HttpConnection) -> HttpReply | None:
        """An HttpReply refuses the request before its body is read (Route)."""

    @abstractmethod
    def answer(self, request: HttpRequest) -> None:
        """Answer it, now or later."""

    def take(self, request: HttpRequest) -> None:
        """The same (Route)."""
        try:
            self.answer(request)
        except Exception as fault:  # noqa: BLE001  the fence of one request
            self._fault(request, fault)

    def take_source(self, source: Any, auth: Auth | None) -> None:
        """Go by these options from the next request on."""
        self.source = source
        self.limit, self.timeout = source.limit, source.timeout
        around = self.around
        self.door = Admission(auth, around.root, around.environ, around.clock, self._signatures)
        self._allow = allowed(source)
        self._gate = Gate(self._allow, 1)
        if self._server is not None:
            self._server.serve(source.path, self, self._terms())

    def fits(self, source: HttpSource) -> bool:
        """Changed options that need no other address and path."""
        before = self.source
        same = source.listen == before.listen and source.path == before.path
        return bool(same and source.tls == before.tls)

    def _terms(self) -> HttpTerms:
        source = self.source
        return HttpTerms(
            self.channel, self._allow, source.connections, source.timeout, source.idle
        )

    async def start(self) -> None:
        """Answer at the path. Raises ListenFailed."""
        shared = self.around.shared
        servers: HttpServers = shared.setdefault(
            _SERVERS, HttpServers(self.around.clock, self.around.emit)
        )
        source = self.source
        server = servers.at(source.listen)
        server.serve(source.path, self, self._terms())
        try:
            await server.open(self._secured())
        except BaseException:
            await servers.leave(server, source.path, 0)
            raise
        self._servers, self._server = servers, server

    def _secured(self) -> Secured | None:
        if self.source.tls is None:
            return None
        try:
            return self.around.certificates.server(self.source.tls)
        except TlsInvalid as error:
            raise ListenFailed(str(error)) from error

    @property
    def address(self) -> HostPort:
        """Where it listens, with the port that the system chose for port 0."""
        assert self._server is not None
        return self._server.address

    def connections(self) -> int:
        """How many peers are connected to the address now."""
        return len(self._server.connections) if self._server is not None else 0

    def hold(self) -> None:
        """Read no more bodies and hand up nothing; connections stay open."""
        self.held = True

    def release(self) -> None:
        """Go on with what waits."""
        self.held = False
        if self._server is not None:
            self._server.release()

    async def stop(self, grace: float) -> None:
        """Take no more; wait up to `grace` seconds for open answers; leave the path."""
        server, self._server = self._server, None
        if server is None:
            return
        self.stopped, self.held = True, False
        server.release()
        self._settled = asyncio.Event()
        if self.owed:
            try:
                await asyncio.wait_for(self._settled.wait(), grace)
            except TimeoutError:
                grace = 0.0
        await self._servers.leave(server, self.source.path, grace)

    def settled(self) -> None:
        """One answer has been given."""
        self.owed -= 1
        if not self.owed and self._settled is not None:
            self._settled.set()

    def aside(self, request: HttpRequest, work: Coroutine[Any, Any, None]) -> None:
        """Answer a request by work that takes time."""
        task = asyncio.ensure_future(self._fenced(request, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fenced(self, request: HttpRequest, work: Coroutine[Any, Any, None]) -> None:
        """A fault of ours is told, so that no sender waits for an answer that never comes."""
        try:
            await work
        except Exception as fault:  # noqa: BLE001  the fence of one request
            self._fault(request, fault)

    def _fault(self, request: HttpRequest, fault: Exception) -> None:
        text = f"{type(fault).__name__} in the engine"
        self.refuse(request, problem(500, "internal", text, close=True))

    def refused(self, peer: str, reply: HttpReply) -> None:
        """A request was refused."""
        if not reply.known:
            self.around.emit(RequestRefused(self.channel, peer, str(reply.status)))

    def refuse(self, request: HttpRequest, reply: HttpReply) -> None:
        """The same, of a request that is whole."""
        self.refused(request.peer, reply)
        self.respond(request, reply)

    def respond(self, request: HttpRequest, reply: HttpReply) -> None:
        """Tell the sender; what our side could not do may come again as it is."""
        if reply.status >= 500:
            self.door.not_stored(request.head)
        request.respond(reply)

    def turned_away(self, head: Head, peer: HttpConnection) -> HttpReply | None:
        """Why this peer may not send here, before the body is read; None: it may."""
        if self.stopped:
            return problem(503, "stopped", "the channel is stopping", close=True)
        if self._gate.refusal(peer.host, 0) is not None:
            return problem(403, "not_allowed", "this address may not send here")
        found = self.door.at_head(head, peer.certificate)
        if isinstance(found, Refusal):
            self.unproved(peer.peer, found.user)
            return turned_away(found)
        peer.user = found
        if self.door.proves:
            self.proved(peer, found)
        return None

    def unsigned(self, request: HttpRequest) -> HttpReply | None:
        """What a request is told whose signature is not good; None: it is, or none is asked."""
        refusal = self.door.at_body(request.head, request.body)
        if refusal is not None:
            self.unproved(request.peer)
            return turned_away(refusal)
        if self.door.signs:
            self.proved(request.sender, "")
        return None

    def proved(self, sender: HttpConnection, user: str) -> None:
        """Somebody has shown who it is; told once for a connection."""
        if sender.proved != (self.channel, user):
            sender.proved = self.channel, user
            way = self.source.auth.way
            self.around.emit(LoginAccepted(self.channel, sender.peer, user, way))

    def unproved(self, peer: str, user: str = "") -> None:
        """Somebody has not. user: where we know it."""
        self.around.emit(LoginRefused(self.channel, peer, user, self.source.auth.way))


def turned_away(refusal: Refusal) -> HttpReply:
    """The answer to a sender who is not who it should be."""
    fields = b"WWW-Authenticate: %s\r\n" % refusal.challenge if refusal.challenge else b""
    return structs.replace(
        problem(refusal.status, "auth", refusal.text, fields=fields), known=True
    )


def about_of(request: HttpRequest) -> dict[str, Any]:
    """What of a request becomes part of a Signal: no credential, nothing of travel."""
    about: dict[str, Any] = {}
    fields = request.head.fields
    if header := {name: fields[name] for name in fields.keys() - _TRAVEL}:
        about["header"] = header
    if request.head.query:
        about["query"] = _queried(request.head.query)
    if request.user:
        about["user"] = request.user
    return about


def _queried(query: str) -> dict[str, str]:
    """The query by name, the first of each."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=64)
    except ValueError:
        return {}
    return dict(reversed(pairs))
