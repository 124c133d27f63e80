"""The running engine, reached over the control socket of its data folder."""

import getpass
import os
import pwd
import re
import urllib.parse
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

import httpx2

from portico.api import serve
from portico.api.keeping import Holds, RetentionPlan
from portico.api.shapes import (
    Doctor,
    Reloaded,
    Shape,
    SignalDetail,
    SignalPage,
    Status,
    Wished,
)
from portico.cli import exits, place
from portico.cli.exits import Ended, NoEngine

T = TypeVar("T", bound=Shape)

_TIMEOUT = 30.0


class Engine:
    """The /v1 of one running engine. Raises NoEngine when none answers, Ended on a problem."""

    def __init__(self, site: Path) -> None:
        self._site = site.absolute()
        self._data = place.data_folder(self._site)

    def status(self) -> Status:
        """What runs."""
        return self._ask(Status, "GET", "/v1/status")

    def signals(self, parameters: dict[str, str]) -> SignalPage:
        """A page of Signals. parameters: of api.resources.Wanted, as text."""
        return self._ask(SignalPage, "GET", "/v1/signals", parameters)

    def signal(self, signal: str, phi: bool) -> SignalDetail:
        """One Signal whole."""
        return self._ask(
            SignalDetail, "GET", f"/v1/signals/{signal}", {"phi": str(phi).lower()}
        )

    def doctor(self) -> Doctor:
        """What the engine's own doctor says."""
        return self._ask(Doctor, "GET", "/v1/doctor")

    def reload(self) -> Reloaded:
        """Check and swap the site."""
        return self._ask(Reloaded, "POST", "/v1/reload")

    def wish(self, scope: str, name: str, verb: str) -> Wished:
        """Pause, resume, drain or stop a channel or a destination."""
        return self._ask(Wished, "POST", f"/v1/{scope}s/{name}/{verb}")

    def fire(self, channel: str) -> dict[str, str]:
        """Fire a schedule now; what /v1 says."""
        told: dict[str, str] = self._request("POST", f"/v1/schedules/{_part(channel)}/fire", {})
        return told

    def try_sink(self, name: str) -> None:
        """Send a trial to a sink of alarms."""
        self._request("POST", f"/v1/alarms/{_part(name)}/trial", {})

    def retention(self, days: int) -> RetentionPlan:
        """What goes within so many days, and what must stay."""
        return self._ask(RetentionPlan, "GET", "/v1/retention", {"days": str(days)})

    def drop_due(self) -> RetentionPlan:
        """Drop what is due today; what is left of it must stay."""
        return self._ask(RetentionPlan, "POST", "/v1/retention")

    def holds(self, phi: bool) -> Holds:
        """Every legal hold."""
        return self._ask(Holds, "GET", "/v1/holds", {"phi": str(phi).lower()})

    def hold(self, wanted: dict[str, str]) -> int:
        """Set a hold; its number. wanted: of api.keeping.Wanted."""
        return int(self._request("POST", "/v1/holds", {}, wanted)["number"])

    def unhold(self, number: int) -> None:
        """End a hold."""
        self._request("DELETE", f"/v1/holds/{number}", {})

    def stop(self) -> dict[str, str]:
        """Begin to drain; what /v1 says."""
        told: dict[str, str] = self._request("POST", "/v1/stop", {})
        return told

    def call(
        self,
        method: str,
        path: str,
        parameters: dict[str, str] | None = None,
        body: object = None,
        timeout: float = _TIMEOUT,
    ) -> Any:
        """The JSON of any route; body: JSON values, or bytes; timeout: seconds."""
        return self._request(method, path, parameters or {}, body, timeout)

    def _ask(
        self, kind: type[T], method: str, path: str, parameters: dict[str, str] | None = None
    ) -> T:
        return kind.model_validate(self._request(method, path, parameters or {}))

    def _request(
        self,
        method: str,
        path: str,
        parameters: dict[str, str],
        body: object = None,
        timeout: float = _TIMEOUT,
    ) -> Any:
        socket = serve.socket_path(self._data)
        if method != "GET":  # an act: who we say to be; the engine sees who we are
            parameters = {"by": _me(), **parameters}
        try:
            with serve.reachable(socket) as name:
                transport = httpx2.HTTPTransport(uds=name)
                with httpx2.Client(
                    transport=transport, base_url="http://portico", timeout=timeout
                ) as client:
                    raw = body if isinstance(body, bytes) else None
                    value = body if raw is None else None
                    answer = client.request(
                        method, path, params=parameters, content=raw, json=value
                    )
        except (OSError, httpx2.ConnectError) as error:
            raise NoEngine(self._unreached()) from error
        except httpx2.HTTPError as error:
            text = f"the engine does not answer: {type(error).__name__}"
            raise Ended(exits.UNREACHABLE, text) from error
        return _answer(answer)

    def _unreached(self) -> str:
        """Why nobody answers: no engine runs, or only another user may reach it."""
        me = os.geteuid()
        try:
            owner = self._data.stat().st_uid
        except OSError:
            owner = me
        if me not in (0, owner):
            return f"the data folder {self._data} is user {_name(owner)}'s: be that user"
        return (
            f"no engine runs on the data folder {self._data}; start one with "
            f"`portico run --site {quote(str(self._site))}`"
        )


def _part(name: str) -> str:
    """One part of a path, whatever was typed."""
    return urllib.parse.quote(name, safe="")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _me() -> str:
    try:
        return re.sub(r"[^\w.@-]", "_", getpass.getuser())[:64]
    except (OSError, KeyError):
        return ""


def _answer(answer: httpx2.Response) -> Any:
    """The body; a problem (RFC 9457) ends the command."""
    body = answer.json()
    if answer.is_success:
        return body
    code = exits.UNREACHABLE if answer.status_code == 503 else exits.FAILED
    raise Ended(code, f"{body.get('detail', '')}  [{body.get('code', answer.status_code)}]")
