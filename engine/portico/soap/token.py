"""WS-Security's UsernameToken, as text and as digest.

Source: OASIS WSS UsernameToken Profile 1.1.1 sections 3.1 and 3.2: the digest is
Base64(SHA-1(nonce + created + password)); a nonce counts once and a token for five minutes.
Base64 may hold white space (XML Schema part 2, 3.2.16).
"""

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime

from portico.soap.envelope import USERNAMES, WSSE, SoapFault
from portico.soap.xml import Element

WINDOW = 300  # seconds
NONCES = 100_000  # that are remembered; beyond them no digest is taken
_SWEEP = 1.0  # seconds between two looks at which of so many count no more
_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_TYPE = f"{USERNAMES}#Password"
_KNOWN = (f"{{{WSSE}}}UsernameToken", f"{{{_WSU}}}Timestamp")


class Tokens:
    """Judges UsernameTokens; remembers the nonces that were used."""

    def __init__(self) -> None:
        self._used: dict[bytes, float] = {}
        self._swept = 0.0

    def right(self, security: Element, user: str, password: str, now: float) -> bool:
        """The header's token is this user's. now: seconds since 1970 UTC.

        Raises SoapFault for WS-Security that is not a UsernameToken (W7).
        """
        for part in security:
            if part.tag not in _KNOWN:
                raise SoapFault("sender", "of WS-Security only UsernameToken is taken")
        token = security.find(f"{{{WSSE}}}UsernameToken")
        if token is None:
            return False
        said = token.findtext(f"{{{WSSE}}}Username", "")
        secret = token.find(f"{{{WSSE}}}Password")
        if secret is None or not password:
            return False
        good_user = _same(said, user)
        kind = secret.get("Type", f"{_TYPE}Text")
        if kind == f"{_TYPE}Digest":
            return self._digest(token, secret.text or "", password, now) & good_user
        return bool((kind == f"{_TYPE}Text") & _same(secret.text or "", password) & good_user)

    def _digest(self, token: Element, said: str, password: str, now: float) -> bool:
        created = token.findtext(f"{{{_WSU}}}Created", "").strip()
        said = "".join(said.split())
        try:
            encoded = "".join(token.findtext(f"{{{WSSE}}}Nonce", "").split())
            nonce = base64.b64decode(encoded, validate=True)
            at = datetime.fromisoformat(created)
        except (binascii.Error, ValueError):
            return False
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        raw = nonce + created.encode() + password.encode()
        wanted = base64.b64encode(hashlib.sha1(raw).digest()).decode()  # noqa: S324 -- the profile's
        if abs(now - at.timestamp()) > WINDOW or not nonce or not _same(said, wanted):
            return False
        return self._first(nonce, now)

    def _first(self, nonce: bytes, now: float) -> bool:
        if len(self._used) >= NONCES and abs(now - self._swept) >= _SWEEP:
            self._swept = now
            self._used = {one: until for one, until in self._used.items() if until > now}
        if len(self._used) >= NONCES or self._used.get(nonce, 0) > now:
            return False
        self._used[nonce] = now + 2 * WINDOW
        return True


def _same(one: str, other: str) -> bool:
    first, second = (
        hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (one, other)
    )
    return hmac.compare_digest(first, second)
