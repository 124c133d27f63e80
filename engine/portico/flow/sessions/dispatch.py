"""Dispatch: committed Signals to the agents that answer them, in the journal's order.

At most WINDOW Runs are in memory, fewer where they are large, and of one origin (a channel, or
a Signal's name) no more than as many again would fit: one whose agents wait, for a model, a
retry or a person, leaves room for the others. What does not fit is left in the journal, where
it is safe already, and read on in order when there is room: the same way that work is taken up
after a restart.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from portico.agents.match import Matcher
from portico.errors import JournalError
from portico.events.delivering import JournalUnreadable
from portico.events.emit import Emit
from portico.flow.runs import Run, Waiter
from portico.ids import SignalId
from portico.journal.contract import Recovered
from portico.journal.statements import PAGE_BYTES
from portico.language.context import Context
from portico.model.verdict import Failure

WINDOW = 16_384
PAGE = 256
_SLOT = 32 << 10  # bytes; a Run counts once more for each of them that it holds
_MOST_RELEASED = 1024  # by people, beside the window
_READ_AGAIN = 1.0


class ReadWaiting(Protocol):
    """The journal's side."""

    def __call__(
        self, after: int, limit: int, without: Sequence[str] = (), only: str = ""
    ) -> Awaitable[list[Recovered]]:
        """Signals that wait, after this place, in order: of no origin of `without`, or of one
        alone; fewer than `limit` when PAGE_BYTES are reached, or no more are there. Raises
        JournalError."""
        ...


@dataclass(frozen=True, slots=True)
class DispatchWorld:
    """What dispatch needs. recall: makes the Run of a Signal read back, None when it ended
    (a repeat, or nobody answers it any more); start: runs it. first: the first place in the
    journal that this engine gives; what lies before it is left from earlier.
    """

    waiting: ReadWaiting
    recall: Callable[[Recovered, Waiter | None], Run | None]
    start: Callable[[Run], None]
    later: Callable[[float, Callable[[], None]], asyncio.TimerHandle]
    emit: Emit
    first: int


