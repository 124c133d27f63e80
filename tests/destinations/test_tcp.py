"""The TCP destination against peers on real sockets: dialled and listening, answers or none."""

import asyncio
import socket
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from portico.clock import SystemClock
from portico.destinations.contract import Surroundings
from portico.destinations.tcp import TCP, TcpTarget
from portico.ids import SignalId
from portico.listeners import contract as inbound
from portico.listeners.tcp import TCP as TCP_SOURCE
from portico.listeners.tcp import TcpSource
from portico.model.delivery import Answered, Delivery
from portico.model.receipt import Receipt, Told
from portico.tls.certificates import Certificates

SIGNAL = SignalId(bytes.fromhex("019a3b1c0000700080000000deadbeef"))
LINES = {"end": "LF"}


class Peer:
    """Takes lines; `script` says what to answer (None: nothing)."""

    def __init__(self):
        self.script = lambda line: b"OK\n"
        self.lines, self.writers, self.whole = [], [], []
        self.changed = asyncio.Event()

    async def serve(self, reader, writer):
        """One connection."""
        self.writers.append(writer)
        self.changed.set()
        try:
            while line := await reader.readline():
                self.lines.append(line)
                self.changed.set()
                if said := self.script(line):
                    writer.write(said)
        except ConnectionError:
            pass
        self.whole.append(b"".join(self.lines))
        self.changed.set()
        writer.close()

    async def until(self, true):
        """Wait for lines and ends of connections that make it true."""
        while not true():
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 10)


@pytest.fixture
async def peer():
    """A Peer on a port: `peer.address`."""
    twin = Peer()
    server = await asyncio.start_server(twin.serve, "127.0.0.1", 0)
    twin.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield twin
    server.close()
    for writer in twin.writers:
        writer.close()


@pytest.fixture
async def sending(reactor):
    """`await sending(address=..., frame=...)`: started; `.send(content)` gives the attempt."""
    started = []

    async def start(common=None, **options):
        target = TcpTarget.model_validate({"frame": LINES, **options})
        settings = {
            "connections": 1,
            "timeout": 5,
            "connect": 5,
            "idle": 3600,
            **(common or {}),
        }
        events = []
        around = Surroundings(reactor, SystemClock(), events.append, Path())
        destination = TCP.build("lis", SimpleNamespace(options=target, **settings), around)
        await destination.start()
        started.append(destination)

        def begin(content=b"one"):
            future = asyncio.get_running_loop().create_future()
            destination.deliver(Delivery(SIGNAL, 1, 1, "lis", "", content), future.set_result)
            return future

        async def send(content=b"one"):
            return await asyncio.wait_for(begin(content), 10)

        return SimpleNamespace(
            send=send, begin=begin, destination=destination, events=events, target=target
        )

    yield start
    for destination in started:
        await destination.stop(0)


async def test_without_an_answer_written_is_all_that_is_known(sending, peer):
    """Done when the kernel has the bytes; what the peer says is dropped, the line is kept."""
    sender = await sending(address=peer.address)

    codes = [(await sender.send(content)).code for content in (b"one", b"two")]
    await peer.until(lambda: len(peer.lines) == 2)

    assert codes == ["written", "written"]
    assert (peer.lines, len(peer.writers)) == ([b"one\n", b"two\n"], 1)


@pytest.mark.parametrize(
    ("said", "code"), [(b"OK 7\n", "matched"), (b"NO\n", "unmatched"), (b"\xff\n", "unmatched")]
)
async def test_an_answer_is_known_by_its_text(sending, peer, said, code):
    """The whole answer must match; its exact bytes come back, and one line carries on."""
    peer.script = lambda line: said
    sender = await sending(address=peer.address, answer={"matches": r"OK( \d+)?"})

    attempts = [await sender.send(), await sender.send()]

    assert [(a.answered, a.code) for a in attempts] == [(Answered.ANSWERED, code)] * 2
    assert (attempts[0].answer, len(peer.writers)) == (said[:-1], 1)


async def test_no_answer_in_time_is_unclear(sending, peer):
    """M5: the line is closed, so that a late answer meets nobody."""
    peer.script = lambda line: None
    sender = await sending({"timeout": 0.1}, address=peer.address, answer={"matches": "OK"})

    attempt = await sender.send()

    assert (attempt.answered, attempt.code) == (Answered.UNCLEAR, "timeout")
    await peer.until(lambda: peer.whole)


async def test_a_connection_can_be_a_message(sending, peer):
    """`close`: each Delivery has a connection, which ends in order behind it."""
    sender = await sending(address=peer.address, frame="close")

    assert (await sender.send(b"one\nmore")).code == "written"
    await peer.until(lambda: peer.whole)
    assert (await sender.send(b"two")).code == "written"
    await peer.until(lambda: len(peer.whole) == 2)

    assert peer.whole[0] == b"one\nmore"
    assert len(peer.writers) == 2


