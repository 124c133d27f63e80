"""The HTTPS source: `source: {type: https, listen: HOST:PORT, path: /adt}`.

A request is one message, a form one for each of its files. Several channels may share an
address with a path each. What a request may hold is said by the channel's `content`.
Source: RFC 9110 (methods, statuses), HL7 over HTTP (one message a request, the ACK in the
response).
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from portico.errors import HttpBroken
from portico.listeners import http_body
from portico.listeners.contract import ListenerType, Receive, Surroundings
from portico.listeners.http_answer import problem, reply_of, reply_of_many
from portico.listeners.http_auth import PRIVATE, Auth, Nobody
from portico.listeners.http_body import BodyContent
from portico.listeners.http_connection import HttpConnection, HttpReply, HttpRequest
from portico.listeners.http_path import HttpPath, HttpSource, about_of
from portico.model.receipt import Receipt
from portico.spec.fields import ONE_OR_MANY, Inner, Text, wrong
from portico.wire.http import Head

_LARGE = 64 << 10  # bytes from which a body is taken apart in a thread
_FIELD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_METHODS = ("POST", "PUT", "PATCH", "DELETE", "GET")


def _method(value: str) -> str:
    if value.upper() not in _METHODS:
        raise wrong("config.choice", f"{value!r} is not a method here", ", ".join(_METHODS))
    return value.upper()


def _field_name(value: str) -> str:
    if not _FIELD.fullmatch(value) or value.lower() in PRIVATE:
        raise wrong("config.value", f"{value!r} is not a header", "such as Idempotency-Key")
    return value.lower()


class HttpsSource(HttpSource):
    """Options of an HTTPS source. idempotency: the header whose value makes two requests the
    same. content, ended: the channel's own, filled in by the engine; ended: the positive
    answer waits for the agents.
    """

    methods: Annotated[tuple[Annotated[Text, AfterValidator(_method)], ...], ONE_OR_MANY] = (
        "POST",
    )
    auth: Annotated[Auth | None, Nobody()] = None
    idempotency: Annotated[Text, AfterValidator(_field_name)] | None = None
    content: Inner = Field("hl7", exclude=True)
    ended: Inner = Field(False, exclude=True)


class HttpArrival:
    """One content of a request: an Arrival. about: the request's fields without secrets, its
    query, and who sent it.
    """

    __slots__ = (
        "_first",
        "_told",
        "about",
        "connection",
        "content",
        "file",
        "peer",
        "received",
    )

    def __init__(
        self,
        request: HttpRequest,
        content: BodyContent,
        received: int,
        told: Callable[[Receipt], None],
    ) -> None:
        self.content, self.file = content.content, content.file
        self.peer, self.connection = request.peer, request.connection
        self.received = received
        self.about: Mapping[str, Any] = about_of(request)
        self._told = told
        self._first: tuple[bytes, ...] = ()

    def answer(self, receipt: Receipt) -> None:
        """A request is answered once: an answer that promises more waits for it."""
        if receipt.more:
            self._first = receipt.replies
        else:
            self._told(receipt)

    def say(self, receipt: Receipt) -> None:
        """The second answer, behind the first."""
        self._told(
            Receipt(
                receipt.told,
                self._first + receipt.replies,
                receipt.close,
                receipt.code,
                text=receipt.text,
                location=receipt.location,
                signal=receipt.signal,
            )
        )


class _Many:
    """The answers to one request of several files."""

    def __init__(self, respond: Callable[[HttpReply], None], count: int, ended: bool) -> None:
        self._respond, self._ended = respond, ended
        self._receipts: list[Receipt | None] = [None] * count

    def told(self, number: int, receipt: Receipt) -> None:
        """One more; the last one lets the whole answer leave."""
        self._receipts[number] = receipt
        receipts = [one for one in self._receipts if one is not None]
        if len(receipts) == len(self._receipts):
            self._respond(reply_of_many(receipts, self._ended))


class HttpsListener(HttpPath):
    """One path of one address: a Listener, and the Route of its server."""

    source: HttpsSource

    def __init__(
        self, channel: str, source: HttpsSource, receive: Receive, around: Surroundings
    ) -> None:
        super().__init__(channel, source, source.auth, around)
        self._receive = receive

    def adopt(self, source: object) -> bool:
        """Take changed options; False when the address or the path changed."""
        if not isinstance(source, HttpsSource) or not self.fits(source):
            return False
        self.take_source(source, source.auth)
        return True

    def admit(self, head: Head, peer: HttpConnection) -> HttpReply | None:
        """Method, peer, sender and types, before the body is read."""
        if head.method not in self.source.methods:
            allow = f"Allow: {', '.join(self.source.methods)}\r\n".encode()
            return problem(405, "method", "this method is not served here", fields=allow)
        if (reply := self.turned_away(head, peer)) is not None:
            return reply
        try:
            http_body.check_types(head, self.source.content)
        except HttpBroken as fault:
            fields = b"Accept-Encoding: gzip\r\n" if "coding" in str(fault) else b""
            return problem(fault.status, fault.code, str(fault), fields=fields)
        return None

    def answer(self, request: HttpRequest) -> None:
        """Hand up what the request holds."""
        if self.stopped:
            request.respond(problem(503, "stopped", "the channel is stopping", close=True))
            return
        if (reply := self.unsigned(request)) is not None:
            self.refuse(request, reply)
        elif http_body.plain(request.head):
            self._offer(request, [BodyContent(request.body)])
        elif len(request.body) < _LARGE and "content-encoding" not in request.head.fields:
            self._apart(request)
        else:
            self.aside(request, self._apart_in_thread(request))

    def _apart(self, request: HttpRequest) -> None:
        try:
            found = http_body.contents(request.head, request.body, self.limit)
        except HttpBroken as fault:
            self.refuse(request, problem(fault.status, fault.code, str(fault)))
            return
        self._offer(request, found)

    async def _apart_in_thread(self, request: HttpRequest) -> None:
        arguments = (request.head, request.body, self.limit)
        try:
            found = await asyncio.to_thread(http_body.contents, *arguments)
        except HttpBroken as fault:
            self.refuse(request, problem(fault.status, fault.code, str(fault)))
            return
        self._offer(request, found)

    def _offer(self, request: HttpRequest, found: list[BodyContent]) -> None:
        received, ended = self.around.clock.time_ns(), bool(self.source.ended)
        respond = partial(self.respond, request)
        if len(found) == 1:
            self._hand_up(
                request,
                found[0],
                received,
                lambda receipt: respond(reply_of(receipt, ended)),
            )
            return
        many = _Many(respond, len(found), ended)
        for number, content in enumerate(found):
            self._hand_up(request, content, received, partial(many.told, number))

    def _hand_up(
        self,
        request: HttpRequest,
        content: BodyContent,
        received: int,
        told: Callable[[Receipt], None],
    ) -> None:
        self._receive(HttpArrival(request, content, received, told))


HTTPS = ListenerType(
    name="https",
    summary="HL7, JSON, XML or files in HTTP requests; they connect, we listen",
    options=HttpsSource,
    build=HttpsListener,
)