class Dispatcher:
    """Hands Runs on while there is room, and fetches those that had to wait.

    The journal shows a Signal as soon as it is committed, a moment before its channel hears
    of it; so what this engine has journaled is read back only up to the last place that a
    channel has offered or set aside. An origin that is held is read by itself, from a place of
    its own.
    """

    def __init__(self, world: DispatchWorld, matcher: Matcher) -> None:
        self._world = world
        self.matcher = matcher
        self.count = 0
        self.running: Counter[str] = Counter()  # by origin
        self._cursor = -1
        self._known = world.first - 1
        self._behind = True
        self._missed = True
        self._held: dict[str, int] = {}  # origins without room: the last place that was taken
        self._late: set[str] = set()  # of them, those that were offered more since
        self._aside: set[int] = set()  # places after a cursor that reading passes by
        self._waiters: dict[bytes, Waiter] = {}
        self._reading: asyncio.Task[None] | None = None
        self._paused = True

    def start(self) -> None:
        """Take up what the journal holds."""
        self._paused = False
        self._read_on()

    def pause(self) -> None:
        """Start nothing more."""
        self._paused = True

    def matching(self, context: Context) -> tuple[str, ...]:
        """The agents that answer. Raises MessageError when a condition meets text that the
        message's character set cannot read."""
        return self.matcher.matching(context)

    def called(self, agent: str) -> set[str]:
        """The agent of that name, if it is in force."""
        return {agent} & self.matcher.names

    def offer(self, run: Run) -> None:
        """A Signal that was just committed. Must come in the journal's order."""
        self._known = run.seq
        behind = self._behind or self._paused or self.count >= WINDOW
        if not behind and self._passes(run.signal.origin, self._cursor):
            self._cursor = run.seq
            self._begin(run)
            return
        if run.waiter is not None:
            self._waiters[run.signal.id] = run.waiter
        if behind:
            self._behind = self._missed = True
        else:
            self._cursor = run.seq
        self._late.update({run.signal.origin} & self._held.keys())
        self._read_on()

    def aside(self, seq: int) -> None:
        """A Signal that was just committed is its channel's matter: reading passes it by. In
        the journal's order, as `offer`."""
        self._known = seq
        if self._behind or self._held:
            self._aside.add(seq)
        if not self._behind:
            self._cursor = seq

    def expect(self, seq: int) -> None:
        """A person is about to release the Signal at this place: `resume` brings it, nothing
        else does."""
        if seq > self._first:
            self._aside.add(seq)

    def resume(self, run: Run) -> None:
        """A Signal that was set aside is to run after all, now and out of turn."""
        if not self._paused:
            self._begin(run)

    def forget(self, signal: SignalId) -> None:
        """Nobody waits for this Signal any more."""
        self._waiters.pop(signal, None)

    @property
    def room(self) -> bool:
        """Whether a page of Runs may come into memory."""
        return not self._paused and self.count <= WINDOW - PAGE

    def crowded(self, origin: str, seq: int) -> bool:
        """Whether this Signal is not to be released yet: people released so many that more
        would fill memory, or what an earlier engine left before it has not been read."""
        unread = self._held.get(origin, self._cursor) < seq < self._world.first
        return unread or self.count >= WINDOW + _MOST_RELEASED

    def shelve(self, run: Run) -> None:
        """A Run has left memory until `bring`: paused agents are all that it waits for."""
        if run.waiter is not None:
            self._waiters[run.signal.id] = run.waiter
        self.ended(run)

    def bring(self, recovered: Recovered, cancelled: Failure | None = None) -> None:
        """What stands in the journal is to run now, if anything is left of it to do.
        cancelled: that is its end, instead."""
        waiter = self._waiters.pop(recovered.signal.id, None)
        run = self._world.recall(recovered, waiter)
        if run is not None:
            run.cancelled = cancelled
            self._begin(run)

    def ended(self, run: Run) -> None:
        """A Run has left memory."""
        slots = _slots(run)
        self.count -= slots
        self.running[run.signal.origin] -= slots
        if self._behind or self._held:
            self._read_on()

    @property
    def _first(self) -> int:
        """Everything up to this place was taken or passed by."""
        return min((self._cursor, *self._held.values()))

    def _passes(self, origin: str, taken: int) -> bool:
        """Whether there is room for one more; else the origin is held, at this place of it."""
        if origin not in self._held and self.running[origin] > WINDOW - self.count:
            self._held[origin] = taken
        return origin not in self._held

    def _begin(self, run: Run) -> None:
        slots = _slots(run)
        self.count += slots
        self.running[run.signal.origin] += slots
        self._world.start(run)

    def _read_on(self) -> None:
        if self._reading is None and (self._room() or self._due()):
            self._reading = asyncio.ensure_future(self._read())

    def _room(self) -> bool:
        return self._behind and self.room

    def _due(self) -> list[str]:
        """The origins that are held and have room for a page."""
        free = WINDOW - self.count - PAGE
        due = [origin for origin in self._held if self.running[origin] <= free]
        return [] if self._paused else due

    async def _read(self) -> None:
        try:
            while self._room() or self._due():
                if self._room():
                    await self._read_all()
                for origin in self._due():
                    await self._read_held(origin)
            self._aside = {seq for seq in self._aside if seq > self._first}
        except JournalError:
            self._world.emit(JournalUnreadable())
            self._world.later(_READ_AGAIN, self._read_on)
        finally:
            self._reading = None

    async def _read_all(self) -> None:
        """A page of all that is not held."""
        self._missed, upto = False, self._known
        page = await self._world.waiting(self._cursor, PAGE, tuple(self._held))
        known = [one for one in page if one.seq <= self._known]
        for one in known:
            if self._paused:
                return
            before, self._cursor = self._cursor, one.seq
            if self._passes(one.signal.origin, before):
                self._take_up(one)
        more = _more(page, known)
        if not more:
            self._cursor = max(self._cursor, upto)  # what is held lies before it, too
        self._behind = more or self._missed

    async def _read_held(self, origin: str) -> None:
        """A page of an origin that is held. It is held no more once nothing of it is left."""
        self._late.discard(origin)
        page = await self._world.waiting(self._held[origin], PAGE, only=origin)
        known = [one for one in page if one.seq <= self._known]
        for one in known:
            if self._paused:
                return
            self._held[origin] = one.seq
            self._take_up(one)
        passed = self._held[origin] <= self._cursor
        if not _more(page, known) and passed and origin not in self._late:
            del self._held[origin]

    def _take_up(self, recovered: Recovered) -> None:
        if recovered.seq in self._aside:
            self._aside.discard(recovered.seq)
            return
        self.bring(recovered)


def _slots(run: Run) -> int:
    """How much of the window it takes."""
    return 1 + len(run.signal.content) // _SLOT


def _more(page: list[Recovered], known: list[Recovered]) -> bool:
    """More that is known may wait: the page is as long, or as heavy, as one may be."""
    size = sum(len(one.signal.content) for one in page)
    return len(page) == len(known) and (len(page) >= PAGE or size >= PAGE_BYTES)
