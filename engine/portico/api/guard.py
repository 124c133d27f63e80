"""The bearer token of /v1 on the network (RFC 6750); on the control socket the file's mode
guards, and nobody is asked.
"""

import hmac
import os
import secrets
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from portico.api.problems import problem
from portico.api.who import peer_of
from portico.events.auditing import LoginAccepted, LoginRefused
from portico.events.emit import Emit

TOKEN = "api.token"  # noqa: S105 - a file's name
_WAY = "token"


def token(data: Path) -> str:
    """The token of this installation, made at the first start; its file is the owner's alone.

    Raises OSError.
    """
    path = data / TOKEN
    made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(made, "r+", encoding="ascii") as file:
        os.fchmod(file.fileno(), 0o600)
        if not (found := file.read().strip()):  # new, or cut off by a crash
            found = secrets.token_urlsafe(32)
            file.write(found + "\n")
            file.flush()
            os.fsync(file.fileno())
    return found


class Guard:
    """Lets nobody in without the token, and says so as a problem. tell: of who comes."""

    def __init__(self, app: ASGIApp, wanted: str, tell: Emit) -> None:
        self._app, self._tell = app, tell
        self._wanted = wanted.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        scheme, _, given = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
        where = ("", peer_of(scope), "", _WAY)
        if scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._wanted):
            self._tell(LoginAccepted(*where))
            await self._app(scope, receive, send)
            return
        self._tell(LoginRefused(*where))
        answer = problem(401, "api.token", f"send the token of {TOKEN} as a bearer token")
        answer.headers["WWW-Authenticate"] = "Bearer"
        await answer(scope, receive, send)
