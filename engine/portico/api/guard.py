"""The bearer token of /v1 on the network (RFC 6750); on the control socket the file's mode
guards, and nobody is asked.
"""

import hmac
import os
import secrets
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from portico.api.problems import problem

TOKEN = "api.token"  # noqa: S105 - a file's name


def token(data: Path) -> str:
    """The token of this installation, made at the first start; its file is the owner's alone.

    Raises OSError.
    """
    path = data / TOKEN
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return path.read_text("ascii").strip()
    with open(made, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    return path.read_text("ascii").strip()


class Guard:
    """Lets nobody in without the token, and says so as a problem."""

    def __init__(self, app: ASGIApp, wanted: str) -> None:
        self._app = app
        self._wanted = f"Bearer {wanted}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        if hmac.compare_digest(given, self._wanted):
            await self._app(scope, receive, send)
            return
        answer = problem(401, "api.token", f"send the token of {TOKEN} as a bearer token")
        answer.headers["WWW-Authenticate"] = "Bearer"
        await answer(scope, receive, send)
