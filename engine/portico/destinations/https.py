"""The HTTPS destination: `type: https`, `address: https://his.example/patients/{PID-3.1}`.

The answer's status judges, or its ACK where it is HL7. No detail ever holds a rendered
address: places may have put patient data into it. Source: RFC 9110 sections 10.2.3
(Retry-After) and 15; PROTOCOLS A11.
"""

import asyncio
import re
import ssl
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

import httpx2
from pydantic import PlainValidator, WithJsonSchema

from portico import ids
from portico.destinations import http_answer
from portico.destinations.contract import DestinationType, Done, Surroundings
from portico.destinations.http_auth import Credentials, NoToken, TargetAuth
from portico.destinations.patience import Patience
from portico.errors import MessageError, SecretMissing, TlsInvalid, WsdlInvalid
from portico.language.content import open_content, sniff
from portico.language.context import Context
from portico.language.template import Template
from portico.model.delivery import Answered, Attempt, Delivery
from portico.spec.fields import Options, Size, Switch, wrong
from portico.spec.secrets import Secret
from portico.spec.tls import Tls, TlsField

_ORIGIN = re.compile(r"https?://[^/?#{}\s@]+")
_SYSTEM = Tls.model_validate({})  # verified by what the machine trusts
_LEAVES = "http11.send_request_headers.started"  # httpcore2's word for the first byte
_MOVES = 3  # redirects, one after the other
_MEDIA = {
    "hl7": "application/hl7-v2",
    "json": "application/json",
    "xml": "application/xml",
}
_FIELD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def address(value: Any) -> Any:
    """The template of an address; places only behind the host."""
    if isinstance(value, Template):
        return value
    match = _ORIGIN.match(value) if isinstance(value, str) else None
    if match is None or (value[match.end() :] or "/")[0] not in "/?":
        hint = "such as https://his.example/patients; places only behind the host"
        raise wrong("config.value", "not the address of a web server", hint)
    return _template(value)


def _template(value: Any) -> Template:
    try:
        return Template.parse(value)
    except (ValueError, MessageError) as error:
        text, _, hint = str(error).partition("; ")
        raise wrong("config.template", text, hint) from None


def given(value: Any) -> Any:
    """A template, or a secret by reference."""
    if isinstance(value, Template | Secret):
        return value
    if not isinstance(value, str):
        raise wrong("config.type", "expected one text")
    return Secret.parse(str(value)) if value.startswith("${") else _template(value)


def _headers(value: Any) -> Any:
    if not isinstance(value, dict):
        raise wrong("config.type", "expected a mapping", "such as {X-Ward: '{PV1-3.1}'}")
    for name in value:
        if not _FIELD.fullmatch(name) or name.lower() in ("host", "content-length"):
            raise wrong("config.value", f"{name!r} is not a header that can be set")
    return {str(name): given(each) for name, each in value.items()}


class HttpsTarget(Options):
    """Options of an HTTPS destination. limit: bytes of an answer that are kept. redirects:
    307 and 308 within the same server, nothing else.
    """

    address: Annotated[Template, PlainValidator(address), WithJsonSchema({"type": "string"})]
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    headers: Annotated[
        Mapping[str, Template | Secret],
        PlainValidator(_headers),
        WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
    ] = {}
    auth: TargetAuth | None = None
    tls: TlsField = None
    redirects: Switch = False
    limit: Size = 1 << 20


