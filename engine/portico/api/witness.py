"""Tells who was shown data of patients: an event for each answer that holds some.

Lists, searches and Signals hold none unless they are asked for with `phi`; a search by a
patient's id tells whether the patient is known, so it counts too.
"""

from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portico.api.who import UNKNOWN, peer_of
from portico.events.auditing import RecordsRead, queried
from portico.events.emit import Emit

_SHOWS = {
    "/v1/signals": "search",
    "/v1/signals/{signal}": "show",
    "/v1/signals/{signal}/egress": "egress",
    "/v1/parked": "parked",
    "/v1/reviews": "reviews",
    "/v1/holds": "holds",
}
_YES = frozenset(("true", "1", "yes", "on", "t", "y"))  # as pydantic reads a switch


class Witness:
    """Between the routes and who asks them."""

    def __init__(self, app: ASGIApp, tell: Emit) -> None:
        self._app, self._tell = app, tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. It is told before the first byte of the answer leaves."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                self._shown(scope)
            await send(message)

        await self._app(scope, receive, sent)

    def _shown(self, scope: Scope) -> None:
        what = _SHOWS.get(getattr(scope.get("route"), "path", ""))
        asked = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        phi = asked.get("phi", "").lower() in _YES
        if what is None or not (phi or asked.get("patient")):
            return
        user = scope["client"][0] if scope.get("client") else UNKNOWN
        signal = str(scope.get("path_params", {}).get("signal", ""))
        self._tell(RecordsRead(what, user, peer_of(scope), signal, queried(asked)))
