"""The engine's view of one worker process: what it was given, and what it may say now."""

import asyncio
import math
import signal
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from portico.clock import Clock
from portico.errors import WorkerError
from portico.ids import SignalId
from portico.model.verdict import Failure, Kind, SessionResult
from portico.wire.pipe import Frame, PipeDecoder
from portico.workers import protocol
from portico.workers.backlog import Task
from portico.workers.faults import StepCancelled
from portico.workers.protocol import (
    Cancel,
    Hello,
    Load,
    Loaded,
    LoadFailed,
    Log,
    Ping,
    Progress,
    Results,
)


class End(StrEnum):
    """Why a worker ended; the codes of WorkerEnded and WorkerDied."""

    REPLACED = "replaced"  # by one with a newer version of its agent
    RECYCLED = "recycled"
    YIELDED = "yielded"  # its place, to an agent that has fewer than its share
    IDLE = "idle"
    RETIRED = "retired"
    STOPPED = "stopped"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    LOAD_FAILED = "load_failed"
    NONSENSE = "nonsense"
    SILENT = "silent"
    NURSERY = "nursery"
    CANCELLED = "cancelled"  # with the item that it ran


ORDERLY = frozenset(
    {
        End.REPLACED,
        End.RECYCLED,
        End.YIELDED,
        End.IDLE,
        End.RETIRED,
        End.STOPPED,
        End.CANCELLED,
    }
)
_WORDS, _RATE = 100.0, 100.0  # of progress and logs, at once and a second: five times a voice's


class Owner(Protocol):
    """Who is told what a worker does."""

    def loaded(self, worker: "Worker", version: str) -> None:
        """It can run its agent."""
        ...

    def answered(self, worker: "Worker", task: Task, result: SessionResult | None) -> None:
        """The next item of its oldest frame has a result, or None when it was not run."""
        ...

    def told(self, worker: "Worker", task: Task, said: Progress | Log) -> None:
        """An item that runs says how far it is."""
        ...

    def fed(self, worker: "Worker", answers: int, seconds: float) -> None:
        """So many answers were told, and took so long: it may be able to take more."""
        ...

    def ending(self, worker: "Worker", why: End, how: str) -> None:
        """Something ended it, or must; called again once nothing more will be heard of it."""
        ...


@dataclass(slots=True)
class Sent:
    """A frame that is out. answered: how many of its items have an answer."""

    number: int
    tasks: list[Task]
    answered: int = 0


@dataclass(slots=True)
class Life:
    """What is known of the process. runs, left: items it was given, and may be given yet; full:
    why it ends once that is none.

    since: when its oldest unanswered item began, at the latest; heard: when it last spoke
    (both monotonic). why: set once it is not to be used. code: its exit code once known, or
    minus the signal; cpu: seconds that it used, then; gone: the pipe has ended. words: progress
    and logs that it may still say. cancels: items that it is to end, each with what stands for
    its result; patience: until when it may take its time (monotonic).
    """

    left: int
    born: float
    heard: float
    since: float = 0.0
    pid: int = 0
    runs: int = 0
    version: str = ""
    pinged: bool = False
    full: End = End.RECYCLED
    why: End | None = None
    how: str = ""
    code: int | None = None
    cpu: float = 0.0
    gone: bool = False
    words: float = _WORDS
    cancels: dict[int, Failure] = field(default_factory=dict)
    patience: float = math.inf


