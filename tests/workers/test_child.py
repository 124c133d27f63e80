"""The worker's own loop, over a real socket pair, with runners made for the purpose."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from portico.agents.item import Item
from portico.errors import ConfigError, WorkerError
from portico.model.verdict import Failure, Kind, Output, SessionResult
from portico.wire.pipe import Frame, PipeDecoder
from portico.workers import child, protocol
from portico.workers.protocol import Hello, Load, Loaded, LoadFailed, Ping, Pong, Results, Run

Act = Callable[[Item], SessionResult]
PLAN = protocol.encode(Load("agent", {}, "", 0))


class Engine:
    """The engine's end of the pipe, read message by message."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._decoder = PipeDecoder(1 << 24, 1 << 24)
        self._frames: list[Frame] = []

    def hear(self) -> tuple[protocol.FromWorker, bytes]:
        """The worker's next message, and its body."""
        while not self._frames:
            data = self.socket.recv(1 << 16)
            assert data, "the worker ended"
            self._frames += self._decoder.feed(data)
        header, body = self._frames.pop(0)
        return protocol.read_worker(header), body

    def run(self, *words: str, groups: tuple[int, ...] = ()) -> None:
        """Send a frame of items whose content is a word."""
        items = [
            Item(signal=bytes(16), content=w.encode(), envelope={}, order_key="", attempt=1)
            for w in words
        ]
        marks = groups or tuple(range(len(words)))
        self.socket.sendall(protocol.encode_run(1, items, marks))

    def results(self, count: int) -> list[SessionResult | None]:
        """The next results, checked to be in order."""
        found: list[SessionResult | None] = []
        while len(found) < count:
            message, body = self.hear()
            assert isinstance(message, Results)
            assert [done.index for done in message.done] == [
                *range(len(found), len(found) + len(message.done))
            ]
            found += protocol.read_results(message.done, body)
        return found


@contextmanager
def working(act: Act) -> Iterator[Engine]:
    """A worker in a thread that has loaded a runner which does this to each item."""

    class Actor:
        version = "v1"

        def run(self, item: Item) -> SessionResult:
            return act(item)

    ours, its = socket.socketpair()
    ours.settimeout(10)
    thread = threading.Thread(target=child.serve, args=(its, lambda _: Actor()))
    thread.start()
    with ours, its:
        engine = Engine(ours)
        try:
            assert isinstance(engine.hear()[0], Hello)
            ours.sendall(PLAN)
            assert engine.hear()[0] == Loaded("v1")
            yield engine
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            thread.join()


def echo(item: Item) -> SessionResult:
    """The item's bytes to one destination; the content says what else happens."""
    if item.content == b"again":
        return SessionResult(Kind.FAULT, failure=Failure("x", "", transient=True))
    if item.content == b"stop":
        return SessionResult(Kind.FAULT, failure=Failure("x", ""), hold=True)
    if item.content == b"exit":
        sys.exit("DOE^JANE")
    return SessionResult(Kind.DELIVER, outputs=(Output("lab", item.content),))


def words(results: list[SessionResult | None]) -> list[str]:
    """What was delivered; `-` for a fault, `?` for an item that was not run."""
    return [
        "?" if one is None else one.outputs[0].content.decode() if one.outputs else "-"
        for one in results
    ]


def test_items_are_run_in_order():
    """A frame gives one result for each item, in their order."""
    with working(echo) as engine:
        engine.run("a", "b", "c")

        assert words(engine.results(3)) == ["a", "b", "c"]


@pytest.mark.parametrize("failing", ["again", "stop"])
def test_what_comes_behind_in_the_same_group_is_not_run(failing):
    """Other groups of the frame are not touched, and the next frame starts afresh."""
    with working(echo) as engine:
        engine.run("a", failing, "b", "c", "d", groups=(0, 0, 2, 0, 2))

        assert words(engine.results(5)) == ["a", "-", "b", "?", "d"]

        engine.run("e", groups=(0,))

        assert words(engine.results(1)) == ["e"]


def test_slow_items_stream():
    """A result does not wait for the rest of its frame when that takes long."""
    go_on = threading.Event()

    def act(item: Item) -> SessionResult:
        if item.content == b"slow":
            threading.Event().wait(0.06)
        if item.content == b"last":
            go_on.wait(10)
        return echo(item)

    with working(act) as engine:
        engine.run("a", "slow", "last")

        assert words(engine.results(2)) == ["a", "slow"]

        go_on.set()
        message, _ = engine.hear()

        assert isinstance(message, Results)
        assert [done.index for done in message.done] == [2]


def test_a_step_that_exits_is_a_fault_of_that_item_alone():
    """sys.exit() in a transform ends neither the worker nor the frame, nor is its text told."""
    with working(echo) as engine:
        engine.run("a", "exit", "b")
        results = engine.results(3)

    assert words(results) == ["a", "-", "b"]
    assert results[1] is not None
    assert results[1].failure == Failure("step.permanent", "SystemExit")


def test_a_result_that_no_frame_can_hold_is_a_fault(monkeypatch):
    """The engine is spared, and the item's fault says how large it was."""
    monkeypatch.setattr(protocol, "ITEM_LIMIT", 1000)
    with working(echo) as engine:
        engine.run("a", "b" * 2000, "c")
        results = engine.results(3)

    assert words(results) == ["a", "-", "c"]
    assert results[1] is not None
    assert results[1].failure is not None
    assert results[1].failure.code == "step.permanent"


def test_ping_is_answered():
    """An idle worker hears."""
    with working(echo) as engine:
        engine.socket.sendall(protocol.encode(Ping()))

        assert engine.hear()[0] == Pong()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigError("no such step"), "no such step"),
        (ImportError("no module named x"), "ImportError: no module named x"),
        (SystemExit(3), "SystemExit: 3"),
        (RecursionError("deep"), "RecursionError: deep"),
    ],
)
def test_a_plan_that_does_not_load_says_why(error, text):
    """Whatever site code raises at its import; the worker lives to say it."""

    def load(_: Load) -> child.Runner:
        raise error

    ours, its = socket.socketpair()
    with ours, its:
        ours.sendall(PLAN)
        ours.shutdown(socket.SHUT_WR)
        child.serve(its, load)
        engine = Engine(ours)

        assert isinstance(engine.hear()[0], Hello)
        assert engine.hear()[0] == LoadFailed(text)


@pytest.mark.parametrize("nonsense", [b"\xff" * 8, protocol.encode(Pong()), b""])
def test_an_engine_that_speaks_nonsense_ends_the_worker(nonsense):
    """Nothing is guessed: bytes that are no frame, a message of the wrong side, no plan."""
    ours, its = socket.socketpair()
    with ours, its:
        ours.sendall(nonsense or protocol.encode_run(1, [], []))
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(WorkerError):
            child.serve(its, lambda message: None)


def test_the_run_message_may_be_empty():
    """A frame of no items has no answer."""
    with working(echo) as engine:
        engine.socket.sendall(protocol.encode_run(1, [], []) + protocol.encode(Ping()))

        assert engine.hear()[0] == Pong()
    assert isinstance(protocol.read_engine(b'{"type":"run","frame":1,"items":[]}'), Run)