async def test_a_connection_can_be_a_message_and_its_answer(sending):
    """`close` with an answer: our half ends, then theirs."""
    heard = []

    async def serve(reader, writer):
        heard.append(await reader.read())
        writer.write(b"fine")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender = await sending(
        address=f"127.0.0.1:{port}", frame="close", answer={"matches": "fine"}
    )

    assert (await sender.send(b"x" * 300_000)).code == "matched"
    assert heard == [b"x" * 300_000]
    server.close()


async def test_over_tls_our_half_ends_by_close_notify(sending, papers, reactor):
    """The same over TLS, against a TCP source: asyncio's TLS knows no half of a connection."""
    source = TcpSource.model_validate(
        {"listen": "127.0.0.1:0", "frame": "close", "tls": papers.issue("server")}
    )
    around = inbound.Surroundings(reactor, SystemClock(), lambda event: None, Path())
    heard = []

    def receive(arrival):
        heard.append(arrival.content)
        arrival.answer(Receipt(Told.ACCEPTED, (b"fine",)))

    listener = TCP_SOURCE.build("lines", source, receive, around)
    await listener.start()
    sender = await sending(
        address=f"localhost:{listener.address.port}",
        frame="close",
        answer={"matches": "fine"},
        tls={"trust": str(papers.trust)},
    )

    assert (await sender.send(b"x" * 3_000_000)).code == "matched"
    assert heard == [b"x" * 3_000_000]
    await listener.stop(1)


async def test_what_the_framing_cannot_carry_is_never_sent(sending, peer):
    """The content holds the end mark: rejected, told, nothing on the wire."""
    sender = await sending(address=peer.address)

    attempt = await sender.send(b"two\nlines")

    assert (attempt.answered, attempt.code) == (Answered.ANSWERED, "unsendable")
    assert peer.writers == []


async def test_a_peer_that_is_down_gets_nothing(sending):
    """No connection is no doubt: nothing was sent."""
    sender = await sending(address="127.0.0.1:1")

    assert (await sender.send()).answered is Answered.NO_CONNECTION


async def test_a_peer_that_connects_is_pushed_to(sending):
    """`listen`: a Delivery waits for a peer, who then gets all of them, one at a time."""
    sender = await sending(listen="127.0.0.1:0", answer={"matches": "OK"})
    waiting = sender.begin(b"one")
    reader, writer = await asyncio.open_connection(*sender.destination.address)

    assert await asyncio.wait_for(reader.readline(), 10) == b"one\n"
    second = sender.begin(b"two")
    assert not waiting.done()
    writer.write(b"OK\n")
    assert (await waiting).code == "matched"
    assert await asyncio.wait_for(reader.readline(), 10) == b"two\n"
    writer.write(b"OK\n")
    assert (await second).code == "matched"
    writer.close()


async def test_a_peer_that_does_not_come_is_no_connection(sending):
    """After `connect`; nothing was sent, and the next try waits again."""
    sender = await sending({"connect": 0.1}, listen="127.0.0.1:0")

    attempt = await sender.send()

    assert (attempt.answered, attempt.detail) == (
        Answered.NO_CONNECTION, "no peer is connected",
    )  # fmt: skip


async def test_a_peer_that_comes_back_goes_on(sending):
    """A connection that ended while it rested costs nothing."""
    sender = await sending(listen="127.0.0.1:0")
    for number in (b"one", b"two"):
        reader, writer = await asyncio.open_connection(*sender.destination.address)
        while not sender.destination.connections():
            await asyncio.sleep(0.01)
        assert (await sender.send(number)).code == "written"
        assert await asyncio.wait_for(reader.readline(), 10) == number + b"\n"
        writer.close()
        while sender.destination.connections():
            await asyncio.sleep(0.01)


async def test_a_port_that_is_taken_is_told_and_tried_again(sending, peer):
    """A destination that cannot listen does not keep the engine from its start."""
    sender = await sending({"connect": 0.1}, listen=peer.address)

    [event] = [one for one in sender.events if type(one).__name__ == "PortClosed"]
    assert "another program" in event.text
    assert (await sender.send()).answered is Answered.NO_CONNECTION


