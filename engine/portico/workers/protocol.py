"""What engine and worker say to each other, and what the engine believes of it.

The engine says Load once, then Run, Cancel and Ping; the end of its stream is the order to go.
The worker says Hello, then Loaded or LoadFailed, then Results for the frames in the order they
came, and between them Progress and Log of the item that it runs. A message is a pipe frame
whose header is one of these, tagged by `type`; contents are raw bytes in the body. Strings and
bytes of a header are JSON (bytes in base64).

Order within a frame: items with the same `group` run in their order. After an item that
is to be tried again, or that holds its key for a person, later items of its group are not
run: their Done has no kind. The worker runs one item at a time and says Results at the end
of each frame and, between items, once 50 ms have passed since it last did.

Every field has a bound (docs/worker-protocol.md): what passes one is nonsense, and the end of
its worker. A worker makes a result that would pass one a fault.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from portico.agents.item import Item
from portico.errors import WorkerError
from portico.model.call import Call, Reply
from portico.model.verdict import (
    LARGEST,
    Emission,
    Failure,
    Kind,
    LogLine,
    Output,
    Refusal,
    SessionResult,
    StepRun,
    Text,
)
from portico.wire import pipe

VERSION = 3
HEADER_LIMIT = 16 << 20
BODY_LIMIT = 256 << 20
ITEM_LIMIT = 128 << 20  # the largest content that a worker is given
REPLIED_LIMIT = 10 << 20  # all outcomes of its replies, which the header holds in base64
MOST = 100_000  # outputs, or emissions, or other parts of one result
LEAST_LONG = 1 << 16  # bytes of a result's header below which no bound can be passed

Many = Meta(max_length=MOST)
Count = Annotated[int, Meta(ge=0, le=LARGEST)]


class Load(Struct, tag="load", frozen=True):
    """Make this agent's plan. root: the site's folder; memory: bytes it may allocate."""

    agent: str
    document: dict[str, Any]
    root: str
    memory: int


class ItemHead(Struct, frozen=True, gc=False, array_like=True):
    """An Item without its content. size: the content's length; group: any number that is the
    same for items that must run in order."""

    signal: bytes
    size: int
    envelope: dict[str, Any]
    order_key: str
    attempt: int
    group: int
    replies: tuple[Reply, ...] = ()
    asked: str = ""


class Run(Struct, tag="run", frozen=True, gc=False):
    """Run these items, in order. frame: counts from 1, per worker."""

    frame: int
    items: list[ItemHead]


class Cancel(Struct, tag="cancel", frozen=True):
    """End this item if it runs, do not begin it if it does not yet; one with a result stays."""

    frame: int
    index: int


class Ping(Struct, tag="ping", frozen=True):
    """Are you there?"""


class Hello(Struct, tag="hello", frozen=True):
    """The worker's first words."""

    protocol: Count
    pid: Count


class Loaded(Struct, tag="loaded", frozen=True):
    """The plan stands; version is its content hash."""

    version: Text


class LoadFailed(Struct, tag="load_failed", frozen=True):
    """The plan does not load; text is for people."""

    text: Text


class Pong(Struct, tag="pong", frozen=True):
    """The answer to Ping."""


class Progress(Struct, tag="progress", frozen=True):
    """How far a step of the item that runs has come; total: of how much, where it knows."""

    frame: Count
    index: Count
    step: Text
    done: float
    total: float | None = None


class Log(Struct, tag="log", frozen=True):
    """Lines that the item that runs has logged since the last; they come in its result, too."""

    frame: Count
    index: Count
    lines: Annotated[tuple[LogLine, ...], Many]


class Done(Struct, frozen=True, gc=False, array_like=True):
    """One item's SessionResult without its bytes. kind None: not run.

    pieces: lengths of this item's parts of the body. outputs: (destination, piece or None,
    order_key, control_id, file); emissions: (signal, piece or None, order_key); value: a piece
    or None.
    """

    index: Count
    kind: Kind | None
    step: Text = ""
    pieces: Annotated[tuple[int, ...], Many] = ()
    outputs: Annotated[tuple[tuple[Text, int | None, Text | None, Text, Text], ...], Many] = ()
    emissions: Annotated[tuple[tuple[Text, int | None, Text | None], ...], Many] = ()
    runs: Annotated[tuple[StepRun, ...], Many] = ()
    refusal: Refusal | None = None
    failure: Failure | None = None
    hold: bool = False
    logs: Annotated[tuple[LogLine, ...], Many] = ()
    micros: Count = 0
    value: int | None = None
    call: Call | None = None


class Results(Struct, tag="results", frozen=True, gc=False):
    """What became of the next items of this frame, in their order."""

    frame: int
    done: list[Done]


class _RawResults(Struct, tag="results", frozen=True, gc=False):
    frame: int
    done: list[Raw]


FromEngine = Load | Run | Cancel | Ping
FromWorker = Hello | Loaded | LoadFailed | Results | Progress | Log | Pong
Plain = Load | Cancel | Ping | Hello | Loaded | LoadFailed | Progress | Log | Pong

