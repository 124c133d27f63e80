"""Sessions by the version that a Signal names: the pool, and beside it crews of editions.

A crew of an edition is loaded when it is first asked for, and goes when it has had nothing to
do for a while. It never is the crew in force, even of the same version: that one's is another
after the next reload. What is submitted while it loads waits, in its order.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace

from portico.agents.item import Item
from portico.errors import JournalError, JournalRefused
from portico.flow.sessions.submitting import Submitter
from portico.ids import SignalId
from portico.model import crews
from portico.model.verdict import Failure, Kind, SessionResult
from portico.workers.backlog import Outcome
from portico.workers.crew import ItemLook
from portico.workers.faults import EditionGone

_IDLE = 60.0  # seconds without work after which a crew goes
_AGAIN = 1.0  # seconds until a journal that is away is asked again

Done = Callable[[Outcome], None]
Later = Callable[[float, Callable[[], None]], asyncio.TimerHandle]


@dataclass(frozen=True, slots=True)
class RecordedWorld:
    """What it needs. open: load this crew, raises EditionGone, JournalError; close: end it.
    destination: what the one that an edition sends to is called now.
    """

    pool: Submitter
    open: Callable[[str], Awaitable[None]]
    close: Callable[[str], Awaitable[None]]
    later: Later
    destination: Callable[[str], str] = str


@dataclass(slots=True, eq=False)
class _Crew:
    """loaded: gives why it is not to be had, or an empty text. out: what the pool has."""

    name: str
    loaded: asyncio.Task[str]
    waiting: list[tuple[Item, str, Done]] = field(default_factory=list)
    out: int = 0
    worked: int = 0


class Recorded:
    """The pool's Submitter, for `AGENT` and for `AGENT@VERSION`."""

    def __init__(self, world: RecordedWorld) -> None:
        self._world = world
        self._crews: dict[str, _Crew] = {}
        self._closing: dict[str, asyncio.Future[None]] = {}

    async def ready(self, crew: str) -> str:
        """Load it, if it is not; why it cannot be had, empty when it can."""
        return await asyncio.shield(self._of(crew).loaded)

    def submit(self, agent: str, item: Item, group: str, done: Done) -> None:
        """As the pool's; an edition that cannot be had is the item's failure."""
        if not crews.parts(agent)[1]:
            self._world.pool.submit(agent, item, group, done)
            return
        crew = self._of(agent)
        if crew.loaded.done():
            self._hand(crew, item, group, done)
        else:
            crew.waiting.append((item, group, done))

    def cancel(self, agent: str, signal: SignalId, failure: Failure) -> bool:
        """As the pool's, whatever version of the agent has it."""
        pool = self._world.pool
        return any([pool.cancel(one, signal, failure) for one in self._all(agent)])

    def look(self, agent: str, signal: SignalId) -> ItemLook | None:
        """As the pool's, whatever version of the agent has it."""
        looks = (self._world.pool.look(one, signal) for one in self._all(agent))
        return next((one for one in looks if one is not None), None)

    def stop(self) -> None:
        """Load nothing more: what waits stays in the journal."""
        for crew in self._crews.values():
            crew.loaded.cancel()

    def _all(self, agent: str) -> list[str]:
        return [agent, *(one for one in self._crews if crews.parts(one)[0] == agent)]

    def _of(self, name: str) -> _Crew:
        crew = self._crews.get(name)
        if crew is None:
            crew = _Crew(name, asyncio.ensure_future(self._load(name)))
            self._crews[name] = crew
            crew.loaded.add_done_callback(partial(self._loaded, crew))
        return crew

    async def _load(self, name: str) -> str:
        while name in self._closing:  # the one before it bears the name still
            await asyncio.wait([self._closing[name]])
        while True:
            try:
                await self._world.open(name)
            except (EditionGone, JournalRefused) as error:
                return str(error)
            except JournalError:
                await asyncio.sleep(_AGAIN)
            else:
                return ""

    def _loaded(self, crew: _Crew, loaded: asyncio.Task[str]) -> None:
        if loaded.cancelled():
            return
        why = loaded.result()
        if why:
            del self._crews[crew.name]
        for item, group, done in crew.waiting:
            if why:
                failure = Failure(EditionGone.code, why)
                done(Outcome(SessionResult(Kind.FAULT, failure=failure)))
            else:
                self._hand(crew, item, group, done)
        crew.waiting.clear()
        self._watch(crew, -1)

    def _hand(self, crew: _Crew, item: Item, group: str, done: Done) -> None:
        crew.out += 1
        crew.worked += 1

        def told(outcome: Outcome) -> None:
            crew.out -= 1
            done(self._today(outcome))

        self._world.pool.submit(crew.name, item, group, told)

    def _today(self, outcome: Outcome) -> Outcome:
        """What an edition sends goes to the destinations by the names that they have now."""
        result = outcome.result
        if result is None or not result.outputs:
            return outcome
        now = self._world.destination
        outputs = (replace(one, destination=now(one.destination)) for one in result.outputs)
        return replace(outcome, result=replace(result, outputs=tuple(outputs)))

    def _watch(self, crew: _Crew, worked: int) -> None:
        """Let it go when it has had nothing to do since the last look."""
        if self._crews.get(crew.name) is not crew:
            return
        if crew.out or crew.worked != worked:
            self._world.later(_IDLE, partial(self._watch, crew, crew.worked))
            return
        del self._crews[crew.name]
        closing = asyncio.ensure_future(self._world.close(crew.name))
        self._closing[crew.name] = closing
        closing.add_done_callback(lambda done: self._closing.pop(crew.name))