class Worker(asyncio.Protocol):
    """One worker. It checks every word: a result for an item that is not next is nonsense.

    edition: of the agent's activations, the one it serves; limit: seconds for one item;
    runs: how many items it may be given in all.
    """

    def __init__(
        self, plan: Load, edition: int, limit: float, runs: int, owner: Owner, clock: Clock
    ) -> None:
        now = clock.monotonic()
        self.token = 0
        self.edition = edition
        self.limit = limit
        self.life = Life(runs, now, now)
        self.sent: deque[Sent] = deque()
        self._plan = plan
        self._owner = owner
        self._clock = clock
        self._decoder = PipeDecoder(protocol.HEADER_LIMIT, protocol.BODY_LIMIT)
        self._numbers = 0
        self._pipe: asyncio.Transport | None = None

    def give(self, tasks: list[Task]) -> None:
        """Send one frame, in one write."""
        assert self._pipe is not None
        life = self.life
        self._numbers += 1
        if not self.sent:
            life.since = self._clock.monotonic()
        life.runs += len(tasks)
        life.left -= len(tasks)
        self.sent.append(Sent(self._numbers, tasks))
        items = [task.item for task in tasks]
        groups = [task.group.mark for task in tasks]
        self._pipe.write(protocol.encode_run(self._numbers, items, groups))

    def cancel(self, signal: SignalId, failure: Failure, grace: float) -> bool:
        """Ask it to end that item, if it has it: within so many seconds. It gets no others."""
        found = self._find(signal)
        if found is None or self._pipe is None:
            return False
        sent, index = found
        life = self.life
        life.left = 0
        life.cancels[id(sent.tasks[index])] = failure
        life.patience = min(life.patience, self._clock.monotonic() + grace)
        self._pipe.write(protocol.encode(Cancel(sent.number, index)))
        return True

    def has(self, signal: SignalId) -> bool:
        """Whether it was given that item and has not answered."""
        return self._find(signal) is not None

    def _find(self, signal: SignalId) -> tuple[Sent, int] | None:
        for sent in self.sent:
            for index, task in enumerate(sent.tasks):
                if index >= sent.answered and task.item.signal == signal:
                    return sent, index
        return None

    def ping(self) -> None:
        """Ask whether it hears."""
        assert self._pipe is not None
        self.life.pinged, self.life.heard = True, self._clock.monotonic()
        self._pipe.write(protocol.encode(Ping()))

    def hang_up(self) -> None:
        """Close the pipe: a healthy worker ends by itself, and nothing more is heard."""
        if self._pipe is not None:
            self._pipe.abort()

    def spawned(self, pid: int) -> None:
        """The fork succeeded."""
        self.life.pid = pid

    def exited(self, code: int, cpu: float) -> None:
        """The process is gone; its last words may still be in the pipe."""
        self.life.code, self.life.cpu = code, cpu
        self.life.heard = self._clock.monotonic()
        if self.life.gone:
            self._owner.ending(self, End.CRASHED, "")

    def orphaned(self) -> None:
        """The zygote ended, and this process with it."""
        self.life.code = -signal.SIGKILL
        self._owner.ending(self, End.NURSERY, "")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The first word is the plan."""
        assert isinstance(transport, asyncio.Transport)
        self._pipe = transport
        if self.life.why is not None:
            transport.abort()
        else:
            transport.write(protocol.encode(self._plan))

    def data_received(self, data: bytes) -> None:
        """Hear everything whole; the fence of one worker's words."""
        if self.life.why is not None:
            return
        life = self.life
        before, now = life.since, self._clock.monotonic()
        life.words = min(_WORDS, life.words + (now - life.heard) * _RATE)
        life.heard, life.pinged = now, False
        try:
            answers = sum([self._hear(frame) for frame in self._decoder.feed(data)])
            if self._decoder.fault is not None:
                raise self._decoder.fault
        except WorkerError as error:
            self._owner.ending(self, End.NONSENSE, str(error))
            return
        if answers:
            self._owner.fed(self, answers, now - before)

    def connection_lost(self, exc: Exception | None) -> None:
        """The process is ending, or has."""
        self.life.gone = True
        self._owner.ending(self, End.CRASHED, "")

    def _hear(self, frame: Frame) -> int:
        """Take one message; how many answers it holds."""
        message = protocol.read_worker(frame.header)
        if isinstance(message, Results):
            self._take(message, frame.body)
            return len(message.done)
        if isinstance(message, Progress | Log):
            self._listen(message)
        elif isinstance(message, Hello):
            if message.protocol != protocol.VERSION:
                raise WorkerError(f"it speaks protocol {message.protocol}")
        elif isinstance(message, Loaded):
            if self.life.version or not message.version:
                raise WorkerError("it loaded twice, or nothing")
            self.life.version = message.version
            self._owner.loaded(self, message.version)
        elif isinstance(message, LoadFailed):
            self._owner.ending(self, End.LOAD_FAILED, message.text)
        return 0

    def _listen(self, said: Progress | Log) -> None:
        """Words of the item that runs, or of one before it whose result is on its way."""
        sent = self.sent[0] if self.sent else None
        if sent is None or sent.number != said.frame:
            raise WorkerError("words about a frame that it does not run")
        if not sent.answered <= said.index < len(sent.tasks):
            raise WorkerError("words about an item that it does not run")
        self.life.words -= 1
        if self.life.words < 0:
            raise WorkerError("a flood of progress and logs")
        self._owner.told(self, sent.tasks[said.index], said)

    def _take(self, message: Results, body: bytes) -> None:
        results = protocol.read_results(message.done, body)
        for done, result in zip(message.done, results, strict=True):
            sent = self.sent[0] if self.sent else None
            if sent is None or sent.number != message.frame or sent.answered != done.index:
                raise WorkerError("a result for an item that is not the next one")
            task = sent.tasks[done.index]
            if (result is None) != task.group.held:
                raise WorkerError(
                    "it ran an item that was to wait, or skipped one that was not"
                )
            sent.answered += 1
            if sent.answered == len(sent.tasks):
                self.sent.popleft()
            self.life.since = self.life.heard
            if self.life.cancels:
                result = self._ended(task, result)
            self._owner.answered(self, task, result)

    def _ended(self, task: Task, result: SessionResult | None) -> SessionResult | None:
        """A result that came all the same stands; one that says cancelled is told in full,
        and an item that was not run is not run later."""
        why = self.life.cancels.pop(id(task), None)
        if not self.life.cancels:
            self.life.patience = math.inf
        if why is None or (result is not None and not _cancelled(result)):
            return result
        return SessionResult(Kind.FAULT, failure=why)


def _cancelled(result: SessionResult) -> bool:
    return result.failure is not None and result.failure.code == StepCancelled.code