async def test_who_may_not_connect_is_told(sending, papers):
    """The gate and TLS stand before a destination that listens, too."""
    shown = {**papers.issue("server"), "trust": str(papers.trust), "clients": "required"}
    near = await sending(listen="127.0.0.1:0", allow="192.0.2.0/24")
    strict = await sending(listen="127.0.0.1:0", tls=shown)
    for sender in (near, strict):
        reader, writer = await asyncio.open_connection(*sender.destination.address)
        writer.write(b"plain\n")
        try:
            assert await asyncio.wait_for(reader.read(), 10) == b""
        except ConnectionError:
            pass
        writer.close()

    assert [(type(e).__name__, e.code) for e in near.events + strict.events] == [
        ("PeerRefused", "not_allowed"), ("PeerRefused", "tls_not_tls"),
    ]  # fmt: skip
    context = Certificates().client(papers.tls("lis")).context
    reader, writer = await asyncio.open_connection(
        *strict.destination.address, ssl=context, server_hostname="localhost"
    )
    assert (await strict.send()).code == "written"
    assert await asyncio.wait_for(reader.readline(), 10) == b"one\n"
    writer.close()


async def test_a_stop_gives_up_what_waits_for_a_peer(sending):
    """Nothing was sent, so nothing is unclear; the port is closed."""
    sender = await sending(listen="127.0.0.1:0")
    waiting = sender.begin()
    where = sender.destination.address

    await asyncio.wait_for(sender.destination.stop(300), 30)

    assert (await waiting).answered is Answered.NO_CONNECTION
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*where)


async def test_changed_options_are_adopted(sending, peer):
    """The next Delivery follows the new frame; another address is another destination."""
    sender = await sending(address=peer.address)
    await sender.send()
    common = {"connections": 1, "timeout": 5, "connect": 5, "idle": 3600}
    changed = TcpTarget.model_validate({"address": peer.address, "frame": {"end": "CRLF"}})
    listening = TcpTarget.model_validate({"listen": "127.0.0.1:0", "frame": LINES})

    assert sender.destination.adopt(SimpleNamespace(options=changed, **common))
    assert not sender.destination.adopt(SimpleNamespace(options=listening, **common))
    await sender.send(b"two")
    await peer.until(lambda: len(peer.lines) > 1)
    assert b"".join(peer.lines).startswith(b"one\ntwo\r\n")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"frame": LINES}, "'address'"),
        ({"address": "a:1", "listen": "b:1", "frame": LINES}, "'address'"),
        ({"address": "a:1"}, "frame"),
        ({"address": "a:1", "frame": LINES, "answer": "OK"}, "not a choice"),
        ({"address": "a:1", "frame": LINES, "answer": {"matches": "("}}, "no regular expr"),
    ],
)
def test_what_cannot_work_is_a_finding(options, told):
    """By the shape of the options."""
    with pytest.raises(ValidationError, match=told):
        TcpTarget.model_validate(options)


async def test_what_the_kernel_would_not_take_is_not_done(sending):
    """A peer that has reset the line a moment ago: unclear, and what follows has a new line."""
    port = socket.create_server(("127.0.0.1", 0))
    sender = await sending(address=f"127.0.0.1:{port.getsockname()[1]}")
    assert (await sender.send(b"one")).code == "written"
    peer, _ = port.accept()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()

    attempts = [await sender.send(content) for content in (b"two", b"three")]

    assert [attempt.code for attempt in attempts] == ["closed", "written"]
    assert attempts[0].answered is Answered.UNCLEAR
    with port, port.accept()[0] as again:
        assert again.recv(100) == b"three\n"


async def test_what_comes_while_the_peer_ends_tls_is_not_done(sending, papers, reactor):
    """Its close_notify has been answered, TCP has not ended: nothing that is written leaves."""
    source = TcpSource.model_validate(
        {"listen": "127.0.0.1:0", "frame": LINES, "tls": papers.issue("server")}
    )
    around = inbound.Surroundings(reactor, SystemClock(), lambda event: None, Path())
    listener = TCP_SOURCE.build("lines", source, lambda arrival: None, around)
    await listener.start()
    sender = await sending(
        address=f"localhost:{listener.address.port}", tls={"trust": str(papers.trust)}
    )
    assert (await sender.send()).code == "written"
    (line,) = sender.destination._resting
    line.transport.loseConnection()

    attempt = await sender.send()

    assert (attempt.answered, attempt.code) == (Answered.UNCLEAR, "closed")
    await listener.stop(1)


async def test_a_line_whose_peer_talks_nonsense_takes_nothing_more(sending, peer):
    """It is being closed: what comes in the same moment leaves on a new one."""
    sender = await sending(address=peer.address, frame={"length": "4"})
    assert (await sender.send()).code == "written"
    (line,) = sender.destination._resting
    line.dataReceived(b"\xff\xff\xff\xff")

    assert (await sender.send(b"two\n")).code == "written"

    await peer.until(lambda: len(peer.writers) == 2)
    await peer.until(lambda: peer.lines and peer.lines[-1].endswith(b"two\n"))


async def test_a_peer_may_be_silent_for_days(sending, peer):
    """`probe: 7d` is longer than the kernel's longest: the Delivery leaves all the same."""
    sender = await sending(address=peer.address, probe="7d")

    assert (await sender.send()).code == "written"
