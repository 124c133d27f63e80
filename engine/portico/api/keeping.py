"""The routes of retention: what goes when, and legal holds."""

import uuid
from datetime import date, datetime
from typing import Protocol

from fastapi import APIRouter, HTTPException
from pydantic import Field

from portico.api.shapes import Shape
from portico.api.wanted import Asked, Words
from portico.api.who import Who
from portico.ids import SignalId, text
from portico.journal.retention import Due, Hold


class Keeping(Protocol):
    """What /v1 asks of retention. Every verb raises JournalError."""

    async def plan(self, days: int) -> list[Due]:
        """What goes within so many days, and what must stay."""
        ...

    async def round(self) -> None:
        """Drop what is due today, now."""
        ...

    async def holds(self) -> list[Hold]:
        """Every legal hold."""
        ...

    async def hold(
        self, signal: SignalId | None, patient: str, reason: str, by: str
    ) -> int | None:
        """Keep a Signal or a patient's Signals; the hold's number. None: no such Signal."""
        ...

    async def unhold(self, number: int, by: str) -> bool:
        """End a hold; False when there is none."""
        ...


class Leaving(Shape):
    """One day's bodies or headers; with `channel` its bodies alone. at: from which day on they
    may go; kept: why they stay."""

    day: date
    part: str
    at: date
    size: int
    kept: str = ""
    channel: str = ""


class RetentionPlan(Shape):
    """Oldest first."""

    days: tuple[Leaving, ...]


class LegalHold(Shape):
    """A legal hold. patient: only who asks with patient data sees it."""

    number: int
    signal: str | None = None
    patient: str = ""
    reason: str
    since: datetime
    by: str


class Holds(Shape):
    """Oldest first."""

    holds: tuple[LegalHold, ...]


class HoldWanted(Asked):
    """A hold to be set: of one Signal or of one patient, in a body and never in a URL."""

    signal: uuid.UUID | None = None
    patient: Words = Field("", max_length=200, pattern=r"^$|\S")
    reason: Words = Field(min_length=3, max_length=500, pattern=r"\S")


class Keeper(Protocol):
    """A running engine, as far as retention goes."""

    @property
    def keeping(self) -> Keeping:
        """Who answers for it; there once the engine has started."""
        ...


def routes(engine: Keeper) -> APIRouter:
    """Under /v1."""
    router = APIRouter(prefix="/v1")

    @router.get("/retention")
    async def retention(days: int = 30) -> RetentionPlan:
        """What goes within so many days, and what must stay."""
        due = await engine.keeping.plan(max(0, min(days, 40_000)))
        return RetentionPlan(
            days=tuple(Leaving.model_validate(one, from_attributes=True) for one in due)
        )

    @router.post("/retention")
    async def drop() -> RetentionPlan:
        """Drop the days that are due today, now; what is left of them must stay. Bodies of
        single channels go after it, in their own time."""
        await engine.keeping.round()
        plan = await retention(0)
        return RetentionPlan(days=tuple(one for one in plan.days if not one.channel))

    @router.get("/holds")
    async def holds(phi: bool = False) -> Holds:
        """Every legal hold."""
        return Holds(holds=tuple(_held(one, phi) for one in await engine.keeping.holds()))

    @router.post("/holds", status_code=201)
    async def hold(wanted: HoldWanted, who: Who) -> dict[str, int]:
        """Keep a Signal, or all of a patient, now and to come."""
        if (wanted.signal is None) == (not wanted.patient):
            raise HTTPException(422, "a hold is of one signal or of one patient")
        signal = SignalId(wanted.signal.bytes) if wanted.signal else None
        number = await engine.keeping.hold(signal, wanted.patient, wanted.reason, who)
        if number is None:
            raise HTTPException(404, f"the journal has no Signal {wanted.signal}")
        return {"number": number}

    @router.delete("/holds/{number}")
    async def unhold(number: int, who: Who) -> dict[str, int]:
        """End a hold."""
        if not await engine.keeping.unhold(number, who):
            raise HTTPException(404, f"there is no hold {number}")
        return {"number": number}

    return router


def _held(one: Hold, phi: bool) -> LegalHold:
    return LegalHold(
        number=one.number,
        signal=text(one.signal) if one.signal else None,
        patient=(one.patient if phi else "***") if one.patient else "",
        reason=one.reason,
        since=one.since,
        by=one.by,
    )
