"""The TCP source on real sockets: its framings, its answers, and its two directions.

What it shares with the other streams is tests/listeners/test_contract.py's.
"""

import asyncio
import socket
import struct
from pathlib import Path

import pytest
from pydantic import ValidationError

from portico.clock import SystemClock
from portico.listeners import dialling
from portico.listeners.contract import Surroundings
from portico.listeners.tcp import TCP, TcpSource
from portico.model.receipt import Receipt, Told
from portico.tls.certificates import Certificates
from ports import free_port

LINES = {"end": "LF"}


@pytest.fixture
async def tcp(reactor, desk):
    """`await tcp(frame=...)`: a started TCP source; all are stopped at the end."""
    started = []

    async def start(**options):
        where = {} if "address" in options else {"listen": "127.0.0.1:0"}
        source = TcpSource.model_validate({**where, **options})
        around = Surroundings(reactor, SystemClock(), desk.emit, Path())
        listener = TCP.build("lines", source, desk.receive, around)
        await listener.start()
        started.append(listener)
        return listener

    yield start
    for listener in started:
        await listener.stop(0)


async def test_bytes_arrive_as_they_are(tcp, connect, desk):
    """Text or not, what stands between the marks is the content."""
    peer = await connect(await tcp(frame={"start": "STX", "end": "ETX"}))
    content = bytes(each for each in range(256) if each != 3)

    peer.writer.write(b"noise\x02" + content + b"\x03")

    assert await desk.got(1) == [content]
    assert desk.named("NoiseDiscarded")[0].count == 5


async def test_a_connection_can_be_a_message(tcp, connect, desk):
    """`close`: the content is all until the sender ends its half; then it hears the answer."""
    peer = await connect(await tcp(frame="close", reply="OK"))
    peer.writer.write(b"all of ")
    peer.writer.write(b"it\n")
    peer.writer.write_eof()

    assert await peer.rest() == b"ACK:all of it\n"
    assert await desk.got(1) == [b"all of it\n"]


async def test_a_connection_that_breaks_is_no_message(tcp, connect, desk):
    """`close`: a reset is not an end; half a file is never taken for a whole one."""
    listener = await tcp(frame="close")
    peer = await connect(listener)
    peer.writer.write(b"half")
    await peer.writer.drain()
    while not any(one.decoder.unfinished for one in listener._connections):
        await asyncio.sleep(0.01)
    broken = struct.pack("ii", 1, 0)
    peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, broken)
    peer.writer.close()

    await desk.until(lambda: desk.named("ConnectionClosed"))
    assert (desk.arrivals, desk.named("ConnectionClosed")[0].left) == ([], 4)


async def test_a_tls_stream_that_is_cut_is_no_message(reactor, desk, papers):
    """`close` over TLS: an end without close_notify may be an attacker's."""
    source = TcpSource.model_validate(
        {"listen": "127.0.0.1:0", "frame": "close", "tls": papers.issue("server")}
    )
    around = Surroundings(reactor, SystemClock(), desk.emit, Path())
    listener = TCP.build("lines", source, desk.receive, around)
    await listener.start()
    context = Certificates().client(papers.tls()).context
    for orderly in (False, True):
        _, writer = await asyncio.open_connection(
            *listener.address, ssl=context, server_hostname="localhost"
        )
        writer.write(b"half or whole")
        await writer.drain()
        await asyncio.sleep(0.05)
        if orderly:
            writer.close()  # asyncio says close_notify
        else:
            writer.transport.get_extra_info("socket").shutdown(1)
        seen = len(desk.named("ConnectionClosed"))
        await desk.until(lambda seen=seen: len(desk.named("ConnectionClosed")) > seen)
        writer.close()

    assert [arrival.content for arrival in desk.arrivals] == [b"half or whole"]
    await listener.stop(0)


@pytest.mark.parametrize(
    ("reply", "told", "closed"),
    [
        ("OK", Told.REFUSED, True),
        ("OK", Told.FAILED, True),
        (None, Told.FAILED, True),
        (None, Told.REFUSED, False),
        (None, Told.ACCEPTED, False),
    ],
)
async def test_no_is_said_by_closing(tcp, connect, desk, reply, told, closed):
    """A sender that waits for a reply, or whose message is not kept, is closed to repeat it."""
    desk.at_once = False
    peer = await connect(await tcp(frame=LINES, **({"reply": reply} if reply else {})))
    peer.writer.write(b"one\n")
    await desk.got(1)

    desk.arrivals[0].answer(Receipt(told))

    if closed:
        assert await peer.rest() == b""
    else:
        desk.at_once = True
        peer.writer.write(b"two\n")
        assert await peer.read(8) == b"ACK:two\n"


