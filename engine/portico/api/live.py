"""The routes of sessions that have not concluded: look at them, end them."""

import uuid
from collections.abc import Callable
from typing import Annotated, Protocol

from fastapi import APIRouter, Query
from pydantic import Field

from portico.api.shapes import Shape
from portico.api.who import Who
from portico.ids import SignalId

Wait = Annotated[float, Query(ge=0, le=10)]


class Line(Shape):
    """What a transform has logged."""

    step: str
    level: str
    text: str


class Place(Shape):
    """Where one session is. state: `queued` for a worker (place 1 goes next), `running` in a
    worker, `asking` a model or a plugin, `waiting` for a retry or for others of its order key,
    `paused` with its agent.

    seconds: since it runs or asks; number: of the try. step, done, total: progress, as the site
    or the plugin says. lines: the last that were logged, of `count`.
    """

    agent: str
    state: str
    place: int = 0
    pid: int = 0
    seconds: float = 0.0
    asks: str = ""
    number: int = 1
    step: str = ""
    done: float = 0.0
    total: float | None = None
    lines: tuple[Line, ...] = ()
    count: int = 0


class Live(Shape):
    """A Signal at this moment. state: of SignalState. mark: of what is said here, but for
    seconds; another one says something else."""

    state: str
    sessions: tuple[Place, ...] = ()
    mark: str = ""


class Cancelled(Shape):
    """The agents whose sessions end."""

    agents: tuple[str, ...] = Field(min_length=1)


class Sessions(Protocol):
    """What /v1 asks about them."""

    async def live(self, signal: SignalId, mark: str = "", wait: float = 0.0) -> Live:
        """Where they are; discarded when there is no such Signal. As soon as they have another
        mark or none waits, after so many seconds at the latest. Raises JournalError."""
        ...

    async def cancel(self, signal: SignalId, who: str) -> list[str]:
        """End them: their Signal is parked. Raises RequestError, JournalError."""
        ...


def routes(sessions: Callable[[], Sessions]) -> APIRouter:
    """Under /v1/signals. sessions: of the engine, once it is up."""
    router = APIRouter(prefix="/v1/signals")

    @router.get("/{signal}/live")
    async def live(signal: uuid.UUID, mark: str = "", wait: Wait = 0.0) -> Live:
        """Where a Signal's sessions are, and what they say. With the mark of the last answer it
        waits for something new, for at most so many seconds."""
        return await sessions().live(SignalId(signal.bytes), mark, wait)

    @router.post("/{signal}/cancel")
    async def cancel(signal: uuid.UUID, who: Who) -> Cancelled:
        """End its sessions that have not concluded; they are parked for a person."""
        return Cancelled(agents=tuple(await sessions().cancel(SignalId(signal.bytes), who)))

    return router
