"""What waits for a worker, and the order it may go in. Pure: no process, no clock.

Items with the same group go in the order they came. A group is out in one frame at a time,
so that two workers never hold it, and what a frame did decides what may follow. Groups take
turns: a long one does not make the others wait.
"""

from collections import deque
from collections.abc import Callable, Iterable

from msgspec import Struct

from portico.agents.item import Item
from portico.ids import SignalId
from portico.model.verdict import SessionResult


class Outcome(Struct, frozen=True, gc=False):
    """What became of one submitted item.

    result None: not run, because an earlier item of its group is to be tried again or holds
    its key, or because the pool stopped: submit it again when the group may go on. version:
    of the plan that ran it; pid: of the worker, 0 for none.
    """

    result: SessionResult | None
    version: str = ""
    pid: int = 0


Done = Callable[[Outcome], None]
NOT_RUN = Outcome(None)


class Group:
    """One order key: what waits, in order, and how many items are out with a worker.

    mark: the place of its first item in the frame that is out. held: an item of that frame
    failed in a way that keeps those behind it from running.
    """

    __slots__ = ("held", "key", "mark", "out", "tasks")

    def __init__(self, key: str) -> None:
        self.key = key
        self.tasks: deque[Task] = deque()
        self.out = 0
        self.mark = 0
        self.held = False


class Task(Struct, gc=False):
    """One submitted item. alone: it may have killed a worker, so it shares no frame.

    deaths: how many workers died while it was in their oldest frame.
    """

    item: Item
    group: Group
    done: Done
    alone: bool = False
    deaths: int = 0


class Backlog:
    """The groups of one agent. `len()` is what waits."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        self._ready: deque[Group] = deque()  # those that have waiting items and none out
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    @property
    def ready(self) -> bool:
        """Whether anything may go now."""
        return bool(self._ready)

    def add(self, item: Item, key: str, done: Done) -> None:
        """Put an item behind those of its group. An empty key is no group: no order."""
        group = self._groups.get(key)
        if group is None:
            group = Group(key)
            if key:
                self._groups[key] = group
        if not group.tasks and not group.out:
            self._ready.append(group)
        group.tasks.append(Task(item, group, done))
        self._waiting += 1

    def take(self, most: int, room: int) -> list[Task]:
        """The next frame: at most so many items and bytes of them, but at least one.

        One item of each ready group, then a second of each, and so on.
        """
        taken: list[Task] = []
        again: deque[Group] = deque()
        while len(taken) < most and room > 0 and (turn := self._ready or again):
            group = turn.popleft()
            task = group.tasks[0]
            if taken and (task.alone or taken[0].alone):
                (again if group.out else self._ready).appendleft(group)
                break
            del group.tasks[0]
            if not group.out:
                group.mark, group.held = len(taken), False
            group.out += 1
            room -= len(task.item.content) + task.item.replied
            taken.append(task)
            if group.tasks:
                again.append(group)
        self._waiting -= len(taken)
        return taken

    def finish(self, task: Task) -> None:
        """That item is answered."""
        group = task.group
        group.out -= 1
        if not group.out:
            if group.tasks:
                self._ready.append(group)
            elif group.key:
                del self._groups[group.key]

    def put_back(self, tasks: Iterable[Task]) -> None:
        """Items that were out and have no answer: in front again, in their order."""
        for task in reversed(list(tasks)):
            task.group.tasks.appendleft(task)
            task.group.out -= 1
            self._waiting += 1
            if not task.group.out:
                self._ready.appendleft(task.group)

    def hold(self, group: Group) -> list[Task]:
        """Mark the group held, and take away what waits behind its failed item, in order."""
        group.held = True
        tasks = list(group.tasks)
        group.tasks.clear()
        self._waiting -= len(tasks)
        return tasks

    def withdraw(self, signal: SignalId) -> Task | None:
        """Take this item away, if it waits."""
        for group in self._all():
            for task in group.tasks:
                if task.item.signal == signal:
                    group.tasks.remove(task)
                    self._waiting -= 1
                    if not group.tasks and not group.out:
                        self._ready.remove(group)
                        self._groups.pop(group.key, None)
                    return task
        return None

    def place(self, signal: SignalId) -> int:
        """How many go before this item, and it: 1 is the next; 0 when it does not wait."""
        groups = self._all()
        for at, group in enumerate(groups):
            for depth, task in enumerate(group.tasks):
                if task.item.signal == signal:
                    before = sum(min(len(one.tasks), depth + 1) for one in groups[:at])
                    after = sum(min(len(one.tasks), depth) for one in groups[at + 1 :])
                    return before + depth + after + 1
        return 0

    def _all(self) -> list[Group]:
        """Every group, those first that are ready, in their turn."""
        groups = {id(group): group for group in (*self._ready, *self._groups.values())}
        return list(groups.values())

    def clear(self) -> list[Task]:
        """Take away all that waits, each group in its order."""
        groups = self._all()
        tasks = [task for group in groups for task in group.tasks]
        for group in groups:
            group.tasks.clear()
        self._ready.clear()
        self._groups = {key: group for key, group in self._groups.items() if group.out}
        self._waiting = 0
        return tasks