async def test_a_reply_that_the_framing_cannot_carry_is_told(tcp, connect, desk):
    """An answer with the end mark in it would be two."""
    desk.at_once = False
    peer = await connect(await tcp(frame=LINES, reply="x"))
    peer.writer.write(b"one\n")
    await desk.got(1)

    desk.arrivals[0].answer(desk.accepted(b"two\nlines"))

    assert await peer.rest() == b""
    assert desk.named("AnswerUnsendable")[0].code == "wire.frame_broken"


def test_a_fixed_frame_above_the_limit_is_a_finding():
    """It could never arrive."""
    with pytest.raises(ValidationError, match="larger than 'limit'"):
        TcpSource.model_validate(
            {"listen": "127.0.0.1:0", "frame": {"fixed": "2000"}, "limit": "1KiB"}
        )


class Machine:
    """An instrument that listens: it is dialled, and sends."""

    def __init__(self):
        self.writers, self.heard = [], []
        self.came = asyncio.Event()

    async def serve(self, reader, writer):
        """One connection."""
        self.writers.append(writer)
        self.came.set()
        while line := await reader.readline():
            self.heard.append(line)
        writer.close()

    async def dialled(self, times):
        """Wait until it has been dialled so often."""
        while len(self.writers) < times:
            self.came.clear()
            await asyncio.wait_for(self.came.wait(), 10)
        return self.writers[-1]


@pytest.fixture
async def machine():
    """A Machine on a port: `machine.address`."""
    twin = Machine()
    server = await asyncio.start_server(twin.serve, "127.0.0.1", 0)
    twin.port = server.sockets[0].getsockname()[1]
    twin.address = f"127.0.0.1:{twin.port}"
    yield twin
    server.close()
    for writer in twin.writers:
        writer.close()


async def test_a_source_dials_and_dials_again(tcp, machine, desk):
    """M6: with `address` we connect, receive, answer; and again when the peer has gone."""
    listener = await tcp(address=machine.address, frame=LINES, reply="x")
    (await machine.dialled(1)).write(b"one\n")
    await desk.got(1)
    machine.writers[0].close()
    (await machine.dialled(2)).write(b"two\n")
    await desk.got(2)
    await desk.until(lambda: listener.connections() == 1)

    assert [arrival.content for arrival in desk.arrivals] == [b"one", b"two"]
    assert machine.heard[:1] == [b"ACK:one\n"]
    assert desk.arrivals[0].peer == machine.address


async def test_a_peer_with_a_connection_for_each_message_is_dialled_at_once(
    tcp, machine, desk, monkeypatch
):
    """M6: what has brought a message was a good connection, however short: no wait grows."""
    monkeypatch.setattr(dialling, "FIRST", 0.01)
    await tcp(address=machine.address, frame="close")
    async with asyncio.timeout(5):
        for number in range(1, 13):
            (await machine.dialled(number)).write(b"result %d" % number)
            machine.writers[-1].write_eof()
            await desk.got(number)

    assert desk.arrivals[-1].content == b"result 12"


async def test_a_peer_that_is_down_is_told_once_and_found_when_it_is_up(tcp, desk):
    """M6: the first of several failing tries is an event; the source is open all the while."""
    twin, port = Machine(), free_port()
    listener = await tcp(address=f"127.0.0.1:{port}", frame=LINES)
    await desk.until(lambda: desk.named("SourceUnreachable"))
    server = await asyncio.start_server(twin.serve, "127.0.0.1", port)

    (await twin.dialled(1)).write(b"one\n")
    await desk.got(1)

    [event] = desk.named("SourceUnreachable")
    assert (event.code, event.peer) == ("no_connection", f"127.0.0.1:{port}")
    await listener.stop(0)
    server.close()


async def test_a_source_dials_with_tls(tcp, papers, desk):
    """T4: who sends to us when we dial has proved its name; another gets nowhere."""
    context = Certificates().server(papers.tls("server")).context
    twin = Machine()
    server = await asyncio.start_server(twin.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    trusting = {"trust": str(papers.trust)}
    await tcp(address=f"localhost:{port}", frame=LINES, tls=trusting)
    (await twin.dialled(1)).write(b"one\n")
    await desk.got(1)
    wrong = await tcp(
        address=f"localhost:{port}", frame=LINES, tls={**trusting, "names": ["pacs.internal"]}
    )
    await desk.until(lambda: desk.named("SourceUnreachable"))

    assert desk.named("SourceUnreachable")[0].code == "tls_wrong_name"
    assert wrong.connections() == 0
    server.close()


async def test_a_source_that_dials_stops(tcp, machine, desk):
    """After the stop nobody is dialled any more."""
    listener = await tcp(address=machine.address, frame=LINES)
    await machine.dialled(1)

    await listener.stop(1)
    await asyncio.sleep(0.05)

    assert (len(machine.writers), listener.connections()) == (1, 0)
