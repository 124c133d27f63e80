"""Pausing agents and resuming them: what waited goes first, in the journal's order.

What comes while an agent is being resumed goes to the shelf too, until nothing is left there.
So no Signal overtakes another, and no more are in memory than dispatch allows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

from portico.errors import JournalError
from portico.flow.sessions.dispatch import PAGE, Dispatcher
from portico.flow.sessions.running import Running
from portico.flow.sessions.shelf import Shelf
from portico.journal.contract import Recovered

_TURN = 0.05  # seconds until it looks again whether there is room
_AGAIN = 1.0  # seconds until a journal that is away is read again


@dataclass(frozen=True, slots=True)
class ResumingWorld:
    """What it needs. read: Signals that wait, by their places; raises JournalError. give_back:
    has the pool return what no worker of an agent has begun."""

    shelf: Shelf
    dispatcher: Dispatcher
    running: Running
    read: Callable[[Sequence[int]], Awaitable[list[Recovered]]]
    give_back: Callable[[str], None]


class Resuming:
    """The agents that are paused, and those on their way back."""

    def __init__(self, world: ResumingWorld) -> None:
        self._world = world
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def follow(self, paused: Collection[str]) -> None:
        """These agents are to be paused from now on, and no others."""
        for agent in paused:
            self._pause(agent)
        for agent in self._world.shelf.paused - set(paused):
            task = self._tasks.get(agent)
            if task is None or task.done() or task.cancelling():
                resuming = asyncio.ensure_future(self._resume(agent, task))
                resuming.add_done_callback(partial(self._ended, agent))
                self._tasks[agent] = resuming

    def _pause(self, agent: str) -> None:
        """Nothing more goes to its workers; what they have ends."""
        if agent in self._tasks:
            self._tasks[agent].cancel()
        self._world.shelf.pause(agent)
        self._world.give_back(agent)

    def stop(self) -> None:
        """Bring no more: it stays in the journal."""
        for task in self._tasks.values():
            task.cancel()

    async def _resume(self, agent: str, before: asyncio.Task[None] | None) -> None:
        """Run what waited, then what comes. before: an earlier one, which was cut short."""
        shelf = self._world.shelf
        if before is not None:
            await asyncio.wait([before])
        while page := shelf.page(agent, PAGE):
            await self._bring(agent, page)
        shelf.resume(agent)

    def _ended(self, agent: str, task: asyncio.Task[None]) -> None:
        """Its end; a fault of ours is told, and the next wish or reload tries again."""
        if self._tasks.get(agent) is task:
            del self._tasks[agent]
        if not task.cancelled():
            task.result()

    async def _bring(self, agent: str, page: Sequence[int]) -> None:
        """Start these, from the first on, as far as there is room and the journal is there."""
        shelf = self._world.shelf
        if not self._world.dispatcher.room:
            await asyncio.sleep(_TURN)
            return
        standing = [shelf.standing(place) for place in page]
        try:
            found = {one.seq: one for one in await self._world.read(page)}
        except JournalError:
            await asyncio.sleep(_AGAIN)
            return
        for place, before in zip(page, standing, strict=True):
            if shelf.standing(place) != before:
                return  # others have begun or concluded since: it is read again
            if not shelf.let(agent, place):
                continue  # a person has ended it since
            run = shelf.run(agent, place)
            if run is not None:
                self._world.running.run(agent, run)
            elif place in found:
                self._world.dispatcher.bring(found[place])
