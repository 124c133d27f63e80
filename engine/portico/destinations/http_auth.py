"""How we show who we are: `auth:` of HTTP destinations, tokens of OAuth 2.0 among them.

Source: RFC 7617 (Basic), RFC 6750 (Bearer), RFC 6749 section 4.4 (client credentials) and
section 2.3.1 (id and secret are form-encoded before they are a user and a password).
"""

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx2
from pydantic import model_validator

from portico.clock import Clock
from portico.spec.fields import Options, Text, wrong
from portico.spec.logins import Login
from portico.spec.secrets import Secret, SecretField

_EARLY = 30.0  # seconds before its end in which a token is not used any more
_LASTS = 300.0  # seconds that a token lasts whose server does not say
_MOST = 64 << 10  # bytes of a token server's answer


class OAuth2(Options):
    """Client credentials: where tokens are made, and for whom."""

    address: Text
    client: Text
    secret: SecretField
    scope: Text = ""


class TargetAuth(Options):
    """`auth:`: one of these keys."""

    basic: Login | None = None
    bearer: SecretField | None = None
    api_key: SecretField | None = None
    oauth2: OAuth2 | None = None

    @model_validator(mode="after")
    def _one(self) -> "TargetAuth":
        if len(self.model_fields_set) != 1:
            hint = "basic, bearer, api_key or oauth2"
            raise wrong("config.value", "one way to authenticate is named here", hint)
        return self


class NoToken(Exception):
    """The token server gave none. The text holds nothing of its answer."""


class Credentials:
    """Makes the fields of one request. root, environ: where secrets are."""

    def __init__(
        self,
        auth: TargetAuth | None,
        root: Path,
        environ: Mapping[str, str],
        clock: Clock,
    ) -> None:
        self._auth, self._root, self._environ, self._clock = auth, root, environ, clock
        self._token = ""
        self._until = 0.0
        self._lock = asyncio.Lock()

    @property
    def renewable(self) -> bool:
        """After a 401 another token may be asked for."""
        return self._auth is not None and self._auth.oauth2 is not None

    def forget(self) -> None:
        """The token was not taken."""
        self._token = ""

    def reveal(self, secret: Secret) -> str:
        """A secret, as it is now. Raises SecretMissing."""
        return secret.reveal(self._root, self._environ)

    async def fields(self, client: Any) -> dict[str, str]:
        """What to send along. Raises SecretMissing, NoToken and httpx2's errors."""
        auth = self._auth
        if auth is None:
            return {}
        if auth.basic is not None:
            return {"Authorization": _basic(auth.basic.user, self.reveal(auth.basic.password))}
        if auth.bearer is not None:
            return {"Authorization": f"Bearer {self.reveal(auth.bearer)}"}
        if auth.api_key is not None:
            return {"X-API-Key": self.reveal(auth.api_key)}
        assert auth.oauth2 is not None
        return {"Authorization": f"Bearer {await self._fresh(auth.oauth2, client)}"}

    async def _fresh(self, oauth: OAuth2, client: Any) -> str:
        """The token, asked for by one request at a time."""
        async with self._lock:
            if not self._token or self._clock.monotonic() >= self._until:
                self._token, lasts = await self._ask(oauth, client)
                self._until = self._clock.monotonic() + max(lasts - _EARLY, lasts / 2)
            return self._token

    async def _ask(self, oauth: OAuth2, client: Any) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"}
        if oauth.scope:
            form["scope"] = oauth.scope
        shown = _basic(quote_plus(oauth.client), quote_plus(self.reveal(oauth.secret)))
        fields = {"Authorization": shown}
        async with client.stream("POST", oauth.address, data=form, headers=fields) as told:
            if told.status_code != 200:
                raise NoToken(f"the token server said {told.status_code}")
            answer = b""
            async for piece in told.aiter_bytes():
                answer += piece
                if len(answer) > _MOST:
                    raise NoToken("the token server's answer is too large")
        return _read(answer)


def _read(answer: bytes) -> tuple[str, float]:
    """Token and seconds. Raises NoToken."""
    try:
        found = httpx2.Response(200, content=answer).json()
        token, lasts = found["access_token"], float(found.get("expires_in", _LASTS))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NoToken("the token server's answer holds no token") from None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise NoToken("the token server's answer holds no token")
    return token, lasts


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
