"""portico.llm.remote: the real client libraries against the simulated model over HTTP."""

import asyncio
import gzip
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from portico.clock import SystemClock
from portico.errors import JournalRefused, SecretMissing
from portico.llm.beside import Beside
from portico.llm.contract import ModelFailed, Request, Round, Surroundings, Tool
from portico.llm.script import Script
from portico.llm.simserver import SimServer
from portico.llm.table import provider_type
from portico.spec.models import Provider as Settings

SCHEMA = {
    "type": "object",
    "properties": {"code": {"enum": ["X1", "X2"]}, "sure": {"type": "number"}},
    "required": ["code", "sure"],
}
GOOD = {"code": "X1", "sure": 0.5}
FIND = {"type": "object", "properties": {"code": {"type": "string"}}}
BOTH = pytest.mark.parametrize("kind", ["openai", "anthropic"])


@pytest.fixture
async def around():
    """What every provider of a test may use."""
    beside = Beside("providers")
    yield Surroundings(SystemClock(), Path(), {"KEY": "sk-secret"}, asyncio.sleep, beside)
    await beside.close(5)


@pytest.fixture
def provider(around):
    """Makes providers of a type, at a port of this machine."""

    def make(kind, port):
        address = f"http://127.0.0.1:{port}" + ("/v1" if kind == "openai" else "")
        settings = Settings(type=kind, address=address, model="m", key="${env:KEY}")
        return provider_type(kind).build(settings, around)

    return make


@pytest.fixture
async def served(provider):
    """Makes servers of a script, each with a provider of a type."""
    made = []

    async def make(kind, acts):
        server = await SimServer(acts).start()
        made.append(server)
        return server, provider(kind, server.port)

    yield make
    for server in made:
        await server.stop()


def asked(**more):
    """A request."""
    return Request("You read.", "What is <data-0>ill</data-0>?", SCHEMA, model="m", **more)


@BOTH
async def test_the_answer_and_the_exact_bytes_of_both_ways_are_given(kind, served):
    """What the server saw is what the record holds, and the key is not in it."""
    server, provider = await served(kind, Script("fixed", [{"code": "X1", "sure": 0.5}]))

    done = await provider.complete(asked())

    assert json.loads(done.text) == {"code": "X1", "sure": 0.5}
    [(_, body)] = server.seen
    assert done.sent == body
    assert b"sk-secret" not in body
    assert json.loads(done.received)["model"] == "m"
    assert done.input_tokens > 0 < done.output_tokens


@BOTH
async def test_what_was_wrong_is_told_in_the_next_exchange(kind, served):
    """The earlier answer and the complaint stand behind the prompt."""
    server, provider = await served(kind, Script("fixed", [{"code": "X1", "sure": 1}]))

    await provider.complete(
        asked(rounds=(Round('{"code": "Y"}', (), ("/code does not fit",)),))
    )

    messages = json.loads(server.seen[0][1])["messages"]
    assert [one["role"] for one in messages][-3:] == ["user", "assistant", "user"]
    assert "/code does not fit" in json.dumps(messages[-1])


@BOTH
@pytest.mark.parametrize(
    ("fault", "code", "transient"),
    [
        (429, "llm.http_429", True),
        (500, "llm.http_500", True),
        (401, "llm.http_401", False),
        ("cut", "llm.unreachable", True),
        ("garbage", "llm.garbage", True),
        ("slow", "llm.timeout", True),
    ],
)
async def test_every_fault_is_told_apart_and_asked_once(kind, fault, code, transient, served):
    """What may pass is transient; the library itself repeats nothing."""
    server, provider = await served(kind, Script(faults=[fault]))

    with pytest.raises(ModelFailed) as told:
        await provider.complete(asked(timeout=2.0 if fault == "slow" else 60.0))

    assert (told.value.code, told.value.transient) == (code, transient)
    assert told.value.sent == server.seen[0][1]
    assert len(server.seen) == 1
    assert "ill" not in str(told.value)


