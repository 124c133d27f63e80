"""Skimming: what an earlier engine left waiting is read without the bytes that none needs now.

A Signal for which only paused agents are left goes to the shelf as its place; what other agents
may have to run is read whole. Which it is, is decided when its turn comes, in the journal's
order, so that an agent that is resumed meanwhile overtakes nothing.
"""

import asyncio
from array import array
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from portico.agents.match import Matcher
from portico.flow.arrivals.desk import Policy
from portico.flow.sessions.shelf import Shelf
from portico.journal.contract import Recovered
from portico.journal.outlines import Outline

PAGE = 4096
_SHELVED = 0  # in place of an outline


class Left(Protocol):
    """The journal's side. Raises JournalError."""

    def waiting(
        self, after: int, limit: int, without: Sequence[str] = (), only: str = ""
    ) -> Awaitable[list[Recovered]]:
        """As flow/sessions/dispatch.py's ReadWaiting."""
        ...

    def waiting_at(self, places: Sequence[int]) -> Awaitable[list[Recovered]]:
        """Those of these places that wait still, in order."""
        ...

    def outlines(
        self, after: int, before: int, limit: int
    ) -> Awaitable[list[tuple[Outline, "array[int]"]]]:
        """The next so many that wait between these places, by what they have in common."""
        ...


@dataclass(frozen=True, slots=True)
class SkimmingWorld:
    """What it needs. policy: of a channel; first: the first place that this engine gives."""

    left: Left
    shelf: Shelf
    matcher: Callable[[], Matcher]
    policy: Callable[[str], Policy | None]
    first: int


class Skimming:
    """Reads what waits, for dispatch (ReadWaiting). Of what was left it keeps twelve bytes
    a Signal until dispatch is through with it."""

    def __init__(self, world: SkimmingWorld) -> None:
        self._world = world
        self._places = array("q")
        self._kinds = array("I")  # of the outlines, by place
        self._outlines: list[Outline] = []
        self._numbers: dict[Outline, int] = {}  # from 1 on
        self._upto = -1  # skimmed so far; `first` once that is all

    async def waiting(
        self, after: int, limit: int, without: Sequence[str] = (), only: str = ""
    ) -> list[Recovered]:
        """Signals that wait, after this place, in order, unless paused agents alone are left
        for them. Raises JournalError."""
        first, left = self._world.first, self._world.left
        if after >= first - 1 and not without and not only:
            self._upto, self._places, self._kinds = first, array("q"), array("I")
        if self._upto < 0 and not self._world.shelf.paused:
            return await left.waiting(after, limit, without, only)
        while self._upto < first:
            await self._skim()
        found: list[Recovered] = []
        at = bisect_right(self._places, after)
        while len(found) < limit and at < len(self._places):
            at, wanted = self._walk(at, limit - len(found), without, only)
            found += await left.waiting_at(wanted) if wanted else ()
            await asyncio.sleep(0)
        if len(found) < limit:
            rest = limit - len(found)
            found += await left.waiting(max(after, first - 1), rest, without, only)
        return found

    async def _skim(self) -> None:
        """One more page of what was left."""
        first = self._world.first
        page = await self._world.left.outlines(self._upto, first, PAGE)
        placed = []
        for outline, places in page:
            kind = self._numbers.setdefault(outline, len(self._numbers) + 1)
            if kind > len(self._outlines):
                self._outlines.append(outline)
            placed += [(place, kind) for place in places]
        placed.sort()
        self._places.extend(place for place, _ in placed)
        self._kinds.extend(kind for _, kind in placed)
        self._upto = placed[-1][0] if len(placed) == PAGE else first

    def _walk(
        self, at: int, most: int, without: Sequence[str], only: str
    ) -> tuple[int, list[int]]:
        """Go through a page at most, from there on: where it ends, and the places on the way
        that are to be read."""
        wanted: list[int] = []
        turns: dict[int, frozenset[str] | None] = {_SHELVED: None}
        end = min(at + PAGE, len(self._places))
        while at < end and len(wanted) < most:
            place, kind = self._places[at], self._kinds[at]
            if kind not in turns:
                turns[kind] = self._turn(self._outlines[kind - 1], without, only)
            if agents := turns[kind]:
                self._world.shelf.put(agents, place)
                self._kinds[at] = _SHELVED
            elif agents is not None:
                wanted.append(place)
            at += 1
        return at, wanted

    def _turn(
        self, outline: Outline, without: Sequence[str], only: str
    ) -> frozenset[str] | None:
        """The paused agents that such a Signal waits for; none: it is to be read; None: it is
        passed by. It is read where other agents may have to run it, and where its sender may be
        owed an answer."""
        if outline.origin in without or only not in ("", outline.origin):
            return None
        policy = self._world.policy(outline.origin)
        if not outline.plain or (policy is not None and policy.answering.deferred):
            return frozenset()
        possible = self._world.matcher().possible(outline.origin, outline.type)
        agents = possible.difference(outline.agents)
        return agents if agents <= self._world.shelf.paused else frozenset()
