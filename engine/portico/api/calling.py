"""The route of callers: a Signal made for an agent, and its result."""

import base64
from collections.abc import Callable
from typing import Annotated, Protocol

from fastapi import APIRouter, Query, Request
from msgspec import Struct

from portico.api.shapes import Reloaded, Shape
from portico.api.who import Who
from portico.errors import RequestError
from portico.model.signal import SignalKind

LARGEST = 16 << 20  # bytes of a content
LONGEST = 600.0  # seconds of a wait


class SignalOutcome(Struct, frozen=True):
    """What became of a Signal until now. state: of SignalState; code, text: why it was refused
    or parked. value: the message as the agent left it. reloaded: of kind `sync`."""

    signal: str
    state: str
    code: str = ""
    text: str = ""
    deliveries: int = 0
    value: bytes | None = None
    reloaded: Reloaded | None = None


class Callers(Protocol):
    """What /v1 asks for callers."""

    async def call(
        self, agent: str, content: bytes, kind: SignalKind, who: str, wait: float
    ) -> SignalOutcome:
        """Journal it, and wait for its end so many seconds. Raises NounUnknown, RequestError,
        JournalError."""
        ...


class Answered(Shape):
    """What became of a caller's Signal. state: `waiting` when the wait was over first; value:
    what the agent made of the content, base64 where it is no UTF-8; deliveries: how many it
    owes. reloaded: of kind `sync`.
    """

    signal: str
    agent: str
    kind: str
    state: str
    code: str = ""
    text: str = ""
    deliveries: int = 0
    value: str | None = None
    base64: str | None = None
    reloaded: Reloaded | None = None


def routes(callers: Callable[[], Callers]) -> APIRouter:
    """Under /v1/agents. callers: of the engine, once it is up."""
    router = APIRouter(prefix="/v1/agents")

    @router.post("/{agent}/signals")
    async def signal(
        request: Request,
        agent: str,
        who: Who,
        kind: SignalKind = "run",
        wait: Annotated[float, Query(ge=0, le=LONGEST)] = 0.0,
    ) -> Answered:
        """Make a Signal for an agent; its content is the body. Answers once it is stored, or
        with `wait` seconds once its agent has concluded."""
        outcome = await callers().call(agent, await _body(request), kind, who, wait)
        return Answered(
            signal=outcome.signal,
            agent=agent,
            kind=kind,
            state=outcome.state,
            code=outcome.code,
            text=outcome.text,
            deliveries=outcome.deliveries,
            **_value(outcome.value),
            reloaded=outcome.reloaded,
        )

    return router


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise RequestError(f"the content is larger than {LARGEST >> 20} MiB")
    return bytes(body)


def _value(value: bytes | None) -> dict[str, str]:
    if value is None:
        return {}
    try:
        return {"value": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
