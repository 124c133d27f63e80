"""What engine and worker say: everything survives the way, and what does not fit is refused."""

import pytest

from portico.agents.item import Item
from portico.errors import WorkerError
from portico.model.verdict import (
    Emission,
    Failure,
    Kind,
    LogLine,
    Output,
    Refusal,
    SessionResult,
    StepRun,
)
from portico.wire.pipe import PipeDecoder
from portico.workers import protocol
from portico.workers.protocol import Done, Results, Run

FULL = SessionResult(
    Kind.DELIVER,
    step="route_1",
    outputs=(
        Output("lab", b"one", "key", "C1", "a.hl7"),
        Output("pacs", None),
        Output("his", b""),
    ),
    emissions=(Emission("ward", b"\x00\xff", "w1"), Emission("all", None)),
    runs=(StepRun("a", "map", "ok", 12), StepRun("b", "send", "skipped", 0)),
    refusal=Refusal("AR", "103", "no", "ORC-1"),
    failure=Failure("step.permanent", "text", "b", "x.yaml:3", "PID-3", True),
    hold=True,
    logs=(LogLine("a", "info", "said"),),
    micros=34,
)


def through(frame: bytes) -> tuple[bytes, bytes]:
    """One frame, as the other side reads it."""
    ((header, body),) = PipeDecoder(1 << 20, 1 << 20).feed(frame)
    return header, body


def said(*results: SessionResult | None) -> tuple[Results, bytes]:
    """These results as the engine hears them."""
    parts = [protocol.encode_done(n, result) for n, result in enumerate(results)]
    contents = [content for _, some in parts for content in some]
    header, body = through(protocol.encode_results(7, [done for done, _ in parts], contents))
    message = protocol.read_worker(header)
    assert isinstance(message, Results)
    return message, body


def test_items_survive_the_way():
    """Every part of an item, bytes and nested envelope included."""
    items = [
        Item(
            signal=bytes(range(16)),
            content=b"\x0b\x00\xff",
            envelope={"peer": "10.1.1.1", "flags": ["replay"], "header": {"x": "y"}},
            order_key="Ö^1",
            attempt=3,
        ),
        Item(signal=bytes(16), content=b"", envelope={}, order_key="", attempt=1),
    ]
    header, body = through(protocol.encode_run(5, items, [0, 1]))
    run = protocol.read_engine(header)

    assert isinstance(run, Run)
    assert run.frame == 5
    assert [head.group for head in run.items] == [0, 1]
    assert protocol.read_items(run, body) == items


def test_results_survive_the_way():
    """Every part of a result; None stands for an item that was not run."""
    message, body = said(FULL, None, SessionResult(Kind.DROP, step="f"))

    assert message.frame == 7
    assert [done.index for done in message.done] == [0, 1, 2]
    assert protocol.read_results(message.done, body) == [
        FULL,
        None,
        SessionResult(Kind.DROP, step="f"),
    ]


def test_bytes_that_outputs_share_travel_once():
    """A message to three destinations is one body."""
    content = b"MSH|" * 100
    outputs = tuple(Output(name, content) for name in ("lab", "pacs", "his"))
    result = SessionResult(Kind.DELIVER, outputs=outputs)
    message, body = said(result)

    assert body == content
    assert protocol.read_results(message.done, body) == [result]


@pytest.mark.parametrize(
    "done",
    [
        Done(0, Kind.DELIVER, pieces=(5,)),
        Done(0, Kind.DELIVER, pieces=(3,)),
        Done(0, Kind.DELIVER, pieces=(-4, 8)),
        Done(0, Kind.DELIVER, pieces=(4,), outputs=(("lab", 1, None, "", ""),)),
        Done(0, Kind.DELIVER, pieces=(4,), outputs=(("lab", -1, None, "", ""),)),
        Done(0, Kind.DELIVER, pieces=(4,), emissions=(("x", 9, None),)),
        Done(0, None, pieces=(5,)),
    ],
)
def test_lengths_and_places_that_do_not_fit_the_body_are_refused(done):
    """A worker cannot make the engine read beyond what it sent."""
    with pytest.raises(WorkerError):
        protocol.read_results([done], b"abcd")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"nonsense",
        b"{}",
        b'{"type":"run","frame":1,"items":[]}',
        b'{"type":"results","frame":1,"done":[[0,"perhaps"]]}',
        b'{"type":"results","frame":1,"done":[[0,"deliver",1]]}',
        b'{"type":"results","frame":"1","done":[]}',
        b'{"type":"loaded"}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_header_that_is_not_of_the_protocol_is_refused_without_its_words(header):
    """What the worker said is not repeated: it may hold a patient."""
    with pytest.raises(WorkerError) as caught:
        protocol.read_worker(header)

    assert "perhaps" not in str(caught.value)


@pytest.mark.parametrize(
    ("result", "holds"),
    [
        (SessionResult(Kind.DELIVER), False),
        (SessionResult(Kind.FAULT, failure=Failure("step.permanent", "")), False),
        (
            SessionResult(Kind.FAULT, failure=Failure("step.transient", "", transient=True)),
            True,
        ),
        (SessionResult(Kind.FAULT, failure=Failure("step.permanent", ""), hold=True), True),
    ],
)
def test_what_comes_behind_waits_for_a_retry_or_a_person(result, holds):
    """The one rule that engine and worker share about order."""
    assert protocol.holds(result) is holds
