"""The routes of replays: preview, begin, watch, cancel."""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Protocol, Self

from fastapi import APIRouter, Query
from pydantic import Field, model_validator

from portico.api.shapes import Shape
from portico.api.wanted import Filter, nanoseconds
from portico.api.who import Who
from portico.flow.acts import choosing
from portico.flow.acts.previewing import Preview
from portico.journal.found import JobFound

MOST_IDS = 10_000
MOST_PREVIEWED = 1000


class Replays(Protocol):
    """What /v1 asks about replays. Every verb may raise JournalError, RequestError."""

    async def preview(self, wanted: choosing.ReplayChoice, most: int) -> tuple[int, Preview]:
        """How many fit, and what would become of the first of them."""
        ...

    async def replay(self, wanted: choosing.ReplayChoice, who: str) -> JobFound:
        """Begin a job."""
        ...

    async def jobs(self, limit: int) -> list[JobFound]:
        """The latest, newest first."""
        ...

    async def cancel(self, job: str) -> JobFound:
        """End one."""
        ...


class ReplayWanted(Filter):
    """Which Signals: by id, or all that fit a filter; one of both, so that an empty list is not
    the whole journal. rate: Signals a second. as_recorded: by the agents that ran them, in the
    versions that did.
    """

    signals: Annotated[tuple[uuid.UUID, ...], Field(max_length=MOST_IDS)] = ()
    as_recorded: bool = False
    rate: Annotated[float, Field(gt=0, le=10_000)] = 100.0

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        filtered = any(getattr(self, name) for name in Filter.model_fields)
        if bool(self.signals) == filtered:
            raise ValueError("give signals, or a filter such as channel or since")
        return self

    def wanted(self) -> choosing.ReplayChoice:
        """For the engine."""
        return choosing.ReplayChoice(
            tuple(str(one) for one in self.signals),
            self.channel,
            self.type,
            self.control_id,
            self.patient,
            nanoseconds(self.since),
            nanoseconds(self.until),
            self.state or "",
            "",
            self.as_recorded,
            self.rate,
        )


class AgentCount(Shape):
    """What one agent decides. verdict: `deliver drop refuse fault`; `call`: a step asks a model
    or a plugin, which a preview does not."""

    agent: str
    verdict: str
    count: int


class FaultCount(Shape):
    """Where agents would fail."""

    agent: str
    step: str
    code: str
    count: int


class Previewed(Shape):
    """What a replay would do. total: all that fit; seen: of so many, the oldest; nothing was
    stored. destinations: messages that each would be owed; signals: emitted ones; skipped: why
    some would not be replayed.
    """

    total: int
    seen: int
    runs: int
    agents: tuple[AgentCount, ...] = ()
    destinations: dict[str, int] = Field(default_factory=dict)
    signals: dict[str, int] = Field(default_factory=dict)
    skipped: dict[str, int] = Field(default_factory=dict)
    faults: tuple[FaultCount, ...] = ()


class Job(Shape):
    """A replay. what: which Signals, in words; state: `running done cancelled failed`; made:
    new Signals; skipped: those that cannot be replayed, each with its reason among the acts.
    """

    id: str
    at: datetime
    who: str
    what: str
    state: str
    total: int
    made: int
    skipped: int
    note: str = ""


def previewed(total: int, seen: int, found: Preview) -> Previewed:
    """As JSON."""
    return Previewed(
        total=total,
        seen=seen,
        runs=found.runs,
        agents=tuple(
            AgentCount(agent=agent, verdict=verdict, count=n)
            for (agent, verdict), n in sorted(found.agents.items())
        ),
        destinations=dict(sorted(found.destinations.items())),
        signals=dict(sorted(found.signals.items())),
        skipped=dict(found.skipped),
        faults=tuple(
            FaultCount(agent=agent, step=step, code=code, count=n)
            for (agent, step, code), n in sorted(found.faults.items())
        ),
    )


def job(found: JobFound) -> Job:
    """As JSON; no patient's id."""
    names = ("id", "at", "who", "state", "total", "made", "skipped", "note")
    values: dict[str, Any] = {name: getattr(found, name) for name in names}
    return Job(what=choosing.load(found.query).told(), **values)


def routes(replays: Callable[[], Replays]) -> APIRouter:
    """Under /v1."""
    router = APIRouter(prefix="/v1/replays")

    @router.post("/preview")
    async def preview(
        wanted: ReplayWanted, most: Annotated[int, Query(ge=1, le=MOST_PREVIEWED)] = 100
    ) -> Previewed:
        """What would be done, found by running the agents and storing nothing."""
        total, found = await replays().preview(wanted.wanted(), most)
        return previewed(total, min(most, total), found)

    @router.post("", status_code=202)
    async def begin(wanted: ReplayWanted, who: Who) -> Job:
        """Begin; the job goes on by itself, also after a restart."""
        return job(await replays().replay(wanted.wanted(), who))

    @router.get("")
    async def jobs(limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> tuple[Job, ...]:
        """The latest, newest first."""
        return tuple(job(one) for one in await replays().jobs(limit))

    @router.post("/{job_id}/cancel")
    async def cancel(job_id: uuid.UUID) -> Job:
        """End it where it is; what it has made stays."""
        return job(await replays().cancel(str(job_id)))

    return router
