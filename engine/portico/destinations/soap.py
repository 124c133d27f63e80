"""The SOAP destination: `type: soap`, `profile: cdc-iis`, `address: https://iis.example/v2`.

The message is one argument, HL7 in the answer is read as an ACK. A fault is an answer under
its own name: `SecurityFault`, `Sender`, `Receiver`. PROTOCOLS A11, I1, I2, I5, W6.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import httpx2
from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from portico import ids
from portico.destinations import http_answer, https
from portico.destinations.contract import DestinationType, Surroundings
from portico.destinations.http_auth import Credentials, TargetAuth
from portico.destinations.https import HttpsDestination
from portico.errors import MessageError, WsdlInvalid
from portico.language.template import Template
from portico.model.delivery import Answered, Attempt, Delivery
from portico.soap import asking, service
from portico.soap.service import Operation, Service
from portico.soap.xml import Element
from portico.spec.fields import Options, Size, Switch, Text, wrong
from portico.spec.logins import Login
from portico.spec.secrets import Secret
from portico.spec.tls import TlsField


def _arguments(value: Any) -> Any:
    if not isinstance(value, dict):
        raise wrong("config.type", "expected a mapping", "such as {facilityID: '{MSH-4.1}'}")
    return {str(name): https.given(each) for name, each in value.items()}


class SoapTargetAuth(TargetAuth):
    """`basic`: with a profile its arguments, else of HTTP; `token`: a UsernameToken."""

    token: Login | None = None


class SoapTarget(Options):
    """Options of a SOAP destination. profile or wsdl: a file below the site. operation: the
    profile's or the only one if it is not said. with: further arguments.
    """

    address: Annotated[
        Template, PlainValidator(https.address), WithJsonSchema({"type": "string"})
    ]
    profile: Literal["cdc-iis", "cdc-iis-2014"] | None = None
    wsdl: Text | None = None
    operation: Text = ""
    with_: Annotated[
        Mapping[str, Template | Secret],
        PlainValidator(_arguments),
        WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
    ] = Field({}, alias="with")
    auth: SoapTargetAuth | None = None
    tls: TlsField = None
    redirects: Switch = False
    limit: Size = 16 << 20

    @model_validator(mode="after")
    def _one(self) -> "SoapTarget":
        if (self.profile is None) == (self.wsdl is None):
            hint = "such as profile: cdc-iis"
            raise wrong("config.value", "either profile or wsdl says what is asked", hint)
        return self


class SoapDestination(HttpsDestination):
    """One SOAP service: a Destination."""

    def __init__(self, name: str, spec: Any, around: Surroundings) -> None:
        super().__init__(name, spec, around)
        self._service: Service | None = None
        self._result = ""

    def _take(self, spec: Any) -> None:
        super()._take(spec)
        self._service = None
        auth, around = self._options.auth, self._around
        if auth is not None and self._inside(auth) is not None:
            self._credentials = Credentials(None, around.root, around.environ, around.clock)

    def _inside(self, auth: SoapTargetAuth) -> Login | None:
        """The login that stands in the envelope."""
        return auth.token or (auth.basic if self._options.profile is not None else None)

    async def _try(self, delivery: Delivery) -> Attempt:
        try:
            await self._learn()
        except WsdlInvalid as error:
            return Attempt(Answered.NO_CONNECTION, "no_connection", detail=str(error))
        return await super()._try(delivery)

    async def _learn(self) -> None:
        """Read the WSDL, in a thread; anew if options change meanwhile. Raises WsdlInvalid."""
        while self._service is None:
            options = self._options
            path = service.wsdl_of(options.profile, options.wsdl, self._around.root)
            found = await asyncio.to_thread(service.load, path)
            if options is self._options:
                self._service = found

    def _operation(self, known: Service) -> Operation:
        options = self._options
        name = options.operation
        if not name and options.profile is not None:
            name = service.PROFILES[options.profile].submit
        if not name and len(known.by_name) == 1:
            name = next(iter(known.by_name))
        found = known.operation(name)
        if found is None:
            raise WsdlInvalid(f"say the operation; known: {', '.join(known.by_name)}")
        return found

    async def _request(self, delivery: Delivery) -> Any:
        options, client = self._options, self._connected()
        known = self._service
        assert known is not None
        operation = self._operation(known)
        context = https.context_of(delivery)
        values = {
            name: self._credentials.reveal(made)
            if isinstance(made, Secret)
            else made.render(context)
            for name, made in options.with_.items()
        }
        token = self._login(values)
        whole = self._message(operation, values, delivery)
        url = https.place(options.address, context)
        message_id = f"urn:portico:{ids.delivery_text(delivery.signal, delivery.number)}"
        try:
            content = asking.request(known, operation, values, url, message_id, token, whole)
        except (TypeError, ValueError) as error:
            raise MessageError("the arguments do not fit the WSDL") from error
        async with asyncio.timeout(self._spec.connect + self._spec.timeout):
            shown = await self._credentials.fields(client)
        fields = asking.fields(operation) | shown
        try:
            return client.build_request("POST", url, content=content, headers=fields)
        except (httpx2.InvalidURL, UnicodeEncodeError) as error:
            raise MessageError("the address or a header cannot be sent") from error

    def _login(self, values: dict[str, str]) -> tuple[str, str] | None:
        """Put user and password where they belong; a UsernameToken comes back."""
        auth = self._options.auth
        login = self._inside(auth) if auth is not None else None
        if login is None:
            return None
        password = self._credentials.reveal(login.password)
        if self._options.profile is None or auth.token is not None:
            return login.user, password
        profile = service.PROFILES[self._options.profile]
        values[profile.user], values[profile.password] = login.user, password
        return None

    def _message(
        self, operation: Operation, values: dict[str, str], delivery: Delivery
    ) -> Element | None:
        """The message goes into the profile's argument, else the first that is not said; one
        that is the operation's own element is that, whole.
        """
        try:
            text = delivery.content.decode("utf-8")
        except UnicodeDecodeError:
            raise MessageError("the message is not UTF-8, which SOAP is sent in") from None
        profile = service.PROFILES.get(self._options.profile or "")
        names, results = operation.arguments(), operation.results()
        self._result = results[0] if results else ""
        if self._options.profile is None:
            if (element := service.own(operation.asks, text)) is not None:
                return element
        free = [name for name in names if name not in values]
        if profile is not None and operation.name == profile.submit:
            free, results = [profile.content], (profile.answer,)
        if not free:
            raise MessageError("no argument is left for the message")
        self._result = results[0] if results else ""
        values[free[0]] = text
        return None

    def _judged(
        self,
        status: int,
        fields: Mapping[str, str],
        body: bytes,
        delivery: Delivery,
        micros: int,
    ) -> Attempt:
        said = asking.read(body, fields.get("content-type", ""), self._result)
        if said is None or (status >= 300 and not said.fault):
            now = self._around.clock.time_ns()
            return http_answer.judged(
                status, {**fields, "content-type": ""}, body, delivery, micros, now
            )
        if said.fault:
            after = http_answer.wait_of(
                fields.get("retry-after", ""), self._around.clock.time_ns()
            )
            return Attempt(Answered.ANSWERED, said.fault, body, micros, after=after)
        answer = said.text.encode("utf-8", "surrogatepass")
        attempt = http_answer.acknowledged(answer, delivery, micros)
        return attempt or Attempt(Answered.ANSWERED, str(status), answer, micros)


SOAP = DestinationType(
    name="soap",
    summary="HL7 in SOAP 1.1 and 1.2 by a WSDL, the CDC's IIS interfaces built in; we connect",
    options=SoapTarget,
    build=SoapDestination,
)
