"""Repeats that are known without asking the journal."""

from portico.ids import SignalId
from portico.journal.contract import Earlier
from portico.model.signal import Signal

_MOST = 4096  # repeated messages of a channel that are remembered


class Repeated:
    """Messages that were repeated lately, so that a sender that repeats one for ever does not
    make the journal look for it each time. Holds what the last repeat of each was told.
    """

    def __init__(self) -> None:
        self._firsts: dict[tuple[int, bytes], Earlier] = {}

    def of(self, signal: Signal) -> tuple[Earlier, ...]:
        """What it repeats, if that is known."""
        first = self._firsts.get((signal.repeat_key, signal.sha256))
        return () if first is None else (first,)

    def add(self, signal: Signal, first: SignalId) -> None:
        """It repeats that one; the oldest of very many is forgotten."""
        if len(self._firsts) >= _MOST:
            del self._firsts[next(iter(self._firsts))]
        self._firsts[signal.repeat_key, signal.sha256] = Earlier(first, signal.sha256)

    def drop(self, signal: Signal) -> None:
        """It runs: from now on the journal knows better."""
        self._firsts.pop((signal.repeat_key, signal.sha256), None)
