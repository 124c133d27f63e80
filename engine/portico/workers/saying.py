"""What items say while they run: kept in memory, bounded, until they have a result."""

from collections import deque
from dataclasses import dataclass, field

from portico.ids import SignalId
from portico.model.verdict import LogLine
from portico.workers.protocol import Log, Progress

_MOST = 1_000  # items that are heard at once; all workers together run fewer
_LINES, _TEXT = 100, 500


@dataclass(slots=True)
class Saying:
    """One item's words. lines: the last ones; count: how many there were."""

    step: str = ""
    done: float = 0.0
    total: float | None = None
    lines: deque[LogLine] = field(default_factory=lambda: deque(maxlen=_LINES))
    count: int = 0


class Sayings:
    """By Signal. Forgetting one that said nothing costs a look at an empty table."""

    def __init__(self) -> None:
        self._by: dict[bytes, Saying] = {}

    def hear(self, signal: bytes, said: Progress | Log) -> None:
        """Keep what an item says."""
        if signal not in self._by and len(self._by) >= _MOST:
            return
        saying = self._by.setdefault(signal, Saying())
        if isinstance(said, Progress):
            saying.step, saying.done, saying.total = said.step[:_TEXT], said.done, said.total
            return
        saying.count += len(said.lines)
        for line in said.lines[-_LINES:]:
            saying.lines.append(
                LogLine(line.step[:_TEXT], line.level[:_TEXT], line.text[:_TEXT])
            )

    def forget(self, signal: bytes) -> None:
        """It has a result, or runs anew."""
        if self._by:
            self._by.pop(signal, None)

    def of(self, signal: SignalId) -> Saying:
        """What an item said until now."""
        return self._by.get(signal) or Saying()
