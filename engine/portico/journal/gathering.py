"""What waits for a flush, and the next batch of it."""

from collections import deque
from collections.abc import Sequence

from portico.journal.batch import Batch
from portico.journal.contract import Act, Conclusion, Mark, Pending

MOST_ITEMS = 256
MOST_BYTES = 8 << 20


class Gathering:
    """Four lines, each oldest first. alone: so many items more go one at a time, while the row
    that the database refuses is looked for."""

    __slots__ = ("acts", "alone", "arrived", "conclusions", "marks")

    def __init__(self) -> None:
        self.arrived: deque[Pending] = deque()
        self.conclusions: deque[Conclusion] = deque()
        self.marks: deque[Mark] = deque()
        self.acts: deque[Act] = deque()
        self.alone = 0

    def __len__(self) -> int:
        return len(self.arrived) + len(self.acts) + len(self.conclusions) + len(self.marks)

    def next(self, number: int) -> Batch:
        """As much as one flush of that number may hold."""
        most = 1 if self.alone else MOST_ITEMS
        batch = Batch(number)
        weight = 0
        while self.arrived and len(batch.arrived) < most and weight < MOST_BYTES:
            weight += len(self.arrived[0].signal.content)
            batch.arrived.append(self.arrived.popleft())
        most -= len(batch.arrived) if self.alone else 0
        while self.conclusions and len(batch.conclusions) < most and weight < MOST_BYTES:
            weight += sum(len(o.content or b"") for o in self.conclusions[0].owed)
            batch.conclusions.append(self.conclusions.popleft())
        most -= len(batch.conclusions) if self.alone else 0
        while self.marks and len(batch.marks) < most:
            batch.marks.append(self.marks.popleft())
        most -= len(batch.marks) if self.alone else 0
        while self.acts and len(batch.acts) < most and weight < MOST_BYTES:
            weight += sum(len(p.signal.content) for p in self.acts[0].arrived)
            batch.acts.append(self.acts.popleft())
        self.alone = max(0, self.alone - 1)
        return batch

    def put_back(self, batches: Sequence[Batch], asked: bool = True) -> None:
        """In front of what waits, in their order. asked: also what somebody waits for, who has
        not been told that it failed."""
        for batch in reversed(batches):
            self.conclusions.extendleft(reversed(batch.conclusions))
            self.marks.extendleft(reversed(batch.marks))
            if asked:
                self.arrived.extendleft(reversed(batch.arrived))
                self.acts.extendleft(reversed(batch.acts))

    def give_up(self) -> tuple[list[Pending], list[Act]]:
        """All that somebody waits for, taken out of its lines."""
        asked = list(self.arrived), list(self.acts)
        self.arrived.clear()
        self.acts.clear()
        return asked