class HttpsDestination:
    """One web server: a Destination. spec: `options` (HttpsTarget) and the common keys."""

    def __init__(self, name: str, spec: Any, around: Surroundings) -> None:
        self.name = name
        self._around = around
        self._seconds = around.clock.monotonic
        self._flying: dict[asyncio.Task[Attempt], Done] = {}
        self._client: Any = None
        self._context: Any = None
        self._retired: list[tuple[Any, set[asyncio.Task[Attempt]]]] = []  # and who uses them
        self._closing: set[asyncio.Task[None]] = set()
        self._take(spec)

    def _take(self, spec: Any) -> None:
        around = self._around
        self._spec, self._options = spec, spec.options
        self.width = spec.connections
        self._credentials = Credentials(
            self._options.auth, around.root, around.environ, around.clock
        )
        self._stale = True

    async def start(self) -> None:
        """Nothing to do: the first Delivery connects."""

    def deliver(self, delivery: Delivery, done: Done) -> None:
        """Try once."""
        trying = asyncio.ensure_future(self._try(delivery))
        self._flying[trying] = done
        trying.add_done_callback(self._tried)

    def adopt(self, spec: object) -> bool:
        """The next request goes by the changed options."""
        if not isinstance(getattr(spec, "options", None), type(self._options)):
            return False
        self._take(spec)
        return True

    async def stop(self, grace: float) -> None:
        """Let requests end within `grace` seconds; then cancel and report them unclear."""
        if self._flying:
            await asyncio.wait(tuple(self._flying), timeout=grace)
        for trying in tuple(self._flying):
            trying.cancel()
        if self._flying:
            await asyncio.wait(tuple(self._flying), timeout=1.0)
        if self._client is not None:
            await self._client.aclose()
        await asyncio.gather(*self._closing)

    def _tried(self, trying: "asyncio.Task[Attempt]") -> None:
        done = self._flying.pop(trying)
        self._release(trying)
        if trying.cancelled():
            text = "the engine stopped before the answer"
            done(Attempt(Answered.UNCLEAR, "closed", detail=text))
        elif (error := trying.exception()) is not None:
            done(Attempt(Answered.UNCLEAR, "closed", detail=type(error).__name__))
        else:
            done(trying.result())

    async def _try(self, delivery: Delivery) -> Attempt:
        began = self._seconds()
        attempt = await self._once(delivery, began)
        if attempt.code == "401" and self._credentials.renewable:
            self._credentials.forget()
            attempt = await self._once(delivery, began)
        return attempt

    async def _once(self, delivery: Delivery, began: float) -> Attempt:
        try:
            request = await self._request(delivery)
        except MessageError as error:
            return Attempt(Answered.ANSWERED, "unsendable", detail=error.code)
        except (SecretMissing, TlsInvalid, NoToken, WsdlInvalid) as error:
            return Attempt(Answered.NO_CONNECTION, "no_connection", detail=str(error))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            text = f"no token: {type(error).__name__}"
            return Attempt(Answered.NO_CONNECTION, "no_connection", detail=text)
        return await self._sent(request, delivery, began)

    async def _request(self, delivery: Delivery) -> Any:
        """The request to send. Raises what it cannot be made for."""
        options, client = self._options, self._connected()
        content = delivery.content
        context = context_of(delivery)
        fields = {
            "Content-Type": _MEDIA.get(sniff(content), "application/octet-stream"),
            "Idempotency-Key": ids.delivery_text(delivery.signal, delivery.number),
        }
        for name, made in options.headers.items():
            value = self._credentials.reveal(made) if isinstance(made, Secret) else None
            fields[name] = _one_line(made.render(context)) if value is None else value
        async with asyncio.timeout(self._spec.connect + self._spec.timeout):
            fields |= await self._credentials.fields(client)
        url = place(options.address, context)
        try:
            return client.build_request(options.method, url, content=content, headers=fields)
        except (httpx2.InvalidURL, UnicodeEncodeError) as error:
            raise MessageError("the address or a header cannot be sent") from error

    def _connected(self) -> Any:
        """The client; a new one when options or certificates changed."""
        secured = self._around.certificates.client(self._options.tls or _SYSTEM)
        if self._client is None or self._stale or secured.context is not self._context:
            if self._client is not None:
                self._retired.append((self._client, set(self._flying)))
            spec = self._spec
            self._stale, self._secured, self._context = False, secured, secured.context
            self._client = httpx2.AsyncClient(
                verify=secured.context,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx2.Timeout(None, connect=spec.connect),
                limits=httpx2.Limits(
                    max_connections=spec.connections + 1, keepalive_expiry=min(spec.idle, 3600)
                ),
            )
        return self._client

    def _release(self, trying: "asyncio.Task[Attempt]") -> None:
        """A client that was replaced is closed when its last request has ended: one that is
        cut off would be sent again."""
        for retired in tuple(self._retired):
            client, users = retired
            users.discard(trying)
            if not users:
                self._retired.remove(retired)
                closing = asyncio.ensure_future(client.aclose())
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    async def _sent(self, request: Any, delivery: Delivery, began: float) -> Attempt:
        """What became of it. The peer has `timeout` for the whole of its answer."""
        where = f"{request.url.scheme}://{request.url.netloc.decode()}"
        try:
            async with Patience() as patience:

                async def trace(step: str, _: Any) -> None:
                    if step == _LEAVES:
                        patience.grant(self._spec.timeout)

                request.extensions["trace"] = trace
                status, fields, body = await self._exchanged(request)
        except (httpx2.HTTPError, ssl.SSLError, TimeoutError) as error:
            micros = int((self._seconds() - began) * 1e6)
            return http_answer.unanswered(error, where, micros)
        micros = int((self._seconds() - began) * 1e6)
        return self._judged(status, fields, body, delivery, micros)

    def _judged(
        self,
        status: int,
        fields: Mapping[str, str],
        body: bytes,
        delivery: Delivery,
        micros: int,
    ) -> Attempt:
        """The attempt of a whole answer."""
        return http_answer.judged(
            status, fields, body, delivery, micros, self._around.clock.time_ns()
        )

    async def _exchanged(self, request: Any) -> tuple[int, Mapping[str, str], bytes]:
        for _ in range(_MOVES + 1):
            told = await self._client.send(request, stream=True)
            try:
                body = await self._body(told)
            finally:
                await told.aclose()
            moved = self._moved(request, told)
            if moved is None:
                break
            request = moved
        return told.status_code, told.headers, body

    async def _body(self, told: Any) -> bytes:
        """The answer, cut at the limit: the rest would not change what it says."""
        body = bytearray()
        async for piece in told.aiter_bytes():
            body += piece
            if len(body) >= self._options.limit:
                break
        return bytes(body[: self._options.limit])

    def _moved(self, request: Any, told: Any) -> Any:
        """The same request at its new place, when that may be followed."""
        if not self._options.redirects or told.status_code not in (307, 308):
            return None
        try:
            url = request.url.join(told.headers.get("location", ""))
        except httpx2.InvalidURL:
            return None
        if (url.scheme, url.netloc) != (request.url.scheme, request.url.netloc):
            return None
        return self._client.build_request(
            request.method, url, content=request.content, headers=request.headers
        )


def context_of(delivery: Delivery) -> Context:
    """What templates of a destination read: the message as it leaves, when and which it is.

    Raises MessageError.
    """
    content = delivery.content
    words = {"received": delivery.received, "id": delivery.signal, "size": len(content)}
    return Context(open_content("auto", content), words)


def place(template: Template, context: Context) -> str:
    """An address with its values. A value stays in its place: `..`, which no escape keeps from
    leading to another path, is refused. Raises MessageError.
    """
    url = template.render(context, escaped)
    path = url.partition("?")[0].split("/")[3:]
    if not template.constant and not {".", ".."}.isdisjoint(path):
        raise MessageError("a value would lead the address to another path")
    return url


def escaped(text: str) -> str:
    """A value within an address."""
    return quote(text, safe="", errors="replace")


def _one_line(text: str) -> str:
    """A header's value: whatever would end the line is a space."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip()


HTTPS = DestinationType(
    name="https",
    summary="messages in HTTP requests; we connect",
    options=HttpsTarget,
    build=HttpsDestination,
)
