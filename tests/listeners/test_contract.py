"""What every source of a byte stream promises, for each of them: MLLP and TCP, with TLS and
without, listening and dialling.
"""

import asyncio
from pathlib import Path

import pytest

from portico.clock import SystemClock
from portico.listeners.contract import Surroundings
from portico.listeners.mllp import MLLP
from portico.listeners.tcp import TCP
from portico.spec.framing import Frame
from portico.tls.certificates import Certificates
from portico.wire import mllp

FRAMES = {
    "mllp": None,
    "length": {"length": "4", "endian": "little"},
    "line": {"end": "LF"},
    "marks": {"start": "STX", "end": "ETX"},
    "fixed": {"fixed": "9"},
}
KINDS = [*FRAMES, "mllp tls", "line tls", "mllp dialled", "line dialled", "mllp tls dialled"]


class Source:
    """One kind of source on a real socket, and peers of it."""

    def __init__(self, kind, reactor, desk, papers):
        self.frame = FRAMES[kind.split()[0]]
        self.secure, self.dials = "tls" in kind, "dialled" in kind
        self._reactor, self._desk, self._papers = reactor, desk, papers
        self.listener = None
        self._came = asyncio.Queue()
        self._server = None
        self.writers = []

    def encode(self, content):
        """A frame."""
        if self.frame is None:
            return mllp.encode(content)
        return Frame.model_validate(self.frame).framing.encode(content)

    def options(self, **more):
        """The source's options."""
        framing = {} if self.frame is None else {"frame": self.frame}
        if self.dials:
            where = {"address": f"localhost:{self._port}"}
            tls = {"trust": str(self._papers.trust)}
        else:
            where = {"listen": "127.0.0.1:0"}
            tls = self._papers.issue("server")
        where |= {"tls": tls} if self.secure else {}
        kind = MLLP if self.frame is None else TCP
        return kind, kind.options.model_validate({**where, **framing, **more})

    async def start(self, **more):
        """Open it."""
        if self.dials:
            context = None
            if self.secure:
                shown = self._papers.tls("peer")
                context = Certificates().server(shown).context
            self._server = await asyncio.start_server(
                lambda r, w: self._came.put_nowait((r, w)), "127.0.0.1", 0, ssl=context
            )
            self._port = self._server.sockets[0].getsockname()[1]
        kind, options = self.options(**more)
        around = Surroundings(self._reactor, SystemClock(), self._desk.emit, Path())
        self.listener = kind.build("source", options, self._desk.receive, around)
        await self.listener.start()
        return self

    async def peer(self):
        """A connected peer: reader, writer."""
        if self.dials:
            reader, writer = await asyncio.wait_for(self._came.get(), 10)
        else:
            tls = {}
            if self.secure:
                context = Certificates().client(self._papers.tls()).context
                tls = {"ssl": context, "server_hostname": "localhost"}
            reader, writer = await asyncio.open_connection(*self.listener.address, **tls)
        self.writers.append(writer)
        return Peer(self, reader, writer)

    async def close(self):
        """All of it."""
        if self.listener is not None:
            await self.listener.stop(0)
        for writer in self.writers:
            writer.close()
        if self._server is not None:
            self._server.close()


class Peer:
    """One connection of the other side."""

    def __init__(self, source, reader, writer):
        self._source, self._reader, self._writer = source, reader, writer

    def send(self, *contents):
        """Frames, in one write."""
        self._writer.write(b"".join(map(self._source.encode, contents)))

    def raw(self, data):
        """Bytes as they are."""
        self._writer.write(data)

    async def hear(self, *contents):
        """Exactly these frames."""
        wanted = b"".join(map(self._source.encode, contents))
        assert await asyncio.wait_for(self._reader.readexactly(len(wanted)), 10) == wanted

    async def hears(self):
        """Whether anything comes at once."""
        try:
            return await asyncio.wait_for(self._reader.read(1), 0.05)
        except TimeoutError:
            return None

    async def end(self):
        """What comes until it closes, which it must."""
        try:
            return await asyncio.wait_for(self._reader.read(), 10)
        except ConnectionError:
            return b""


@pytest.fixture(params=KINDS)
async def source(request, reactor, desk, papers):
    """A Source of each kind, not started. Its desk answers nothing by itself."""
    desk.at_once = False
    made = Source(request.param, reactor, desk, papers)
    yield made
    await made.close()


ONE, TWO, THREE = b"message 1", b"message 2", b"message 3"
A1, A2, A3 = b"answer  1", b"answer  2", b"answer  3"


async def test_nothing_is_said_before_the_receipt(source, desk):
    """P1: who answers is above; the listener says nothing by itself."""
    peer = await (await source.start()).peer()
    peer.send(ONE)

    assert await desk.got(1) == [ONE]
    assert await peer.hears() is None
    desk.arrivals[0].answer(desk.accepted(A1))
    await peer.hear(A1)


async def test_answers_leave_in_the_order_of_the_messages(source, desk):
    """M4: whatever is answered first."""
    peer = await (await source.start()).peer()
    peer.send(ONE, TWO, THREE)
    await desk.got(3)

    for number in (2, 0, 1):
        desk.arrivals[number].answer(desk.accepted((A1, A2, A3)[number]))

    await peer.hear(A1, A2, A3)