_encode = msgspec.json.Encoder().encode
_engine_says: msgspec.json.Decoder[FromEngine] = msgspec.json.Decoder(FromEngine)
_done: msgspec.json.Decoder[Done] = msgspec.json.Decoder(Done)
_worker_says: msgspec.json.Decoder[FromWorker] = msgspec.json.Decoder(FromWorker)


def encode(message: Plain) -> bytes:
    """A message without contents as one frame."""
    return pipe.encode(_encode(message))


def encode_run(frame: int, items: Sequence[Item], groups: Sequence[int]) -> bytes:
    """A Run as one frame; groups has one number for each item."""
    heads = [
        ItemHead(
            *(i.signal, len(i.content), i.envelope, i.order_key, i.attempt, group),
            *(i.replies, i.asked),
        )
        for i, group in zip(items, groups, strict=True)
    ]
    return pipe.encode(_encode(Run(frame, heads)), *[i.content for i in items])


def read_items(run: Run, body: bytes) -> list[Item]:
    """The items of a Run, whole again. Raises WorkerError when the lengths do not fit."""
    cuts = _cut(body, [head.size for head in run.items])
    return [
        Item(
            signal=head.signal,
            content=content,
            envelope=head.envelope,
            order_key=head.order_key,
            attempt=head.attempt,
            replies=head.replies,
            asked=head.asked,
        )
        for head, content in zip(run.items, cuts, strict=True)
    ]


def encode_done(index: int, result: SessionResult | None) -> tuple[bytes, list[bytes]]:
    """One item's part of the header, and its parts of the body. result None: not run.

    Bytes that several outputs share travel once.
    """
    if result is None:
        return _encode(Done(index, None)), []
    contents: list[bytes] = []
    places: dict[int, int] = {}

    def place(content: bytes | None) -> int | None:
        if content is None:
            return None
        if id(content) not in places:
            places[id(content)] = len(contents)
            contents.append(content)
        return places[id(content)]

    outputs = tuple(
        (o.destination, place(o.content), o.order_key, o.control_id, o.file)
        for o in result.outputs
    )
    emissions = tuple((e.signal, place(e.content), e.order_key) for e in result.emissions)
    value = None if result.value is None else place(result.value)
    done = Done(
        index,
        result.kind,
        result.step,
        tuple(map(len, contents)),
        outputs,
        emissions,
        result.runs,
        result.refusal,
        result.failure,
        result.hold,
        result.logs,
        result.micros,
        value,
        result.call,
    )
    return _encode(done), contents


def encode_results(frame: int, done: Sequence[bytes], contents: Sequence[bytes]) -> bytes:
    """Results as one frame, from what `encode_done` gave."""
    return pipe.encode(_encode(_RawResults(frame, [Raw(part) for part in done])), *contents)


def bounded(done: bytes) -> bool:
    """Whether the engine will read what `encode_done` gave: no field beyond its bound."""
    if len(done) < LEAST_LONG:
        return True
    try:
        _done.decode(done)
    except msgspec.MsgspecError:
        return False
    return True


def read_results(done: Sequence[Done], body: bytes) -> list[SessionResult | None]:
    """The results of a message, whole again. Raises WorkerError when the bytes do not fit."""
    cuts = iter(_cut(body, [size for one in done for size in one.pieces]))
    return [_result(one, [next(cuts) for _ in one.pieces]) for one in done]


def holds(result: SessionResult) -> bool:
    """Whether later items of the same group must wait: it runs again, or a person looks."""
    failure = result.failure
    return (
        result.hold or result.kind is Kind.CALL or (failure is not None and failure.transient)
    )


def read_engine(header: bytes) -> FromEngine:
    """What the engine said. Raises WorkerError."""
    try:
        return _engine_says.decode(header)
    except (msgspec.MsgspecError, ValueError) as error:
        raise WorkerError(f"the engine spoke nonsense: {error}") from error


def read_worker(header: bytes) -> FromWorker:
    """What the worker said. Raises WorkerError, which never holds the worker's own words."""
    try:
        return _worker_says.decode(header)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise WorkerError("a header that is not of the protocol") from error


def _cut(body: bytes, sizes: Sequence[int]) -> list[bytes]:
    if any(size < 0 for size in sizes) or sum(sizes) != len(body):
        raise WorkerError("the lengths of a header do not fit the body")
    cuts, at = [], 0
    for size in sizes:
        cuts.append(body[at : at + size])
        at += size
    return cuts


def _result(done: Done, contents: list[bytes]) -> SessionResult | None:
    if done.kind is None:
        return None
    return SessionResult(
        done.kind,
        done.step,
        tuple(
            Output(to, _piece(contents, n), key, control_id, file)
            for to, n, key, control_id, file in done.outputs
        ),
        tuple(Emission(name, _piece(contents, n), key) for name, n, key in done.emissions),
        done.runs,
        done.refusal,
        done.failure,
        done.hold,
        done.logs,
        done.micros,
        _piece(contents, done.value),
        done.call,
    )


def _piece(contents: list[bytes], place: int | None) -> bytes | None:
    if place is None:
        return None
    if not 0 <= place < len(contents):
        raise WorkerError("a result names bytes that it does not have")
    return contents[place]
