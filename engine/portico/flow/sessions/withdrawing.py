"""Withdrawing: a person ends what waits for agents that are paused, without running it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from portico.flow.sessions.dispatch import Dispatcher
from portico.flow.sessions.running import Running
from portico.flow.sessions.shelf import Shelf
from portico.ids import SignalId
from portico.journal.contract import Recovered
from portico.model.verdict import Failure


@dataclass(frozen=True, slots=True)
class Withdrawing:
    """place: of a Signal that waits, None for any other; read: as in ResumingWorld. Both raise
    JournalError."""

    shelf: Shelf
    dispatcher: Dispatcher
    running: Running
    place: Callable[[SignalId], Awaitable[int | None]]
    read: Callable[[Sequence[int]], Awaitable[list[Recovered]]]

    async def waiting(self, signal: SignalId) -> set[str]:
        """The paused agents for which it waits. Raises JournalError."""
        place = await self.place(signal) if self.shelf.paused else None
        return set() if place is None else self.shelf.waiting(place)

    async def cancel(self, signal: SignalId, failure: Failure) -> set[str]:
        """It waits for none of them any more: this is their verdict. Which they were.

        Raises JournalError; then nothing has happened.
        """
        place = await self.place(signal) if self.shelf.paused else None
        while place is not None and (agents := self.shelf.waiting(place)):
            found = [] if self.shelf.holds(place) else await self.read([place])
            if self.shelf.waiting(place) != agents:
                continue  # they have been resumed, or other agents have concluded
            run = self.shelf.take_off(place)
            if run is not None:
                run.cancelled = failure
                for agent in sorted(agents):
                    self.running.run(agent, run)
            for recovered in found if run is None else ():
                self.dispatcher.bring(recovered, failure)
            return agents if run or found else set()
        return set()
