"""The SOAP source: `source: {type: soap, listen: HOST:PORT, path: /iis, profile: cdc-iis}`.

The HL7 argument is the message (P5), its ACK the answer; what is wrong with the call is a
fault, what is wrong with the message an ACK (I5). Passwords end here (I4).
Source: the CDC's IIS WSDLs; PROTOCOLS W1 to W7, I1 to I5.
"""

import asyncio
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import Field, model_validator

from portico.errors import ListenFailed, WsdlInvalid
from portico.listeners.contract import ListenerType, Receive, Surroundings
from portico.listeners.http_answer import AGAIN, problem
from portico.listeners.http_auth import Auth, Nobody
from portico.listeners.http_body import BodyContent
from portico.listeners.http_connection import HttpConnection, HttpReply, HttpRequest
from portico.listeners.http_path import HttpPath, HttpSource, about_of
from portico.listeners.https import HttpArrival
from portico.model.receipt import Receipt, Told
from portico.soap import envelope, service, serving
from portico.soap.envelope import SoapFault
from portico.soap.serving import Asked, SoapDesk
from portico.soap.token import Tokens
from portico.soap.xml import Element
from portico.spec.fields import Inner, Text, wrong
from portico.spec.logins import Login
from portico.wire.http import Head

_LARGE = 64 << 10  # bytes from which a request is read in a thread
_AROUND = 64 << 10  # bytes that an envelope may add to its message, beyond a tenth
_XML = b"Content-Type: %s\r\n"


class SoapAuth(Auth):
    """`basic`: with a profile the arguments that hold user and password; `token`: a
    WS-Security UsernameToken.
    """

    token: Login | None = None


class SoapSource(HttpSource):
    """Options of a SOAP source. profile or wsdl: a file below the site. content, ended: the
    channel's own, filled in by the engine.
    """

    profile: Literal["cdc-iis", "cdc-iis-2014"] | None = None
    wsdl: Text | None = None
    auth: Annotated[SoapAuth | None, Nobody()] = None
    content: Inner = Field("hl7", exclude=True)
    ended: Inner = Field(False, exclude=True)

    @model_validator(mode="after")
    def _one(self) -> "SoapSource":
        if (self.profile is None) == (self.wsdl is None):
            raise wrong("config.value", "either profile or wsdl says what is served", _HINT)
        return self


_HINT = "such as profile: cdc-iis"


