"""What waits for a flush, and the next batch of it."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from portico.journal.batch import Batch
from portico.journal.contract import Act, Conclusion, Mark, Pending

T = TypeVar("T")

MOST_ITEMS = 256
MOST_BYTES = 8 << 20  # of each line


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
        """As much as one flush of that number may hold. Each line has its own share of it, so
        that none waits for another to be empty."""
        alone, most = bool(self.alone), 1 if self.alone else MOST_ITEMS
        batch = Batch(number)
        most -= alone * _move(self.arrived, batch.arrived, most, _of_pending)
        most -= alone * _move(self.conclusions, batch.conclusions, most, _of_conclusion)
        most -= alone * _move(self.marks, batch.marks, most, _of_mark)
        _move(self.acts, batch.acts, most, _of_act)
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


def _move(line: deque[T], taken: list[T], most: int, weigh: Callable[[T], int]) -> int:
    """Take the next ones, up to the one with which they are heavy; how many."""
    weight = 0
    while line and len(taken) < most and weight < MOST_BYTES:
        weight += weigh(line[0])
        taken.append(line.popleft())
    return len(taken)


def _of_pending(one: Pending) -> int:
    return len(one.signal.content)


def _of_conclusion(one: Conclusion) -> int:
    weight = sum([len(owed.content or b"") for owed in one.owed])
    return weight + sum(map(_of_pending, one.emitted)) + len(one.value or b"")


def _of_mark(one: Mark) -> int:
    return len(one.attempt.answer)


def _of_act(one: Act) -> int:
    return sum(map(_of_pending, one.arrived))
