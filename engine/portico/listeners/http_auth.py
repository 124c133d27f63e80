"""Who may send: `auth:` of HTTP sources, and the decision about one request.

`hmac`: `X-Timestamp` is the seconds since 1970 UTC, at most five minutes from our clock;
`X-Signature` is the lower-case hex of HMAC-SHA256, under the shared secret, of the timestamp's
text, a line feed, the method, a space, the path with its query, a line feed, and the body as
it is sent. A signature counts once (signatures.py). Secrets are compared in constant time, as
digests, so that not even their length shows. Source: RFC 7617 (Basic), RFC 6750 (Bearer),
RFC 2104 (HMAC).
"""

import base64
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from portico.clock import Clock
from portico.errors import SecretMissing
from portico.listeners.signatures import SIGNATURE, STAMP, WINDOW, Signatures
from portico.spec.fields import ONE_OR_MANY, Options, Text, wrong
from portico.spec.logins import Login
from portico.spec.secrets import Secret, SecretField
from portico.wire.http import Head

KEY = "x-api-key"
_FRESH = 10.0  # seconds after which a secret is read again, so that it can be exchanged
# Fields that never become part of a Signal.
PRIVATE = frozenset(("authorization", "proxy-authorization", "cookie", KEY, SIGNATURE))


class Auth(Options):
    """`auth:`: one of these keys; none of them: anybody who may connect."""

    basic: Login | None = None
    bearer: SecretField | None = None
    api_key: SecretField | None = None
    hmac: SecretField | None = None
    certificate: Annotated[tuple[Text, ...], ONE_OR_MANY] = ()

    @model_validator(mode="after")
    def _one(self) -> "Auth":
        if len(self.model_fields_set) != 1:
            raise wrong("config.value", "one way to authenticate is named here", _HINT)
        return self

    @property
    def way(self) -> str:
        """The key that is named."""
        return next(iter(self.model_fields_set))


_HINT = "such as {bearer: ${credential:NAME}}; none is for loopback"


