"""The routes of language models: answers that wait for a person, and what left this machine."""

import base64
import hashlib
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from fastapi import APIRouter, HTTPException

from portico import ids
from portico.api.shapes import Shape
from portico.api.wanted import Asked
from portico.api.who import Who
from portico.clock import moment
from portico.flow.sessions.reviewing import WaitingReview
from portico.ids import SignalId
from portico.journal.calls import Egress


class Models(Protocol):
    """What /v1 asks about models. Every verb may raise JournalError, RequestError."""

    @property
    def waiting(self) -> Mapping[str, WaitingReview]:
        """Answers that wait for a person, oldest first, by name."""
        ...

    async def decide(self, name: str, verdict: str, who: str, answer: Any = None) -> None:
        """Take a person's decision; stored when it returns."""
        ...

    async def egress(self, signal: SignalId) -> Sequence[Egress]:
        """Every call of a Signal."""
        ...


class Review(Shape):
    """An answer that waits. answer: only where patient data were asked for."""

    id: str
    signal: str
    agent: str
    step: str
    since: datetime
    answer: Any = None


class Reviews(Shape):
    """All that wait, oldest first."""

    reviews: tuple[Review, ...]


class Decision(Asked):
    """What a person decided. answer: in place of the model's, where `edited`."""

    id: str
    verdict: Literal["approved", "edited", "rejected"]
    answer: Any = None


class CallItem(Shape):
    """One call. sha256: of what left; sent, received: base64, only with patient data."""

    at: datetime
    agent: str
    step: str
    verb: str
    target: str
    micros: int
    detail: dict[str, Any]
    error: str
    text: str
    sent_size: int
    received_size: int
    sha256: str
    sent: str | None = None
    received: str | None = None


class CallPage(Shape):
    """Every call of a Signal, in order: empty when nothing left."""

    signal: str
    calls: tuple[CallItem, ...]


def routes(
    models: Callable[[], Models], show: Callable[[SignalId], Awaitable[object]]
) -> APIRouter:
    """Under /v1. show: a Signal; None when the journal has none of that id."""
    router = APIRouter(prefix="/v1")

    @router.get("/reviews")
    async def reviews(phi: bool = False) -> Reviews:
        """Answers of models that wait for a person."""
        return Reviews(reviews=tuple(_review(one, phi) for one in models().waiting.values()))

    @router.post("/reviews")
    async def decide(decision: Decision, who: Who) -> dict[str, str]:
        """Approve, edit or reject one; stored when it answers."""
        await models().decide(decision.id, decision.verdict, who, decision.answer)
        return {"id": decision.id, "verdict": decision.verdict}

    @router.get("/signals/{signal}/egress")
    async def egress(signal: uuid.UUID, phi: bool = False) -> CallPage:
        """What left this machine for a Signal, to whom and under which policy."""
        wanted = SignalId(signal.bytes)
        found = await models().egress(wanted)
        if not found and await show(wanted) is None:
            raise HTTPException(404, f"the journal has no Signal {signal}")
        return CallPage(signal=str(signal), calls=tuple(_item(one, phi) for one in found))

    return router


def _review(one: WaitingReview, phi: bool) -> Review:
    return Review(
        id=one.name,
        signal=ids.text(one.signal),
        agent=one.agent,
        step=one.call.step,
        since=moment(one.since),
        answer=one.answer if phi else None,
    )


def _item(one: Egress, phi: bool) -> CallItem:
    return CallItem(
        at=one.at,
        agent=one.agent,
        step=one.step,
        verb=one.verb,
        target=one.target,
        micros=one.micros,
        detail=one.detail,
        error=one.error,
        text=one.text,
        sent_size=len(one.sent),
        received_size=len(one.received),
        sha256=hashlib.sha256(one.sent).hexdigest(),
        sent=base64.b64encode(one.sent).decode() if phi else None,
        received=base64.b64encode(one.received).decode() if phi else None,
    )
