"""The routes of what waits for a person: list, release, discard, edit, resend; the record."""

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Query
from pydantic import AfterValidator, AwareDatetime, Base64Bytes, Field

from portico.api import answers
from portico.api.shapes import ActItem, Shape
from portico.api.wanted import Asked, Words, nanoseconds
from portico.api.who import Who
from portico.flow.acts import amending, releasing
from portico.flow.acts.acting import ActOutcome
from portico.flow.acts.releasing import Target
from portico.ids import SignalId
from portico.journal.found import ActFound, Heap, ParkedFilter, ParkedSummary

MOST = 500  # targets of one request


class Handling(Protocol):
    """What /v1 asks about parked messages. Every verb may raise JournalError."""

    async def parked(
        self, wanted: ParkedFilter, counts: bool
    ) -> tuple[list[ParkedSummary], list[Heap]]:
        """Those that fit, in the journal's order; and all that fit, counted by reason, where
        that is asked."""
        ...

    async def acts(self, of: SignalId | None, limit: int) -> list[ActFound]:
        """What people did, newest first."""
        ...

    async def release(self, targets: Sequence[Target], who: str) -> list[ActOutcome]:
        """Back into its queue, or to its agents."""
        ...

    async def discard(
        self, targets: Sequence[Target], who: str, reason: str
    ) -> list[ActOutcome]:
        """Given up for good."""
        ...

    async def edit(
        self, target: Target, change: Callable[[bytes], bytes], who: str
    ) -> ActOutcome:
        """A changed copy takes its place."""
        ...

    async def resend(
        self, target: Target, to: str, received: bool, who: str
    ) -> list[ActOutcome]:
        """The same bytes once more."""
        ...


class ParkedItem(Shape):
    """One that waits for a person. id: `SIGNAL/sN` or `SIGNAL/dN`; name: the channel's or the
    destination's; at: `file:line` of the step; location: the field; hold: keeps its order key.
    """

    id: str
    kind: str
    name: str
    agent: str
    type: str
    control_id: str
    code: str
    reason: str
    step: str
    at: str
    location: str
    hold: bool
    tries: int
    since: datetime
    lane: str = ""


class ParkedHeap(Shape):
    """How many are parked for the same reason."""

    kind: str
    name: str
    agent: str
    code: str
    count: int
    oldest: datetime


class ParkedPage(Shape):
    """Oldest place first. counts: of all that fit. next: the `after` of the next page."""

    parked: tuple[ParkedItem, ...]
    counts: tuple[ParkedHeap, ...]
    next: str | None = None


class Acted(Shape):
    """What became of one target. made: the Signal or Delivery that came of it. later: nothing
    yet, since so much that was released before it has not left; ask again."""

    target: str
    done: bool
    text: str = ""
    made: str = ""
    later: bool = False


def _target(text: str) -> str:
    releasing.parse(text)
    return text


TargetText = Annotated[str, AfterValidator(_target)]


class ParkedWanted(Asked):
    """Which parked messages; after: `next` of the page before. counts: whether all that fit
    are counted, too."""

    channel: Words = ""
    destination: Words = ""
    agent: Words = ""
    code: Words = ""
    since: AwareDatetime | None = None
    after: Annotated[str, Field(pattern=r"^(\d{1,18},[a-z]+,\d{1,9})?$")] = ""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    phi: bool = False
    counts: bool = True

    def filter(self) -> ParkedFilter:
        """For the journal."""
        kind = "delivery" if self.destination else "signal" if self.channel else ""
        seq, _, rest = self.after.partition(",")
        word, _, number = rest.partition(",")
        return ParkedFilter(
            kind,
            self.destination or self.channel,
            self.agent,
            self.code,
            nanoseconds(self.since),
            (int(seq), word, int(number)) if self.after else None,
            self.limit,
        )


class Targets(Asked):
    """Messages by id: `SIGNAL` (all that is parked of it), `SIGNAL/s1`, `SIGNAL/d2`."""

    ids: Annotated[list[TargetText], Field(min_length=1, max_length=MOST)]

    def targets(self) -> list[Target]:
        """As values."""
        return [releasing.parse(text) for text in self.ids]


class Discarded(Targets):
    """Those to be given up, and why."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]


class Edited(Asked):
    """How a parked message is changed: texts by place, on other bytes if they are given."""

    id: TargetText
    set: dict[str, str] = Field(default_factory=dict)
    base64: Base64Bytes | None = None


class Resent(Asked):
    """What is sent once more, and to whom. received: the bytes as they came in."""

    id: TargetText
    to: str
    received: bool = False


def page(found: tuple[list[ParkedSummary], list[Heap]], wanted: ParkedWanted) -> ParkedPage:
    """What is listed; order keys only for who asks with patient data."""
    rows, heaps = found
    last = rows[-1] if len(rows) == wanted.limit else None
    return ParkedPage(
        parked=tuple(_item(row, wanted.phi) for row in rows),
        counts=tuple(ParkedHeap.model_validate(h, from_attributes=True) for h in heaps),
        next=f"{last.seq},{last.kind},{last.number}" if last else None,
    )


def _item(row: ParkedSummary, phi: bool) -> ParkedItem:
    names = ("kind", "name", "agent", "type", "control_id", "code", "reason", "step", "at")
    more = ("location", "hold", "tries", "since")
    values: dict[str, Any] = {name: getattr(row, name) for name in (*names, *more)}
    lane = answers.shown(row.lane, phi)
    return ParkedItem(id=answers.part_id(row.signal, row.kind, row.number), lane=lane, **values)


def routes(handling: Callable[[], Handling]) -> APIRouter:
    """Under /v1."""
    router = APIRouter(prefix="/v1")

    @router.get("/parked")
    async def listed(wanted: Annotated[ParkedWanted, Query()]) -> ParkedPage:
        """What waits for a person."""
        return page(await handling().parked(wanted.filter(), wanted.counts), wanted)

    @router.post("/parked/release")
    async def release(targets: Targets, who: Who) -> tuple[Acted, ...]:
        """Deliveries go back to their places, Signals to their agents."""
        return _told(await handling().release(targets.targets(), who))

    @router.post("/parked/discard")
    async def discard(targets: Discarded, who: Who) -> tuple[Acted, ...]:
        """They are given up for good."""
        return _told(await handling().discard(targets.targets(), who, targets.reason))

    @router.post("/parked/edit")
    async def edit(edited: Edited, who: Who) -> Acted:
        """A changed copy takes its place; the original is kept."""
        change = amending.editor(edited.set, edited.base64)
        told = await handling().edit(releasing.parse(edited.id), change, who)
        return _told([told])[0]

    @router.post("/resend")
    async def resend(resent: Resent, who: Who) -> tuple[Acted, ...]:
        """The same bytes once more, to one destination."""
        target = releasing.parse(resent.id)
        return _told(await handling().resend(target, resent.to, resent.received, who))

    @router.get("/acts")
    async def acts(
        signal: uuid.UUID | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> tuple[ActItem, ...]:
        """What people did to messages, newest first."""
        of = SignalId(signal.bytes) if signal else None
        return tuple(answers.act(one) for one in await handling().acts(of, limit))

    return router


def _told(outcomes: Sequence[ActOutcome]) -> tuple[Acted, ...]:
    return tuple(Acted.model_validate(one, from_attributes=True) for one in outcomes)