class Nobody:
    """`auth: none` for no way at all: `Annotated[Auth | None, Nobody()]`."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_none, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"const": "none"}, handler(core["schema"])]}


def _none(value: Any) -> Any:
    return None if value == "none" else value


@dataclass(frozen=True, slots=True)
class Refusal:
    """status 401 or 403; challenge: the WWW-Authenticate of a 401; text for the sender; user:
    who was named, where that is one of ours.
    """

    status: int
    text: str
    challenge: bytes = b""
    user: str = ""


class Admission:
    """Decides about requests. root, environ: where secrets are; used: signatures so far."""

    def __init__(
        self,
        auth: Auth | None,
        root: Path,
        environ: Mapping[str, str],
        clock: Clock,
        used: Signatures,
    ) -> None:
        self._auth, self._used = auth, used
        self._root, self._environ = root, environ
        self._clock = clock
        self._secrets: dict[Secret, tuple[float, bytes]] = {}

    @property
    def proves(self) -> bool:
        """What a sender shows stands whole in the head."""
        return self._auth is not None and not self.signs

    @property
    def signs(self) -> bool:
        """What a sender shows is a signature: the head alone proves nothing."""
        return self._auth is not None and self._auth.hmac is not None

    def at_head(self, head: Head, certificate: Any) -> "Refusal | str":
        """The user (empty for none), or why not, before the body. A signature comes later."""
        auth = self._auth
        if auth is None:
            return ""
        ways: Mapping[str, Callable[[], Refusal | str]] = {
            "basic": lambda: self._basic(auth.basic, head),
            "bearer": lambda: self._bearer(auth.bearer, head),
            "api_key": lambda: self._api_key(auth.api_key, head),
            "hmac": lambda: self._stamp(head),
            "certificate": lambda: _certified(auth.certificate, certificate),
        }
        return ways[auth.way]() if auth.way in ways else ""

    def at_body(self, head: Head, body: bytes) -> Refusal | None:
        """Why the signature is not good, or None. body: as it was sent."""
        if self._auth is None or self._auth.hmac is None:
            return None
        target = f"{head.path}?{head.query}" if head.query else head.path
        signed = f"{head.fields.get(STAMP, '')}\n{head.method} {target}\n".encode("latin-1")
        key = self.secret(self._auth.hmac)
        wanted = hmac.new(key, signed + body, sha256).hexdigest() if key else ""
        if not (same(wanted, head.fields.get(SIGNATURE, "")) and key):
            return Refusal(401, "the signature is not right", b"HMAC-SHA256")
        if not self._used.first(head, self._now()):
            text = "the signature was used before; sign the repeat with the time of now"
            return Refusal(401, text, b"HMAC-SHA256")
        return None

    def not_stored(self, head: Head) -> None:
        """The same request may come again with the same signature."""
        if self._auth is not None and self._auth.hmac is not None:
            self._used.free(head)

    def login(self, login: Login, user: str, password: str) -> bool:
        """User and password are right; both are looked at whatever the first says."""
        wanted = self.secret(login.password)
        right_user = same(login.user, user)
        return bool(wanted) & right_user & same(wanted, password.encode())

    def secret(self, reference: Secret) -> bytes:
        """The secret, read anew every few seconds; empty, which fits nothing, when away."""
        now = self._clock.monotonic()
        known = self._secrets.get(reference)
        if known is None or now - known[0] > _FRESH:
            try:
                value = reference.reveal(self._root, self._environ).encode()
            except SecretMissing:
                value = b""
            known = self._secrets[reference] = (now, value)
        return known[1]

    def _basic(self, login: Login | None, head: Head) -> "Refusal | str":
        scheme, _, text = head.fields.get("authorization", "").partition(" ")
        try:
            pair = base64.b64decode(text.strip(), validate=True).decode()
        except ValueError:  # not base64, not UTF-8, or not even ASCII
            pair = ""
        user, _, password = pair.partition(":")
        if login is not None and self.login(login, user, password) & _is(scheme, "basic"):
            return user
        known = user if login is not None and same(login.user, user) else ""
        return Refusal(401, "user or password is not right", b'Basic realm="portico"', known)

    def _bearer(self, token: Secret | None, head: Head) -> "Refusal | str":
        scheme, _, text = head.fields.get("authorization", "").partition(" ")
        if token is not None and self._fits(token, text.strip()) & _is(scheme, "bearer"):
            return ""
        return Refusal(401, "the token is not right", b'Bearer realm="portico"')

    def _api_key(self, key: Secret | None, head: Head) -> "Refusal | str":
        if key is not None and self._fits(key, head.fields.get(KEY, "")):
            return ""
        return Refusal(401, "the key in X-API-Key is not right", b'ApiKey realm="portico"')

    def _stamp(self, head: Head) -> "Refusal | str":
        stamp = head.fields.get(STAMP, "")
        if stamp.isascii() and stamp.isdigit() and len(stamp) < 12:
            if abs(self._now() - int(stamp)) <= WINDOW:
                return ""
        text = f"X-Timestamp is not within {WINDOW} seconds of now"
        return Refusal(401, text, b"HMAC-SHA256")

    def _now(self) -> int:
        return self._clock.time_ns() // 1_000_000_000

    def _fits(self, reference: Secret, text: str) -> bool:
        wanted = self.secret(reference)
        return bool(wanted) & same(wanted, text.encode("latin-1", "replace"))


def same(one: str | bytes, other: str | bytes) -> bool:
    """Equal, in a time that shows neither where they differ nor how long they are."""
    digests = (
        sha256(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
        for text in (one, other)
    )
    return hmac.compare_digest(*(digest.digest() for digest in digests))


def _is(scheme: str, wanted: str) -> bool:
    return scheme.lower() == wanted


def _certified(allowed: Iterable[str], certificate: Any) -> "Refusal | str":
    names = certificate_names(certificate)
    for name in allowed:
        if name.lower() in names:
            return name
    return Refusal(403, "no certificate with a name that is allowed here")


def certificate_names(certificate: Any) -> frozenset[str]:
    """Common name and alternative names, in lower case, of `SSLSocket.getpeercert()`."""
    if not certificate:
        return frozenset()
    common = (
        value
        for part in certificate.get("subject", ())
        for key, value in part
        if key == "commonName"
    )
    names = certificate.get("subjectAltName", ())
    other = (value for _, value in names if isinstance(value, str))  # no directory's name
    return frozenset(name.lower() for name in (*common, *other))