async def test_a_message_past_the_limit_ends_its_connection(source, desk):
    """M3: those before it are taken and answered, nothing of it is, and it is told."""
    peer = await (await source.start(limit="9B")).peer()
    if source.frame == FRAMES["fixed"]:
        pytest.skip("a frame of a fixed length is never longer")
    peer.send(ONE, b"x" * 50)
    await desk.until(lambda: desk.arrivals and desk.named("FrameRefused"))
    desk.arrivals[0].answer(desk.accepted(A1))

    await peer.hear(A1)
    assert await peer.end() == b""
    assert await desk.got(1) == [ONE]
    assert desk.named("FrameRefused")[0].code == "wire.frame_too_large"


async def test_a_begun_message_that_stops_is_closed(source, desk):
    """M3: slow-loris: after `timeout` of silence."""
    peer = await (await source.start(timeout="100ms")).peer()
    peer.raw(source.encode(ONE)[:5])

    assert await peer.end() == b""
    assert desk.named("FrameRefused")[0].code == "timeout"
    assert desk.arrivals == []


async def test_a_hold_reads_nothing_and_a_release_goes_on(source, desk):
    """Back-pressure: the connection stays, nothing is lost."""
    await source.start()
    peer = await source.peer()
    peer.send(ONE)
    await desk.got(1)
    source.listener.hold()
    peer.send(TWO)
    peer.send(THREE)
    await asyncio.sleep(0.05)
    assert len(desk.arrivals) == 1

    source.listener.release()

    assert await desk.got(3) == [ONE, TWO, THREE]


async def test_pipelined_messages_are_read_with_bounded_look_ahead(source, desk):
    """M4: at most 64 wait for their answers; then all come."""
    peer = await (await source.start()).peer()
    contents = [b"number%3d" % number for number in range(200)]
    peer.send(*contents)
    await desk.got(64)
    await asyncio.sleep(0.05)
    assert len(desk.arrivals) == 64
    for arrival in desk.arrivals:
        arrival.answer(desk.accepted(A1))
    done = 64
    while done < 200:
        await desk.got(done + 1)
        for arrival in desk.arrivals[done:]:
            done += 1
            arrival.answer(desk.accepted(A1))

    assert [arrival.content for arrival in desk.arrivals] == contents
    await peer.hear(*[A1] * 200)


async def test_changed_options_are_adopted_within_the_connection(source, desk):
    """A reload closes nobody; the new limit holds for the next message."""
    await source.start()
    peer = await source.peer()
    peer.send(ONE)
    await desk.got(1)
    _, changed = source.options(limit="20B", timeout="7s")
    if not source.dials:
        changed = changed.model_copy(update={"listen": source.listener._source.listen})

    assert source.listener.adopt(changed)

    desk.arrivals[0].answer(desk.accepted(A1))
    await peer.hear(A1)
    if source.frame != FRAMES["fixed"]:
        peer.send(b"x" * 50)
        await desk.until(lambda: desk.named("FrameRefused"))


async def test_another_address_is_another_source(source):
    """adopt says so; the channel then opens a new one."""
    await source.start()
    kind, options = source.options()
    key = "address" if source.dials else "listen"
    other = kind.options.model_validate(
        {**({} if source.frame is None else {"frame": source.frame}), key: "127.0.0.1:9"}
    )

    assert not source.listener.adopt(other)
    assert type(options) is kind.options


async def test_a_stop_waits_for_the_answers_that_are_owed(source, desk):
    """Draining: the last answers leave, then the connection ends in order."""
    await source.start()
    peer = await source.peer()
    peer.send(ONE)
    await desk.got(1)
    stopping = asyncio.ensure_future(source.listener.stop(5))
    await asyncio.sleep(0.02)
    desk.arrivals[0].answer(desk.accepted(A1))

    await peer.hear(A1)
    assert await peer.end() == b""
    await stopping
    assert source.listener.connections() == 0


async def test_a_stop_does_not_wait_for_ever(source, desk):
    """After the grace what is owed is given up; the sender repeats."""
    await source.start()
    peer = await source.peer()
    peer.send(ONE)
    await desk.got(1)

    await asyncio.wait_for(source.listener.stop(0.05), 5)

    assert await peer.end() == b""
    desk.arrivals[0].answer(desk.accepted(A1))  # harmless


async def test_a_peer_that_goes_harms_nobody(source, desk):
    """P10: its answer reaches nobody, and the source goes on."""
    await source.start()
    peer = await source.peer()
    peer.send(ONE)
    await desk.got(1)
    source.writers[0].close()
    desk.arrivals[0].answer(desk.accepted(A1))
    await desk.until(lambda: desk.named("ConnectionClosed"))

    again = await source.peer()
    again.send(TWO)
    assert await desk.got(2) == [ONE, TWO]


async def test_who_may_not_come_is_closed_and_told(source, desk):
    """M7: from a network that is not allowed, or above `connections`."""
    if source.dials:
        pytest.skip("nobody comes to a source that dials")
    await source.start(allow="192.0.2.0/24")

    reader, writer = await asyncio.open_connection(*source.listener.address)
    source.writers.append(writer)

    assert await asyncio.wait_for(reader.read(), 10) == b""
    await desk.until(lambda: desk.named("ConnectionRefused"))
    assert desk.named("ConnectionRefused")[0].code == "not_allowed"
