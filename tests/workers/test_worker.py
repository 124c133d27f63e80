"""The engine's ear on one worker: what comes over the pipe is heard, or is the end."""

import asyncio
import random

import pytest

from portico.agents.item import Item
from portico.model.verdict import Kind, LogLine, SessionResult
from portico.wire.pipe import encode
from portico.workers import protocol
from portico.workers.backlog import Backlog, Task
from portico.workers.protocol import Hello, Load, Loaded, Log, Pong, Progress
from portico.workers.worker import End, Worker

WORDS = [
    protocol.encode(Hello(protocol.VERSION, 1)),
    protocol.encode(Loaded("v1")),
    protocol.encode(Pong()),
    protocol.encode(Progress(1, 0, "python_1", 3.0, 12.0)),
    protocol.encode(Log(1, 0, (LogLine("python_1", "info", "it goes on"),))),
    protocol.encode_results(1, [protocol.encode_done(0, SessionResult(Kind.DELIVER))[0]], []),
    protocol.encode_results(1, [protocol.encode_done(1, None)[0]], []),
    protocol.encode_results(2, [protocol.encode_done(0, SessionResult(Kind.DROP))[0]], []),
]


class StillClock:
    """A clock that stands."""

    def monotonic(self) -> float:
        return 5.0

    def time_ns(self) -> int:
        return 5_000_000_000


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.ended = False

    def write(self, data) -> None:
        self.written += data

    def abort(self) -> None:
        self.ended = True


class Listener:
    """An owner that keeps what it is told, and ends a worker as the staff does."""

    def __init__(self) -> None:
        self.versions: list[str] = []
        self.answers: list[int] = []
        self.end: tuple[End, str] | None = None

    def loaded(self, worker: Worker, version: str) -> None:
        self.versions.append(version)

    def answered(self, worker: Worker, task: Task, result: SessionResult | None) -> None:
        self.answers.append(task.item.attempt)
        if result is not None:
            task.group.held = protocol.holds(result)

    def told(self, worker: Worker, task: Task, said: Progress | Log) -> None:
        assert said.index == task.item.attempt - 1

    def fed(self, worker: Worker, answers: int, seconds: float) -> None:
        assert answers > 0

    def ending(self, worker: Worker, why: End, how: str) -> None:
        worker.life.why = why
        self.end = (why, how)


def working(*frames: int) -> tuple[Worker, Listener, Wire]:
    """A worker with that many items in each frame that is out; items count from 1."""
    listener, wire, backlog = Listener(), Wire(), Backlog()
    worker = Worker(Load("a", {}, "", 0), 1, 30.0, 100, listener, StillClock())
    worker.connection_made(wire)
    number = 0
    for size in frames:
        for _ in range(size):
            number += 1
            item = Item(
                signal=bytes(16), content=b"", envelope={}, order_key="", attempt=number
            )
            backlog.add(item, "", print)
        worker.give(backlog.take(size, 1))
    return worker, listener, wire


def done(frame: int, *indexes: int) -> bytes:
    """Results for these items of a frame."""
    one = SessionResult(Kind.DELIVER)
    return protocol.encode_results(
        frame, [protocol.encode_done(n, one)[0] for n in indexes], []
    )


def test_answers_are_heard_in_order_over_frames():
    """In one message or many, in one read or many."""
    worker, listener, _ = working(1, 1)
    worker.data_received(done(1, 0) + done(2, 0))

    assert listener.answers == [1, 2]
    assert not worker.sent
    assert listener.end is None


@pytest.mark.parametrize(
    "words", [done(2, 0), done(1, 1), done(1, 0) + done(1, 0), done(3, 0), done(1, 0, 0)]
)
def test_an_answer_that_is_not_for_the_next_item_is_the_end(words):
    """Another frame, another index, the same again; what was right before it still counts."""
    worker, listener, _ = working(1, 1)
    worker.data_received(words)

    assert listener.end == (End.NONSENSE, "a result for an item that is not the next one")
    assert listener.answers in ([], [1])


def test_nothing_is_heard_after_the_end():
    """The rest of the read, and every later one."""
    worker, listener, _ = working(1, 1)
    worker.data_received(encode(b"nonsense"))
    worker.data_received(done(1, 0))

    assert listener.answers == []


def test_a_plan_that_did_not_load_tells_its_reason():
    """The text is the worker's: it is shown to the one who edits the site."""
    worker, listener, _ = working()
    worker.data_received(protocol.encode(protocol.LoadFailed("ImportError: no x")))

    assert listener.end == (End.LOAD_FAILED, "ImportError: no x")


def test_the_plan_is_the_first_word_to_a_worker():
    """It can load while it still starts."""
    _, _, wire = working()

    assert wire.written == protocol.encode(Load("a", {}, "", 0))


@pytest.mark.parametrize("seed", range(40))
def test_random_words_are_heard_or_the_end_and_never_raise(seed):
    """100 reads of true words, cut, repeated, flipped and mixed with noise: no exception, no
    answer twice, and no answer for an item that was not given."""
    rng = random.Random(seed)
    for _ in range(100):
        worker, listener, _ = working(1, 1)
        stream = b"".join(rng.choices(WORDS, k=rng.randint(1, 4)))
        if rng.random() < 0.7:
            at = rng.randrange(len(stream))
            stream = stream[:at] + rng.randbytes(rng.randint(0, 3)) + stream[at + 1 :]
        while stream:
            cut = rng.randint(1, len(stream))
            worker.data_received(stream[:cut])
            stream = stream[cut:]

        assert listener.answers in ([], [1], [1, 2])
        assert len(listener.versions) <= 1


FUZZ = random.Random(20261121)


def garbage(chance: random.Random) -> bytes:
    """One frame that no worker of ours says: noise, or words with something bent in them."""
    kind = chance.randrange(6)
    if kind == 0:
        return chance.randbytes(chance.randrange(1, 200))
    if kind == 1:
        return encode(chance.randbytes(chance.randrange(1, 100)), chance.randbytes(9))
    word = bytearray(chance.choice(WORDS))
    if kind == 2:
        word[chance.randrange(len(word))] = chance.randrange(256)
    elif kind == 3:
        del word[chance.randrange(len(word)) :]
        word += chance.randbytes(chance.randrange(40))
    elif kind == 4:
        at = chance.randrange(8, len(word))
        word[at:at] = b"[" * chance.randrange(1, 3000)
        word[:4] = (len(word) - 8).to_bytes(4, "big")
    else:
        head = b'{"type":"results","frame":1,"done":[[%d,"deliver","",[%d]]]}'
        numbers = chance.randrange(-9, 9), chance.randrange(-(2**63), 2**63)
        word[:] = encode(head % numbers, chance.randbytes(chance.randrange(20)))
    return bytes(word)


def survive(count: int) -> None:
    """Every frame goes to a worker of its own, which ends or waits; nothing else happens."""
    for _ in range(count):
        worker, listener, _ = working(1, 1)
        worker.data_received(garbage(FUZZ))
        assert listener.end is None or listener.end[0] in (End.NONSENSE, End.LOAD_FAILED)
        assert len(listener.answers) <= 2


def test_garbage_ends_a_worker_and_nothing_else():
    """5,000 frames of noise and bent words: no error comes out, no item is answered twice."""
    survive(5_000)


@pytest.mark.drill
def test_garbage_for_long_ends_workers_and_nothing_else():
    """The same a hundred thousand times."""
    survive(100_000)
