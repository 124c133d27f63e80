"""What waits for one agent, who gets it, and who pays for a death.

The worker runs its frames in order and answers a frame before it begins the next, so only
the oldest frame can hold the culprit of a death: one item without an answer is charged; of
several, each is run again by itself, so that the next death finds it. What lay in later
frames had not begun.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from portico import units
from portico.agents.item import Item
from portico.clock import Clock
from portico.errors import StepCrashed, StepTimeout
from portico.events.emit import Emit
from portico.ids import SignalId
from portico.model.verdict import Failure, Kind, SessionResult
from portico.workers import protocol
from portico.workers.backlog import NOT_RUN, Backlog, Done, Outcome, Task
from portico.workers.nursery import Nursery
from portico.workers.protocol import Log, Progress
from portico.workers.saying import Saying, Sayings
from portico.workers.staff import Staff
from portico.workers.worker import ORDERLY, End, Worker

_FRAME_ITEMS = 64
_FRAME_BYTES = 1 << 20
_FRAME_SECONDS = 0.025  # a longer frame would keep its items from a worker that is idle
_FRAMES = 2  # outstanding, while items are fast
_STARVED_SECONDS = 0.05
_CRASHES_FORGIVEN = 2  # attempts after which a crash is the item's own fault
_NURSERY_DEATHS = 3


@dataclass(frozen=True, slots=True)
class ItemLook:
    """Where an item is. place: in the queue, 1 goes next; 0: a worker has it, of this pid, and
    has worked for so many seconds since its last result. saying: of the item."""

    place: int
    pid: int = 0
    seconds: float = 0.0
    saying: Saying = field(default_factory=Saying)


class Crew:
    """One agent's backlog and workers; it hears what they say (`worker.Owner`)."""

    def __init__(
        self,
        agent: str,
        nursery: Nursery,
        clock: Clock,
        emit: Emit,
        may_grow: Callable[[], bool],
    ) -> None:
        self.staff = Staff(
            agent, nursery, clock, emit, owner=self, gone=self._gone, may_grow=may_grow
        )
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._backlog = Backlog()
        self._sayings = Sayings()
        self._pace = _FRAME_SECONDS  # seconds an item takes; the first ones go one by one
        self._feeding = False
        self._starved = 0.0  # since when something could go and no worker could take it

    def submit(self, item: Item, group: str, done: Done) -> None:
        """Run it in its turn; what is submitted in one turn of the loop goes together."""
        self._backlog.add(item, group, done)
        if not self._feeding:
            self._feeding = True
            self._loop.call_soon(self._feed)

    def cancel(self, signal: SignalId, failure: Failure) -> bool:
        """End an item that waits or runs: `done` hears this failure, unless its own result
        comes first. False when there is none."""
        task = self._backlog.withdraw(signal)
        if task is None:
            return self.staff.cancel(signal, failure)
        task.done(Outcome(SessionResult(Kind.FAULT, failure=failure), self.staff.version))
        return True

    def look(self, signal: SignalId) -> ItemLook | None:
        """Where an item is; None when it is not here."""
        worker = self.staff.holder(signal)
        if worker is not None:
            seconds = self._clock.monotonic() - worker.life.since
            return ItemLook(0, worker.life.pid, seconds, self._sayings.of(signal))
        place = self._backlog.place(signal)
        return ItemLook(place) if place else None

    def leave(self, why: End) -> asyncio.Future[None]:
        """Give back what waits, let what is out end; done when the last worker is gone."""
        self.give_back()
        self.staff.leave(why)
        return self.staff.left

    def give_back(self) -> None:
        """Give back what no worker has been given."""
        for task in self._backlog.clear():
            task.done(NOT_RUN)

    def tick(self) -> None:
        """What time brings."""
        self.staff.watch()
        if self.starved:
            self.staff.grow()

    @property
    def starved(self) -> bool:
        """Something could have gone for a moment, and no worker could take it."""
        since = self._starved
        return bool(since) and self._clock.monotonic() - since > _STARVED_SECONDS

    def status(self) -> dict[str, Any]:
        """Numbers for people and metrics."""
        return {**self.staff.status(), "backlog": len(self._backlog), "cpu": self.staff.cpu}

    def loaded(self, worker: Worker, version: str) -> None:
        """One more can run the agent."""
        self.staff.loaded(worker, version)
        self._feed()

    def told(self, worker: Worker, task: Task, said: Progress | Log) -> None:
        """For who looks."""
        self._sayings.hear(task.item.signal, said)

    def answered(self, worker: Worker, task: Task, result: SessionResult | None) -> None:
        """Tell the one who submitted it, and those whose items must now wait."""
        self._sayings.forget(task.item.signal)
        if result is None:
            self._backlog.finish(task)
            task.done(NOT_RUN)
            return
        self._tell(worker, task, result, holds=protocol.holds(result))

    def _tell(self, worker: Worker, task: Task, result: SessionResult, *, holds: bool) -> None:
        behind = self._backlog.hold(task.group) if holds else ()
        self._backlog.finish(task)
        task.done(Outcome(result, worker.life.version, worker.life.pid))
        for waiting in behind:
            waiting.done(NOT_RUN)

    def fed(self, worker: Worker, answers: int, seconds: float) -> None:
        """Learn the pace; send what waits."""
        self._pace = (self._pace + seconds / answers) / 2
        if not worker.sent:
            self.staff.dismiss(worker)
        self._feed()

    def ending(self, worker: Worker, why: End, how: str) -> None:
        """A worker's end is the staff's matter."""
        self.staff.end(worker, why, how)

    def _feed(self) -> None:
        """Send frames while something may go and a worker can take it."""
        self._feeding = False
        while self._backlog.ready:
            depth = _FRAMES if self._pace < _FRAME_SECONDS else 1
            active = self.staff.active()
            free = [w for w in active if w.life.version and len(w.sent) < depth]
            if not free:
                self._starved = self._starved or self._clock.monotonic()
                if not active:
                    self.staff.grow()
                return
            worker = min(free, key=_outstanding)
            worker.give(self._backlog.take(self._share(worker, free), _FRAME_BYTES))
            if worker.life.left <= 0:
                self.staff.keep_fewest()
        self._starved = 0.0

    def _share(self, worker: Worker, free: list[Worker]) -> int:
        """How many items its next frame may hold: an even part of what waits, and not long."""
        idle = sum(1 for other in free if not other.sent)
        even = -(-len(self._backlog) // max(1, idle))
        quick = int(_FRAME_SECONDS / max(self._pace, 1e-6))
        return min(worker.life.left, _FRAME_ITEMS, max(1, quick), even)

    def _gone(self, worker: Worker, why: End, how: str) -> None:
        """A worker ended: decide about what it has not answered."""
        for task in [task for sent in worker.sent for task in sent.tasks]:
            self._sayings.forget(task.item.signal)
        if worker.sent:
            if worker.life.cancels and self.staff.leaving is None:
                self._spare(worker)
            elif self.staff.leaving is not None or why in ORDERLY:
                for sent in worker.sent:
                    for task in sent.tasks[sent.answered :]:
                        self.answered(worker, task, None)
            else:
                self._share_out(worker, why, how)
        self._feed()

    def _spare(self, worker: Worker) -> None:
        """End what was cancelled, put the others back: its death is nobody's fault."""
        ended, others = [], []
        for task in [task for sent in worker.sent for task in sent.tasks[sent.answered :]]:
            if id(task) in worker.life.cancels:
                ended.append(task)
            elif task.group.held:
                self.answered(worker, task, None)
            else:
                others.append(task)
        self._backlog.put_back(others)
        for task in ended:
            failure = worker.life.cancels[id(task)]
            fault = SessionResult(Kind.FAULT, failure=failure)
            self._tell(worker, task, fault, holds=False)

    def _share_out(self, worker: Worker, why: End, how: str) -> None:
        """Charge the item that was being run, if it is known; put the others back."""
        oldest, *later = worker.sent
        unanswered = oldest.tasks[oldest.answered :]
        suspects = [task for task in unanswered if not task.group.held]
        for task in unanswered:
            if task.group.held:
                self.answered(worker, task, None)
        for task in suspects:
            task.deaths += 1
            task.alone = True
        behind = [task for sent in later for task in sent.tasks]
        known = len(suspects) == 1
        if known and (why is not End.NURSERY or suspects[0].deaths >= _NURSERY_DEATHS):
            self._backlog.put_back(behind)
            fault = _fault(worker, why, how, suspects[0])
            self._tell(worker, suspects[0], fault, holds=True)
        else:
            self._backlog.put_back([*suspects, *behind])


def _outstanding(worker: Worker) -> int:
    return len(worker.sent)


def _fault(worker: Worker, why: End, how: str, task: Task) -> SessionResult:
    """What stands for the result of an item whose worker died."""
    if why is End.TIMEOUT:
        limit = units.duration_text(worker.limit)
        failure = Failure(StepTimeout.code, f"no result within {limit}: its worker was killed")
    else:
        text = f"its worker ended while it ran ({why}: {how})"
        again = task.item.attempt <= _CRASHES_FORGIVEN
        failure = Failure(StepCrashed.code, text, transient=again)
    return SessionResult(Kind.FAULT, failure=failure)
