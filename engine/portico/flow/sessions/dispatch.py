"""Dispatch: committed Signals to the agents that answer them, in the journal's order.

At most WINDOW Runs are in memory. What does not fit is left in the journal, where it is safe
already, and read on in order when there is room: the same way that work is taken up again
after a restart.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from portico.agents.match import Matcher
from portico.errors import JournalError
from portico.events.delivering import JournalUnreadable
from portico.events.emit import Emit
from portico.flow.runs import Run, Waiter
from portico.ids import SignalId
from portico.journal.contract import Recovered
from portico.language.context import Context

WINDOW = 8192
PAGE = 256
_READ_AGAIN = 1.0


class ReadWaiting(Protocol):
    """The journal's side."""

    def __call__(self, after: int, limit: int) -> Awaitable[list[Recovered]]:
        """Signals that wait, after this place, in order. Raises JournalError."""
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
    channel has offered or set aside.
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
        self._aside: set[int] = set()  # places after the cursor that reading passes by
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
        if self._behind or self._paused or self.count >= WINDOW:
            self._behind = self._missed = True
            if run.waiter is not None:
                self._waiters[run.signal.id] = run.waiter
            self._read_on()
            return
        self._cursor = run.seq
        self._begin(run)

    def aside(self, seq: int) -> None:
        """A Signal that was just committed is its channel's matter: reading passes it by. In
        the journal's order, as `offer`."""
        self._known = seq
        if self._behind:
            self._aside.add(seq)
        else:
            self._cursor = seq

    def expect(self, seq: int) -> None:
        """A person is about to release the Signal at this place: `resume` brings it, nothing
        else does."""
        if seq > self._cursor:
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

    @property
    def crowded(self) -> bool:
        """People released so many Signals that more would fill memory: dispatch itself stops
        at half of that."""
        return self.count >= 2 * WINDOW

    def shelve(self, run: Run) -> None:
        """A Run has left memory until `bring`: paused agents are all that it waits for."""
        if run.waiter is not None:
            self._waiters[run.signal.id] = run.waiter
        self.ended(run)

    def bring(self, recovered: Recovered) -> None:
        """What stands in the journal is to run now, if anything is left of it to do."""
        waiter = self._waiters.pop(recovered.signal.id, None)
        run = self._world.recall(recovered, waiter)
        if run is not None:
            self._begin(run)

    def ended(self, run: Run) -> None:
        """A Run has left memory."""
        self.count -= 1
        self.running[run.signal.origin] -= 1
        if self._behind:
            self._read_on()

    def _begin(self, run: Run) -> None:
        self.count += 1
        self.running[run.signal.origin] += 1
        self._world.start(run)

    def _read_on(self) -> None:
        if self._reading is None and self._room():
            self._reading = asyncio.ensure_future(self._read())

    def _room(self) -> bool:
        return self._behind and self.room

    async def _read(self) -> None:
        try:
            while self._room():
                self._missed = False
                page = await self._world.waiting(self._cursor, PAGE)
                known = [one for one in page if one.seq <= self._known]
                for recovered in known:
                    if self._paused:
                        return
                    self._take_up(recovered)
                self._behind = len(known) == PAGE or self._missed
            self._aside = {seq for seq in self._aside if seq > self._cursor}
        except JournalError:
            self._world.emit(JournalUnreadable())
            self._world.later(_READ_AGAIN, self._read_on)
        finally:
            self._reading = None

    def _take_up(self, recovered: Recovered) -> None:
        self._cursor = recovered.seq
        if recovered.seq in self._aside:
            self._aside.discard(recovered.seq)
            return
        self.bring(recovered)
