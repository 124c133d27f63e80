"""The worker process: reads items, runs the plan over each, says what became of them.

One thread, one item at a time. It never decides about another item's fate but by the rule
of the protocol: what comes behind an unfinished item of the same group is not run. A signal
of its parent (NUDGE) makes it look for a Cancel while an item runs.
"""

import gc
import os
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Protocol

from portico.agents import plan as plans
from portico.agents import run as runs
from portico.agents import sources
from portico.agents.item import Item
from portico.agents.plan import Plan
from portico.clock import SystemClock
from portico.errors import ConfigError, Permanent, PorticoError, WorkerError
from portico.model.verdict import Failure, Kind, SessionResult
from portico.steps.ambient import ambient
from portico.wire.pipe import Frame, PipeDecoder
from portico.workers import cage, limits, protocol
from portico.workers.faults import StepCancelled
from portico.workers.protocol import (
    Cancel,
    Hello,
    Load,
    Loaded,
    LoadFailed,
    Ping,
    Pong,
    Run,
)
from portico.workers.voice import NUDGE, Voice

_READ = 256 << 10
_STREAM_SECONDS = 0.05
_FLUSH_BYTES = 8 << 20
_TEXT_LIMIT = 2_000
_TAG = 32  # bytes of a header that hold its tag


class Runner(Protocol):
    """One loaded agent. version: the hash of its plan."""

    version: str

    def run(self, item: Item) -> SessionResult:
        """Run the agent over one Signal; a step's fault is a result, not an error."""
        ...


class Cancelled(BaseException):
    """Raised in the middle of a cancelled item; no Exception, so site code lets it pass."""


class PlanRunner:
    """The runner of every real worker: a compiled plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.version = plan.version

    def run(self, item: Item) -> SessionResult:
        """The plan's result."""
        # The wall clock may step; limits must not.
        return runs.run(self._plan, item, SystemClock.monotonic_ns)


def load(message: Load, scratch: Path) -> Runner:
    """Compile the plan here: within the limits, in the cage, with a folder to write to."""
    os.chdir(message.root)
    sys.dont_write_bytecode = True  # a file changed within one second would keep its old code
    limits.bound_memory(message.memory)
    root = Path(message.root)
    files = sources.files(message.document, root)
    missing = cage.shut(root, files, scratch)
    if missing and message.document.get("trust") == "none":
        walls = " and ".join(missing)
        raise ConfigError(f"trust: none needs {walls}, which this machine does not have")
    return PlanRunner(plans.compile_plan(message.document, root, files))


def serve(connection: socket.socket, loader: Callable[[Load], Runner]) -> None:
    """Work until the engine ends the stream. Raises WorkerError when it speaks nonsense."""
    child = _Child(connection, loader)
    if threading.current_thread() is threading.main_thread():
        signal.signal(NUDGE, child.nudged)
    connection.sendall(protocol.encode(Hello(protocol.VERSION, os.getpid())))
    for frame in child.frames():
        child.hear(protocol.read_engine(frame.header), frame.body)