@pytest.fixture
async def answering(provider):
    """Makes providers of a type whose server answers with these bytes, and such headers."""
    servers = []

    async def make(kind, body, headers=""):
        async def client(reader, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            size = head.lower().partition(b"content-length:")[2].split()[0]
            await reader.readexactly(int(size))
            first = f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
            writer.write(first.encode() + body)
            await writer.drain()
            writer.close()

        servers.append(await asyncio.start_server(client, "127.0.0.1", 0))
        return provider(kind, servers[-1].sockets[0].getsockname()[1])

    yield make
    for server in servers:
        server.close()


@BOTH
async def test_a_key_that_has_changed_is_used_from_then_on(kind, around, tmp_path):
    """Without an end of the engine, or a change of the site; one that is gone is named."""
    heads = []

    async def client(reader, writer):
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    settings = Settings(type=kind, address=address, key="${file:key}")
    made = provider_type(kind).build(settings, replace(around, root=tmp_path))
    for key in ("sk-first", "sk-second"):
        (tmp_path / "key").write_text(key)
        with pytest.raises(ModelFailed):
            await made.complete(asked())
    (tmp_path / "key").unlink()
    with pytest.raises(SecretMissing):
        await made.complete(asked())
    server.close()

    assert ["sk-first" in head for head in heads] == [True, False]
    assert ["sk-second" in head for head in heads] == [False, True]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("openai", {"choices": []}),
        ("openai", {"choices": [None]}),
        ("openai", {"choices": [{"index": 0, "finish_reason": "stop", "message": None}]}),
        ("anthropic", {"content": "hi"}),
        ("anthropic", {"content": [None]}),
        ("anthropic", {"content": [{"type": "text", "text": None}]}),
        ("anthropic", {"usage": None}),
        ("anthropic", None),
    ],
)
async def test_an_answer_of_an_odd_shape_may_be_asked_again(kind, body, answering):
    """Whatever the library makes of it; the record holds what left and what came."""
    whole = {"id": "1", "created": 1, "model": "m", "object": "chat.completion", "choices": []}
    whole |= {"type": "message", "role": "assistant", "content": []}
    sent = json.dumps(body and whole | body).encode()
    provider = await answering(kind, sent)

    with pytest.raises(ModelFailed) as told:
        await provider.complete(asked())

    assert (told.value.code, told.value.transient) == ("llm.garbage", True)
    assert told.value.sent
    assert told.value.received == sent


async def test_an_answer_that_unpacks_to_too_much_is_too_large(answering):
    """The bound counts what is kept, not what came over the wire."""
    body = gzip.compress(bytes(64 << 20))
    provider = await answering("openai", body, "Content-Encoding: gzip\r\n")

    with pytest.raises(ModelFailed) as told:
        await provider.complete(asked())

    assert told.value.code == "llm.too_large"


