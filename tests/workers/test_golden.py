"""docs/worker-protocol.md is what engine and worker say: schemas and frames, byte for byte."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from portico.agents.item import Item
from portico.errors import WorkerError
from portico.model.call import Call, Reply
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
from portico.workers.protocol import (
    Cancel,
    Hello,
    Load,
    Loaded,
    LoadFailed,
    Log,
    Ping,
    Pong,
    Progress,
)

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs/worker-protocol.md").read_text()
SIGNAL = bytes(range(16))
ITEMS = [
    Item(SIGNAL, b"MSH|^~\\&|A", {"channel": "in", "type": "ADT^A01"}, "7", 1),
    Item(SIGNAL, b"", {"channel": "in"}, "", 2, (Reply(b"d" * 16, b'{"result":15}'),), "v1"),
]
DELIVER = SessionResult(
    Kind.DELIVER,
    outputs=(Output("lab", b"MSH|1", "7", "C1", "a.hl7"), Output("pacs", None)),
    emissions=(Emission("ward", b"{}", "w1"),),
    runs=(StepRun("map_1", "map", "ok", 12),),
    logs=(LogLine("map_1", "info", "done"),),
    micros=34,
    value=b"MSH|1",
)
OTHERS = [
    SessionResult(Kind.DROP, "filter_1"),
    SessionResult(Kind.REFUSE, "validate_1", refusal=Refusal("AE", "101", "no", "PID-3")),
    SessionResult(
        Kind.FAULT, "python_1", failure=Failure("step.transient", "away", transient=True)
    ),
    SessionResult(Kind.CALL, "plugin_1", call=Call("plugin", "plugin_1", 1, b"{}")),
    None,
]


def results(frame, *given):
    parts = [protocol.encode_done(index, one) for index, one in enumerate(given)]
    contents = [content for _, those in parts for content in those]
    return protocol.encode_results(frame, [done for done, _ in parts], contents)


FRAMES = {
    "load": protocol.encode(Load("adt", {"agent": "adt", "steps": []}, "/srv/site", 1 << 28)),
    "run": protocol.encode_run(1, ITEMS, [0, 1]),
    "ping": protocol.encode(Ping()),
    "cancel": protocol.encode(Cancel(1, 0)),
    "hello": protocol.encode(Hello(protocol.VERSION, 4711)),
    "loaded": protocol.encode(Loaded("0123456789abcdef")),
    "load_failed": protocol.encode(LoadFailed("ValueError: no such table")),
    "pong": protocol.encode(Pong()),
    "progress": protocol.encode(Progress(1, 0, "python_1", 3.0, 12.0)),
    "log": protocol.encode(Log(1, 0, (LogLine("python_1", "info", "it goes on"),))),
    "results": results(1, DELIVER),
    "results_of_every_kind": results(2, *OTHERS),
}
ENGINE = ("load", "run", "ping", "cancel")
MANY = [["a", None, None, "", ""]]
GOLDEN = json.loads((HERE / "golden/frames.json").read_text())


@pytest.mark.parametrize("name", FRAMES)
def test_a_message_is_written_as_its_golden_frame(name):
    """A frame that changes is another version of the protocol."""
    assert FRAMES[name].hex() == GOLDEN[name]


@pytest.mark.parametrize("name", FRAMES)
def test_a_golden_frame_is_read_at_every_split_point(name):
    """The reader needs no luck with how the stream is cut."""
    whole = bytes.fromhex(GOLDEN[name])
    read = protocol.read_engine if name in ENGINE else protocol.read_worker

    for at in range(len(whole)):
        decoder = PipeDecoder(protocol.HEADER_LIMIT, protocol.BODY_LIMIT)
        (frame,) = decoder.feed(whole[:at]) + decoder.feed(whole[at:])
        assert read(frame.header) is not None


def test_what_was_said_is_what_is_read():
    """Items and results come out of their golden frames whole."""
    (run,) = PipeDecoder(1 << 20, 1 << 20).feed(bytes.fromhex(GOLDEN["run"]))
    (said,) = PipeDecoder(1 << 20, 1 << 20).feed(bytes.fromhex(GOLDEN["results"]))

    assert protocol.read_items(protocol.read_engine(run.header), run.body) == ITEMS
    heard = protocol.read_worker(said.header)
    assert protocol.read_results(heard.done, said.body) == [DELIVER]


def test_the_page_has_the_schemas_of_both_directions():
    """Made from the structs: a field that is added there is added here."""
    shown = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.S)[1])

    assert shown == json.loads(json.dumps(schemas()))


def schemas():
    """JSON Schema of everything that is said."""
    said = {"engine": protocol.FromEngine, "worker": protocol.FromWorker}
    made, shared = msgspec.json.schema_components(
        list(said.values()), ref_template="#/$defs/{name}"
    )
    return {**dict(zip(said, made, strict=True)), "$defs": shared}


@pytest.mark.parametrize(
    "header",
    [
        '{"type":"hello","protocol":-1,"pid":1}',
        '{"type":"hello","protocol":1,"pid":99999999999999999999}',
        '{"type":"loaded","version":"%s"}' % ("v" * 70_000),
        '{"type":"load_failed","text":"%s"}' % ("v" * 70_000),
        '{"type":"results","frame":1,"done":[[0,"deliver","%s"]]}' % ("v" * 70_000),
        '{"type":"results","frame":1,"done":[[-1,"deliver"]]}',
        '{"type":"results","frame":1,"done":[[0,"deliver","",%s]]}' % ([0] * 100_001),
        json.dumps(
            {"type": "results", "frame": 1, "done": [[0, "drop", "", [], MANY * 100_001]]}
        ),
        '{"type":"results","frame":1,"done":[[0,"deliver","",[],[["%s",null,null,"",""]]]]}'
        % ("v" * 70_000),
        '{"type":"results","frame":1,"done":[[0,"deliver","",[],[],[],[],null,null,false,[],-1]]}',
    ],
)
def test_a_field_beyond_its_bound_is_nonsense(header):
    """The worker is ended; nothing of what it said is kept."""
    with pytest.raises(WorkerError, match="not of the protocol"):
        protocol.read_worker(header.encode())


def test_a_result_beyond_its_bounds_is_known_before_it_is_said():
    """So that a sender's long field parks its message and does not end a worker."""
    long = SessionResult(Kind.DELIVER, outputs=(Output("lab", None, "k" * 70_000),))
    wide = SessionResult(Kind.DELIVER, outputs=(Output("lab", None, "k" * 60_000),) * 2)

    assert not protocol.bounded(protocol.encode_done(0, long)[0])
    assert protocol.bounded(protocol.encode_done(0, wide)[0])
    assert protocol.bounded(protocol.encode_done(0, DELIVER)[0])