class _Child:
    """What the worker holds between two messages: its runner.

    While an item runs, `nudged` may read in the middle of it; else only `frames` does. What it
    finds is for later, but for a Cancel. now: the place of the item that runs.
    """

    def __init__(self, connection: socket.socket, loader: Callable[[Load], Runner]) -> None:
        self._connection = connection
        self._loader = loader
        self._runner: Runner | None = None
        self._clock = SystemClock()
        self._decoder = PipeDecoder(protocol.HEADER_LIMIT, protocol.BODY_LIMIT)
        self._later: deque[Frame] = deque()
        self._cancelled: set[tuple[int, int]] = set()
        self._now: tuple[int, int] | None = None
        self._nudged = False
        self._voice = ambient.voice = Voice(connection, self._clock)

    def frames(self) -> Iterator[Frame]:
        """What the engine says, until it ends the stream. Raises WorkerError."""
        while True:
            while self._later:
                yield self._later.popleft()
            if not (data := self._connection.recv(_READ)):
                return
            self._read(data)

    def hear(self, message: protocol.FromEngine, body: bytes) -> None:
        """Do what the engine asks."""
        if isinstance(message, Run):
            self._run(message, body)
        elif isinstance(message, Ping):
            self._connection.sendall(protocol.encode(Pong()))
        elif isinstance(message, Load):
            self._load(message)

    def nudged(self, number: int, frame: FrameType | None) -> None:
        """The engine has said something that may not wait. Raises Cancelled."""
        self._nudged = True
        if self._now is not None:
            self._look()
            if self._now in self._cancelled:
                raise Cancelled

    def _look(self) -> None:
        """Read what is there, for Cancels; the end of the stream is found again later."""
        self._nudged = False
        with suppress(BlockingIOError):
            while data := self._connection.recv(_READ, socket.MSG_DONTWAIT):
                self._read(data)
        for each in tuple(self._later):
            if b'"cancel"' in each.header[:_TAG]:
                message = protocol.read_engine(each.header)
                if isinstance(message, Cancel):
                    self._cancelled.add((message.frame, message.index))
                    self._later.remove(each)

    def _read(self, data: bytes) -> None:
        self._later.extend(self._decoder.feed(data))
        if self._decoder.fault is not None:
            raise self._decoder.fault

    def _load(self, message: Load) -> None:
        try:
            self._runner = self._loader(message)
            gc.collect()
            gc.freeze()
            gc.set_threshold(20_000, 20, 20)  # a message's values hardly ever form cycles
        except BaseException as error:  # noqa: BLE001  the fence of a load: site code raises anything
            ours = isinstance(error, PorticoError)  # its text says all
            text = str(error) if ours else f"{type(error).__name__}: {error}"
            self._connection.sendall(protocol.encode(LoadFailed(text[:_TEXT_LIMIT])))
            return
        self._connection.sendall(protocol.encode(Loaded(self._runner.version)))

    def _run(self, message: Run, body: bytes) -> None:
        if self._runner is None:
            raise WorkerError("Run came before Load")
        answers = _Answers(self._connection, message.frame)
        held: set[int] = set()
        said = self._clock.monotonic()
        items = protocol.read_items(message, body)
        for index, (head, item) in enumerate(zip(message.items, items, strict=True)):
            if head.group in held:
                answers.add(index, None)
                continue
            result = self._fenced(self._runner, item, message.frame, index)
            answers.add(index, result)
            if protocol.holds(result):
                held.add(head.group)
            now = self._clock.monotonic()
            if now - said >= _STREAM_SECONDS:
                answers.flush()
                said = now
        answers.flush()
        self._cancelled = {one for one in self._cancelled if one[0] > message.frame}

    def _fenced(self, runner: Runner, item: Item, frame: int, index: int) -> SessionResult:
        """The fence of one item."""
        place = frame, index
        self._voice.begin(frame, index)
        try:
            self._now = place
            if self._nudged:
                self._look()
            if place in self._cancelled:
                return _fault("cancelled", StepCancelled.code)
            return runner.run(item)
        except Cancelled:
            return _fault("cancelled", StepCancelled.code)
        except BaseException as error:  # noqa: BLE001  the fence of one worker reply: sys.exit() too
            return _fault(type(error).__name__)  # its text may quote a patient
        finally:
            self._now = None


class _Answers:
    """Results of one frame that have not been said yet."""

    def __init__(self, connection: socket.socket, frame: int) -> None:
        self._connection = connection
        self._frame = frame
        self._done: list[bytes] = []
        self._contents: list[bytes] = []
        self._size = 0

    def add(self, index: int, result: SessionResult | None) -> None:
        """Keep one result until the flush; one that no frame can hold becomes a fault."""
        done, contents = protocol.encode_done(index, result)
        if not protocol.bounded(done):
            done, contents = protocol.encode_done(index, _fault("a result beyond its bounds"))
        size = len(done) + sum(map(len, contents))
        if len(done) > protocol.HEADER_LIMIT // 2 or size > protocol.ITEM_LIMIT:
            done, contents = protocol.encode_done(index, _fault(f"a result of {size} bytes"))
            size = len(done)
        if self._size + size > _FLUSH_BYTES:
            self.flush()
        self._done.append(done)
        self._contents += contents
        self._size += size

    def flush(self) -> None:
        """Say what is kept."""
        if self._done:
            self._connection.sendall(
                protocol.encode_results(self._frame, self._done, self._contents)
            )
            self._done, self._contents, self._size = [], [], 0


def _fault(text: str, code: str = Permanent.code) -> SessionResult:
    return SessionResult(Kind.FAULT, failure=Failure(code, text))