class SoapListener(HttpPath):
    """One WSDL at one path: a Listener, and the Route of its server."""

    source: SoapSource

    def __init__(
        self, channel: str, source: SoapSource, receive: Receive, around: Surroundings
    ) -> None:
        super().__init__(channel, source, _at_head(source), around)
        self._receive = receive
        self._tokens = Tokens()
        self._desk: SoapDesk | None = None

    async def start(self) -> None:
        """Read the WSDL, in a thread, and answer. Raises ListenFailed."""
        await self._learn()
        await super().start()

    async def _learn(self) -> None:
        source = self.source
        path = service.wsdl_of(source.profile, source.wsdl, self.around.root)
        try:
            known = await asyncio.to_thread(service.load, path)
        except WsdlInvalid as error:
            raise ListenFailed(str(error)) from error
        profile = service.PROFILES[source.profile] if source.profile else None
        secured = source.auth is not None and source.auth.way == "token"
        whole = profile is None and source.content == "xml"
        self._desk = SoapDesk(known, profile, source.limit, secured, whole)

    def take_source(self, source: Any, auth: Auth | None) -> None:
        """Go by these options. An envelope may be larger than its message."""
        super().take_source(source, auth)
        self.limit = source.limit + source.limit // 10 + _AROUND

    def adopt(self, source: object) -> bool:
        """Take changed options of sender and time; False for all else."""
        if not isinstance(source, SoapSource) or not self.fits(source):
            return False
        kept = ("profile", "wsdl", "limit", "auth", "content")
        if any(getattr(source, key) != getattr(self.source, key) for key in kept):
            return False
        self.take_source(source, _at_head(source))
        return True

    @property
    def desk(self) -> SoapDesk:
        """What the WSDL says."""
        assert self._desk is not None
        return self._desk

    def admit(self, head: Head, peer: HttpConnection) -> HttpReply | None:
        """Method, peer, sender, type and size, before the body is read."""
        if (reply := self.turned_away(head, peer)) is not None:
            return reply
        if head.method == "GET" and head.query:
            return None
        if head.method != "POST":
            text = "SOAP is posted; ?wsdl says how"
            return problem(405, "method", text, fields=b"Allow: POST\r\n")
        kind = head.fields.get("content-type", "")
        if envelope.version_of(kind) is None or "content-encoding" in head.fields:
            text = "SOAP 1.1 comes as text/xml, 1.2 as application/soap+xml, uncompressed"
            return problem(415, "type", text)
        if head.length > self.limit:
            fault = self.desk.too_large(head.length)
            return faulty(fault, serving.fault_version(kind), None, close=True)
        return None

    def answer(self, request: HttpRequest) -> None:
        """Answer `?wsdl` and faults; hand up the message."""
        if self.stopped:
            request.respond(problem(503, "stopped", "the channel is stopping", close=True))
        elif (reply := self.unsigned(request)) is not None:
            self.refuse(request, reply)
        elif request.head.method == "GET":
            self._describe(request)
        elif len(request.body) < _LARGE:
            self._decide(request, self._read(request))
        else:
            self.aside(request, self._read_in_thread(request))

    async def _read_in_thread(self, request: HttpRequest) -> None:
        self._decide(request, await asyncio.to_thread(self._read, request))

    def _read(self, request: HttpRequest) -> Asked | SoapFault:
        version = serving.fault_version(request.head.fields.get("content-type", ""))
        try:
            return self.desk.read(request.body, version, self._judge)
        except SoapFault as fault:
            return fault

    def _judge(self, user: str, password: str, token: Element | None) -> bool:
        auth = self.source.auth
        if auth is None:
            return True
        if auth.token is not None:
            now = self.around.clock.time_ns() / 1e9
            secret = self.door.secret(auth.token.password).decode()
            right = self._tokens.right
            return token is not None and right(token, auth.token.user, secret, now)
        if auth.basic is not None and self.source.profile is not None:
            return self.door.login(auth.basic, user, password)
        return True

    def _decide(self, request: HttpRequest, asked: Asked | SoapFault) -> None:
        if isinstance(asked, SoapFault):
            kind = request.head.fields.get("content-type", "")
            reply = faulty(asked, serving.fault_version(kind), None)
            if asked.stranger:
                self.unproved(request.peer)
                self.respond(request, reply)
            else:
                self.refuse(request, reply)
        elif asked.content is None:
            request.respond(self._said(asked, asked.echo))
        else:
            if (user := _inside(self.source)) is not None:
                self.proved(request.sender, user)
            received = self.around.clock.time_ns()
            arrival = HttpArrival(
                request,
                BodyContent(asked.content),
                received,
                lambda receipt: self.respond(request, self._told(asked, receipt)),
            )
            about = about_of(request)
            about["header"] = {**about.get("header", {}), **asked.about}
            arrival.about = about
            self._receive(arrival)

    def _told(self, asked: Asked, receipt: Receipt) -> HttpReply:
        """An ACK is an answer whatever it says (I5); a fault is for what has none, and for
        what an operation without an answer cannot say.
        """
        heard = receipt.replies and asked.operation.answers is not None
        if heard or receipt.told is Told.ACCEPTED:
            text = b"".join(receipt.replies).decode("utf-8", "replace")
            return self._said(asked, text)
        version = asked.envelope.version
        if receipt.told is Told.REFUSED or receipt.code == "empty":
            return faulty(self.desk.refused(receipt.text), version, asked)
        reply = faulty(self.desk.failed(receipt.text), version, asked)
        if receipt.told is Told.SILENT:
            again = b"Retry-After: %d\r\n" % AGAIN
            return HttpReply(reply.status, reply.body, reply.fields + again)
        return reply

    def _said(self, asked: Asked, text: str) -> HttpReply:
        kind = envelope.media(asked.envelope.version).encode()
        body = self.desk.answer(asked, text)
        return HttpReply(200, body, _XML % kind) if body else HttpReply(202)

    def _describe(self, request: HttpRequest) -> None:
        """`?wsdl` and the schemas that it imports (W5)."""
        head = request.head
        host = head.fields.get("host", str(self.source.listen))
        scheme = "http" if self.source.tls is None else "https"
        address = f"{scheme}://{host}{head.path}"
        name, _, value = head.query.partition("=")
        found = None
        if name.lower() == "wsdl":
            found = self.desk.service.text(address)
        elif name.lower() == "xsd":
            found = self.desk.service.schema(unquote(value), address)
        if found is None:
            self.refuse(request, problem(404, "wsdl", "there is ?wsdl and what it imports"))
        else:
            request.respond(HttpReply(200, found, _XML % b"text/xml; charset=utf-8"))


def _at_head(source: SoapSource) -> Auth | None:
    """What the HTTP request itself must show."""
    return None if _inside(source) is not None else source.auth


def _inside(source: SoapSource) -> str | None:
    """The user that the envelope must name; None where the request's head is looked at."""
    auth = source.auth
    if auth is not None and auth.token is not None:
        return auth.token.user
    if auth is not None and auth.basic is not None and source.profile is not None:
        return auth.basic.user
    return None


def faulty(
    fault: SoapFault, version: str, asked: Asked | None, close: bool = False
) -> HttpReply:
    """A fault as an HTTP response."""
    body = envelope.faulty(fault, version, asked.envelope if asked is not None else None)
    return HttpReply(
        fault.status(version), body, _XML % envelope.media(version).encode(), close
    )


SOAP = ListenerType(
    name="soap",
    summary="HL7 in SOAP 1.1 and 1.2 by a WSDL, the CDC's IIS interfaces built in",
    options=SoapSource,
    build=SoapListener,
)
