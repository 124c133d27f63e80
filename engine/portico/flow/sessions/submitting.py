"""What sessions ask of the pool of workers."""

from collections.abc import Callable
from typing import Protocol

from portico.agents.item import Item
from portico.ids import SignalId
from portico.model.verdict import Failure
from portico.workers.backlog import Outcome
from portico.workers.crew import ItemLook


class Submitter(Protocol):
    """The pool."""

    def submit(
        self, agent: str, item: Item, group: str, done: Callable[[Outcome], None]
    ) -> None:
        """Run an item after all of its group, and say how it went. Outcome.result None: not
        run, because one before it in its group goes first, or because the pool stops. Raises
        KeyError when no such agent is active."""
        ...

    def cancel(self, agent: str, signal: SignalId, failure: Failure) -> bool:
        """End an item that waits or runs; False when there is none."""
        ...

    def look(self, agent: str, signal: SignalId) -> ItemLook | None:
        """Where an item is; None when there is none."""
        ...
