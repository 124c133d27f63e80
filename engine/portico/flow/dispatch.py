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
from portico.journal.contract import Recovered
from portico.language.context import Context

WINDOW = 8192
PAGE = 256
_READ_AGAIN = 1.0


class Waiting(Protocol):
    """The journal's side."""

    def __call__(self, after: int, limit: int) -> Awaitable[list[Recovered]]:
        """Signals that wait, after this place, in order. Raises JournalError."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What dispatch needs. recall: makes the Run of a Signal read back, None when it ended
    (a repeat, or nobody answers it any more); start: runs it.
    """

    waiting: Waiting
    recall: Callable[[Recovered, Waiter | None], Run | None]
    start: Callable[[Run], None]
    later: Callable[[float, Callable[[], None]], asyncio.TimerHandle]
    emit: Emit


class Dispatcher:
    """Hands Runs on while there is room, and fetches those that had to wait."""

    def __init__(self, world: World, matcher: Matcher) -> None:
        self._world = world
        self.matcher = matcher
        self.count = 0
        self.running: Counter[str] = Counter()  # by origin
        self._cursor = -1
        self._behind = True
        self._missed = True
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

    def offer(self, run: Run) -> None:
        """A Signal that was just committed. Must come in the journal's order."""
        if self._behind or self._paused or self.count >= WINDOW:
            self._behind = self._missed = True
            if run.waiter is not None:
                self._waiters[run.signal.id] = run.waiter
            self._read_on()
            return
        self._begin(run)

    def ended(self, run: Run) -> None:
        """A Run has left memory."""
        self.count -= 1
        self.running[run.signal.origin] -= 1
        if self._behind:
            self._read_on()

    def _begin(self, run: Run) -> None:
        self._cursor = run.seq
        self.count += 1
        self.running[run.signal.origin] += 1
        self._world.start(run)

    def _read_on(self) -> None:
        if self._reading is None and self._room():
            self._reading = asyncio.ensure_future(self._read())

    def _room(self) -> bool:
        return self._behind and not self._paused and self.count <= WINDOW - PAGE

    async def _read(self) -> None:
        try:
            while self._room():
                self._missed = False
                page = await self._world.waiting(self._cursor, PAGE)
                for recovered in page:
                    self._cursor = recovered.seq
                    waiter = self._waiters.pop(recovered.signal.id, None)
                    run = self._world.recall(recovered, waiter)
                    if run is not None:
                        self._begin(run)
                self._behind = len(page) == PAGE or self._missed
        except JournalError:
            self._world.emit(JournalUnreadable())
            self._world.later(_READ_AGAIN, self._read_on)
        finally:
            self._reading = None