@pytest.mark.parametrize(
    ("counted", "tokens"),
    [
        (None, None),
        ({"prompt_tokens": 10**30, "completion_tokens": 1, "total_tokens": 2}, (10**9, 1)),
    ],
)
async def test_what_a_provider_counts_oddly_is_booked_all_the_same(counted, tokens, answering):
    """A quarter of the bytes where it does not count; no more than a row can hold."""
    message = {"role": "assistant", "content": '{"code": "X1", "sure": 1}'}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    body = json.dumps(whole | {"choices": [choice], "usage": counted}).encode()
    provider = await answering("openai", body)

    done = await provider.complete(asked())

    assert (done.input_tokens, done.output_tokens) == (
        tokens or (len(done.sent) // 4, len(body) // 4)
    )


@BOTH
async def test_the_time_limit_begins_when_the_request_leaves(kind, served):
    """The record that is stored before it may take longer than the model may."""
    for limit in (0.05, 0.5, 5.0):  # the longer ones for a machine that is busy
        server, provider = await served(kind, Script("fixed", [GOOD]))

        async def slowly(sent, server=server, limit=limit):
            leaves = time.monotonic() + 1.5 * limit
            while time.monotonic() < leaves:
                await asyncio.sleep(0.01)
            assert server.seen == []

        try:
            done = await provider.complete(asked(timeout=limit, leaving=slowly))
        except ModelFailed as late:
            assert (late.code, limit < 5.0) == ("llm.timeout", True)
            continue
        assert json.loads(done.text) == GOOD
        return


@BOTH
async def test_what_cannot_be_stored_does_not_leave(kind, served):
    """The journal's error is told as it is: it says nothing of the provider."""
    server, provider = await served(kind, Script("fixed", [GOOD]))
    fault = JournalRefused("the disk is full", "53100")

    async def refused(sent):
        raise fault

    with pytest.raises(JournalRefused) as told:
        await provider.complete(asked(leaving=refused))

    assert told.value is fault
    assert server.seen == []


async def test_nothing_leaves_once_who_waits_has_gone(served, around):
    """An exchange that is cancelled while its record is stored stays here."""
    server, provider = await served("openai", Script("fixed", [GOOD]))
    storing = asyncio.Event()

    async def leaving(sent):
        storing.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(provider.complete(asked(leaving=leaving)))
    await asyncio.wait_for(storing.wait(), 60)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await around.beside.close(5)
    assert server.seen == []


@BOTH
async def test_an_exchange_that_is_cancelled_closes_its_connection(kind, provider):
    """The provider need not go on for nobody."""
    asking, closed = asyncio.Event(), asyncio.Event()

    async def client(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        asking.set()
        await reader.read()
        closed.set()
        writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        task = asyncio.ensure_future(provider(kind, port).complete(asked()))
        await asyncio.wait_for(asking.wait(), 60)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 5)


@BOTH
async def test_an_exchange_costs_another_loop(kind, served):
    """Of what forty cost, and forty answers of the simulator here, most is spent elsewhere."""
    _, provider = await served(kind, Script("fixed", [GOOD]))
    await provider.complete(asked())  # loads what is loaded once
    ours, all_of_it = time.thread_time(), time.process_time()

    await asyncio.gather(*(provider.complete(asked()) for _ in range(40)))

    ours, all_of_it = time.thread_time() - ours, time.process_time() - all_of_it
    assert ours < all_of_it / 2


async def test_a_server_that_is_away_is_unreachable(served):
    """The next try may find it."""
    server, provider = await served("openai", Script())
    await server.stop()

    with pytest.raises(ModelFailed) as told:
        await provider.complete(asked())

    assert (told.value.code, told.value.transient) == ("llm.unreachable", True)


@BOTH
async def test_a_model_calls_tools_and_is_told_what_they_gave(kind, served):
    """Several at once; what they gave stands in the next exchange under the call's own id."""
    said = [{"$call": [{"tool": "find", "with": {"code": "A"}}, {"tool": "list"}]}, GOOD]
    server, provider = await served(kind, Script("fixed", [said]))
    tools = (Tool("find", "Finds", FIND), Tool("list", "Lists", {"type": "object"}))

    called = await provider.complete(asked(tools=tools))
    over = Round("", called.uses, ("<d>one</d>", "<d>two</d>"))
    done = await provider.complete(asked(tools=tools, rounds=(over,)))

    assert [(use.name, json.loads(use.arguments)) for use in called.uses] == [
        ("find", {"code": "A"}),
        ("list", {}),
    ]
    assert (called.text, json.loads(done.text), done.uses) == ("", GOOD, ())
    body = json.loads(server.seen[1][1])
    told = json.dumps(body["messages"][2:])
    assert all(text in told for text in ("<d>one</d>", "<d>two</d>", called.uses[1].id))
    assert {one.get("name") or one["function"]["name"] for one in body["tools"]} == {
        "find",
        "list",
        "answer",
    }
