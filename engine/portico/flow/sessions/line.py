"""The line of one agent: what is out with the pool, what waits for a retry, and barriers.

A barrier is a Signal with several order keys (model.lane). It runs when nothing that came
before it under any of them is out or waits for a retry; what comes after it under any of them
waits behind it. All that waits stands in the journal's order, so that the oldest barrier is
never kept by another.
"""

from bisect import insort
from dataclasses import dataclass, field

from portico.flow.runs import Run
from portico.model import lane as names
from portico.model.call import MEANWHILE, Call, Reply
from portico.model.verdict import Failure


@dataclass(slots=True, eq=False)
class Try:
    """One agent's work on one Run. crew: who does it (model.crews). group: what runs in order,
    empty for no order. keys: the groups of a barrier, none of any other. since: monotonic
    seconds of its first failure. replies: to what its runs have asked; asked: the version
    that did. cancelled: a person ended it; it has this verdict as soon as its turn comes.
    """

    agent: str
    crew: str
    run: Run
    group: str
    keys: tuple[str, ...] = ()
    number: int = 1
    since: float | None = None
    replies: tuple[Reply, ...] = ()
    asked: str = ""
    cancelled: Failure | None = None

    def asking(self, call: Call, version: str) -> "Try":
        """It asks, and of its replies those before this call stay; for some calls what stands
        behind it does not wait for the reply."""
        self.replies, self.asked = self.replies[: call.number - 1], version
        if call.verb == MEANWHILE and not self.keys:
            self.group = ""
        return self

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group it belongs to."""
        return self.keys or ((self.group,) if self.group else ())


@dataclass(slots=True)
class Line:
    """One agent: the groups that wait for a retry or a person, each in the journal's order,
    how many of each group the pool has, and the groups that meet in a barrier.

    Items behind one that failed come back from the pool one by one, the last of them perhaps
    after the retry is due; a group goes on once all are back, so that none is overtaken.
    crossings: a barrier with what waits behind it, by group; busy: barriers that run, or rest
    until they are tried again. resting: what waits for a retry or a reply of its own. held:
    groups that wait for a person, also while the agent is not in the site.
    """

    kept: dict[str, list[Try]] = field(default_factory=dict)
    out: dict[str, int] = field(default_factory=dict)
    crossings: dict[str, list[Try]] = field(default_factory=dict)
    busy: set[Try] = field(default_factory=set)
    resting: set[Try] = field(default_factory=set)
    held: set[str] = field(default_factory=set)

    def all(self) -> set[Try]:
        """All that waits here."""
        lines = (*self.kept.values(), *self.crossings.values())
        return self.resting.union(*lines) - self.busy.difference(self.resting)

    def keep(self, attempt: Try) -> None:
        """It waits with its group for a retry or a person."""
        insort(self.kept.setdefault(attempt.group, []), attempt, key=_place)

    def hold(self, groups: tuple[str, ...]) -> None:
        """These groups wait for a person."""
        self.held.update(groups)
        for group in groups:
            self.kept.setdefault(group, [])

    def rest(self, barrier: Try) -> None:
        """It failed and keeps its place; `rested` lets it run again."""
        self.busy.add(barrier)

    def rested(self, barrier: Try) -> None:
        """It may run again."""
        self.busy.discard(barrier)

    def count_out(self, attempt: Try) -> None:
        """The pool has it."""
        if attempt.group:
            self.out[attempt.group] = self.out.get(attempt.group, 0) + 1

    def count_back(self, attempt: Try) -> None:
        """The pool gave it back."""
        self.busy.discard(attempt)
        if attempt.group:
            left = self.out[attempt.group] - 1
            if left:
                self.out[attempt.group] = left
            else:
                del self.out[attempt.group]

    def waits(self, attempt: Try) -> bool:
        """Take it if it is a barrier, stands behind one, or its group is kept."""
        if attempt.keys:
            for key in attempt.keys:
                line = self.crossings.setdefault(key, [])
                if attempt not in line:
                    insort(line, attempt, key=_place)
            return True
        if self.crossings and (line := self.crossings.get(attempt.group, [])):
            if line[0].run.seq < attempt.run.seq:
                insort(line, attempt, key=_place)
                return True
        if attempt.group in self.kept:
            self.keep(attempt)
            return True
        return False

    def due(self, groups: tuple[str, ...]) -> list[Try]:
        """The barriers of these groups that nothing keeps any more; they run from now on."""
        found = [self.crossings[one][0] for one in groups if one in self.crossings]
        due = [one for one in dict.fromkeys(found) if one not in self.busy]
        due = [one for one in due if all(self._free(key, one) for key in one.keys)]
        self.busy.update(due)
        return due

    def _free(self, group: str, barrier: Try) -> bool:
        first = self.crossings[group][0] is barrier
        return first and group not in self.out and group not in self.kept

    def passed(self, barrier: Try) -> list[Try]:
        """It has concluded: what stood behind it up to the next barrier of each group."""
        freed: list[Try] = []
        for key in barrier.keys:
            line = self.crossings.pop(key, [])
            if barrier in line:
                line.remove(barrier)
            end = next((at for at, one in enumerate(line) if one.keys), len(line))
            freed += line[:end]
            if line[end:]:
                self.crossings[key] = line[end:]
        return freed

    def clear(self) -> list[Try]:
        """Take away all that waits; what is held stays so."""
        kept = [one for group in self.kept.values() for one in group]
        waiting = [one for line in self.crossings.values() for one in line]
        self.kept, self.crossings = {group: [] for group in self.held}, {}
        left = [one for one in dict.fromkeys((*kept, *waiting)) if one not in self.busy]
        self.resting.difference_update(left)
        return left


def groups_of(origin: str, key: str) -> tuple[str, tuple[str, ...]]:
    """The group of a channel's Signals of one key, empty for no order; and a barrier's."""
    if not key:
        return "", ()
    several = names.keys(key) if names.several(key) else ()
    return f"{origin}\n{key}", tuple(f"{origin}\n{one}" for one in several)


def _place(attempt: Try) -> int:
    return attempt.run.seq
