"""The MLLP destination against peers on real sockets (M5, M6, A11, R2)."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hl7.mllp import start_hl7_server
from twisted.internet._resolver import HostResolution
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHostnameResolver
from zope.interface import implementer

from portico.clock import SystemClock
from portico.destinations.contract import Surroundings
from portico.destinations.mllp import MLLP, MllpTarget
from portico.hl7 import ack
from portico.ids import SignalId
from portico.model.delivery import Answered, Attempt, Delivery
from portico.wire.mllp import MllpDecoder, encode

SIGNAL = SignalId(bytes.fromhex("019a3b1c0000700080000000deadbeef"))


def message(control_id: str = "7") -> bytes:
    """A message with this MSH-10."""
    return b"MSH|^~\\&|HIS|H|LAB|L|1||ADT^A01|%b|P|2.5\rPID|1\r" % control_id.encode()


def answer(code: str = "AA", control_id: str = "7") -> bytes:
    """Its answer."""
    head = b"MSH|^~\\&|LAB|L|HIS|H|1||ACK|9|P|2.5\r"
    return head + f"MSA|{code}|{control_id}\r".encode()


def delivery(content: bytes | None = None) -> Delivery:
    """One Delivery."""
    return Delivery(SIGNAL, 1, 1, "lab", "", content or message())


class Peer:
    """Takes connections; `script` says what to write for each frame (None: nothing)."""

    def __init__(self) -> None:
        self.script: Callable[[bytes], bytes | None] = lambda _: encode(answer())
        self.frames: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.closed = 0
        self._changed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.writers.append(writer)
        decoder = MllpDecoder(1 << 20)
        try:
            while data := await reader.read(65536):
                for frame in decoder.feed(data):
                    self.frames.append(frame)
                    self._changed.set()
                    if said := self.script(frame):
                        writer.write(said)
        except ConnectionError:
            pass
        self.closed += 1
        self._changed.set()
        writer.close()

    async def until(self, true: Callable[[], Any]) -> None:
        """Wait for frames and ends of connections that make it true."""
        while not true():
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 10)


@pytest.fixture
async def peer():
    """A Peer on a port: `peer.address`."""
    twin = Peer()
    server = await asyncio.start_server(twin.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    twin.address = f"{host}:{port}"
    yield twin
    server.close()
    for writer in twin.writers:
        writer.close()


def spec(options: Any, **common: Any) -> Any:
    """A destination's document as the build functions see it."""
    return SimpleNamespace(
        **{"options": options, "connections": 1, "timeout": 5, "connect": 5, "idle": 3600}
        | common
    )


class Sender:
    """A started destination, driven one attempt at a time."""

    def __init__(self, destination: Any, events: list[Any]) -> None:
        self.destination, self.events = destination, events

    def begin(self, one: Delivery) -> "asyncio.Future[Attempt]":
        """Deliver; the future has the attempt, and fails when `done` is called twice."""
        future = asyncio.get_running_loop().create_future()
        self.destination.deliver(one, future.set_result)
        return future

    async def send(self, one: Delivery | None = None) -> Attempt:
        """Deliver, and wait for the attempt."""
        return await asyncio.wait_for(self.begin(one or delivery()), 10)


@pytest.fixture
async def sending(reactor):
    """`await sending(address, ack=..., common={...})`: a Sender; all are stopped at the end."""
    started = []

    async def start(address: str, common: dict[str, Any] | None = None, **options: Any):
        target = MllpTarget.model_validate({"address": address, **options})
        events: list[Any] = []
        around = Surroundings(reactor, SystemClock(), events.append, Path())
        destination = MLLP.build("lab", spec(target, **(common or {})), around)
        await destination.start()
        started.append(destination)
        return Sender(destination, events)

    yield start
    for destination in started:
        await destination.stop(0)


@pytest.mark.parametrize("code", ["AA", "CA", "AE", "AR", "CE", "CR", "AAX"])
async def test_the_peers_code_and_its_exact_answer_come_back(sending, peer, code):
    """Which code is success is not decided here; `AAX` is not AA."""
    peer.script = lambda _: encode(answer(code))

    attempt = await (await sending(peer.address)).send()

    assert (attempt.answered, attempt.code) == (Answered.ANSWERED, code)
    assert attempt.answer == answer(code)
    assert peer.frames == [message()]


async def test_the_connection_is_kept_for_the_next_message(sending, peer):
    """No connect for each message."""
    sender = await sending(peer.address)

    for i in range(3):
        peer.script = lambda _, i=i: encode(answer(control_id=str(i)))
        assert (await sender.send(delivery(message(str(i))))).code == "AA"

    assert len(peer.writers) == 1


async def test_as_many_connections_as_messages_in_flight(sending, peer):
    """One in flight a connection; lanes above share them."""
    peer.script = lambda _: None
    sender = await sending(peer.address, {"connections": 2})
    first, second = sender.begin(delivery()), sender.begin(delivery())
    await peer.until(lambda: len(peer.frames) == 2)
    assert sender.destination.width == len(peer.writers) == 2

    for writer in peer.writers:
        writer.write(encode(answer()))

    assert [(await first).code, (await second).code] == ["AA", "AA"]


async def test_an_answer_for_another_message_is_not_credited(sending, peer):
    """A11: unclear, and the connection is never used again."""
    peer.script = lambda _: encode(answer(control_id="8"))
    sender = await sending(peer.address)

    attempt = await sender.send()

    assert (attempt.answered, attempt.code) == (Answered.UNCLEAR, "wrong_id")
    peer.script = lambda _: encode(answer())
    assert (await sender.send()).code == "AA"
    assert len(peer.writers) == 2


async def test_a_late_answer_cannot_match_a_later_message(sending, peer):
    """M5: after the time-out the socket is closed; the retry goes over a new one."""
    peer.script = lambda _: None
    sender = await sending(peer.address, {"timeout": 0.05})

    attempt = await sender.send()

    assert (attempt.answered, attempt.code) == (Answered.UNCLEAR, "timeout")
    assert attempt.micros >= 50_000
    await peer.until(lambda: peer.closed == 1)
    peer.script = lambda _: encode(answer())
    assert (await sender.send()).code == "AA"


class Stalled:
    """A reactor whose loop is busy, once, at the moment before a timer is run."""

    def __init__(self, reactor: Any, stall: Callable[[], None]) -> None:
        self._reactor, self._stall, self.armed = reactor, stall, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def callLater(self, delay: float, call: Callable[..., Any], *args: Any) -> Any:
        """As the reactor's."""

        def run() -> None:
            if self.armed:
                self.armed = False
                self._stall()
            call(*args)

        return self._reactor.callLater(delay, run)


async def test_a_stall_of_ours_is_not_taken_for_the_peers_silence(reactor):
    """The answer came in time and lies in the socket, unread, when the time-out is looked at.
    It is credited, and nothing is sent a second time."""
    for timeout in (0.08, 0.8, 4.0):  # the longer ones for a machine that is busy
        if attempt := await stalled_attempt(reactor, timeout):
            break

    assert (attempt.answered, attempt.code) == (Answered.ANSWERED, "AA")


async def stalled_attempt(reactor, timeout):
    """What became of it; None where an answer did not come in time without any stall."""
    sent, answers = threading.Event(), []

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            while connection.recv(65536):
                if answers:
                    assert sent.wait(10)
                answers.append(connection.send(encode(answer())))

    def stall() -> None:
        began = clock.monotonic()
        sent.set()
        while len(answers) < 2 or clock.monotonic() - began < 2 * timeout:
            pass

    clock = SystemClock()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        stalled = Stalled(reactor, stall)
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        target = MllpTarget.model_validate({"address": address})
        around = Surroundings(stalled, clock, print, Path())
        sender = Sender(MLLP.build("lab", spec(target, timeout=timeout), around), [])
        await sender.destination.start()
        if first := (await sender.send()).code == "AA":
            asked = sender.begin(delivery())
            stalled.armed = True
            attempt = await asyncio.wait_for(asked, 60)
            assert not stalled.armed
        await sender.destination.stop(0)
    return attempt if first else None


async def test_a_peer_that_is_not_there_is_no_connection(sending):
    """Nothing was sent: the lane may try again without fear of a second delivery."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    attempt = await (await sending(f"127.0.0.1:{port}")).send()

    assert (attempt.answered, attempt.code) == (Answered.NO_CONNECTION, "no_connection")
    assert attempt.detail == f"127.0.0.1:{port}: connection refused"


async def test_a_peer_that_does_not_take_the_connection_in_time(sending):
    """A full backlog answers nothing; `connect` bounds the wait."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        full = [socket.socket() for _ in range(4)]
        for knock in full:
            knock.setblocking(False)
            knock.connect_ex(address)
        sender = await sending(f"127.0.0.1:{address[1]}", {"connect": 0.1})

        attempt = await sender.send()

        for knock in full:
            knock.close()
    assert attempt.answered is Answered.NO_CONNECTION
    assert attempt.detail.endswith("no connection in time")


async def test_a_connection_closed_before_the_answer_is_unclear(sending, peer):
    """It may have the message."""

    def close(_: bytes) -> None:
        peer.writers[-1].close()

    peer.script = close

    attempt = await (await sending(peer.address)).send()

    assert (attempt.answered, attempt.code) == (Answered.UNCLEAR, "closed")


async def test_a_connection_closed_while_it_rests_costs_no_attempt(sending, peer):
    """Many peers close after each message."""
    sender = await sending(peer.address)
    for _ in range(3):
        assert (await sender.send()).code == "AA"
        peer.writers[-1].close()
        while sender.destination._resting:
            await asyncio.sleep(0)

    assert len(peer.writers) == 3


@pytest.mark.parametrize(
    "said", [b"OK", b"", b"MSH|^~\\&|LAB\r", b"MSH\rMSA|AA|7\r", b"\xff" * 40]
)
async def test_an_answer_that_cannot_be_read_is_unclear(sending, peer, said):
    """Its bytes are kept for people; nothing is credited."""
    peer.script = lambda _: encode(said)

    attempt = await (await sending(peer.address)).send()

    assert (attempt.answered, attempt.code) == (Answered.UNCLEAR, "garbled")
    assert attempt.answer == said


async def test_an_answer_in_single_bytes_is_read(sending, peer):
    """One byte at a time, with noise before it."""
    peer.script = lambda _: None
    sender = await sending(peer.address)
    future = sender.begin(delivery())
    await peer.until(lambda: peer.frames)

    for byte in b"\r\n" + encode(answer()):
        peer.writers[0].write(bytes((byte,)))
        await asyncio.sleep(0)

    assert (await future).code == "AA"


async def test_an_answer_that_nobody_waits_for_closes_the_connection(sending, peer):
    """A second answer to the last message must not meet the next one."""
    peer.script = lambda _: encode(answer()) * 2
    sender = await sending(peer.address)

    assert (await sender.send()).code == "AA"
    await peer.until(lambda: peer.closed == 1)

    assert [type(event).__name__ for event in sender.events] == ["AnswerUnexpected"]
    assert (await sender.send()).code == "AA"


async def test_content_with_an_end_mark_is_never_sent(sending, peer):
    """The peer would cut it in two; no retry can help."""
    attempt = await (await sending(peer.address)).send(delivery(message() + b"\x1c\r"))

    assert (attempt.answered, attempt.code) == (Answered.ANSWERED, "unsendable")
    assert peer.writers == []


async def test_content_that_is_not_hl7_takes_any_answer(sending, peer):
    """There is no control id to match."""
    peer.script = lambda _: encode(answer(control_id="whatever"))

    assert (await (await sending(peer.address)).send(delivery(b'{"a": 1}'))).code == "AA"


async def test_control_ids_are_matched_byte_for_byte(sending, peer):
    """A6: escapes and bytes outside ASCII included."""
    odd = message("x").replace(b"|x|", b"|\\T\\\xe4 1|")
    peer.script = lambda _: encode(answer(control_id="x").replace(b"|x", b"|\\T\\\xe4 1"))

    assert (await (await sending(peer.address)).send(delivery(odd))).code == "AA"


async def test_a_commit_answer_is_not_the_application_answer(sending, peer):
    """`ack: application` waits on after CA; CE and CR end it."""
    sender = await sending(peer.address, ack="application")

    peer.script = lambda _: encode(answer("CA")) + encode(answer("AE"))
    assert (await sender.send()).code == "AE"
    peer.script = lambda _: encode(answer("CR"))
    assert (await sender.send()).code == "CR"


async def test_without_answers_written_is_done(sending, peer):
    """`ack: none`: an answer that comes all the same is dropped."""
    sender = await sending(peer.address, ack="none")

    assert (await sender.send()).code == "written"
    await peer.until(lambda: len(peer.frames) == 1)
    assert (await sender.send()).code == "written"
    await peer.until(lambda: len(peer.frames) == 2)

    assert len(peer.writers) == 1


async def test_without_answers_a_large_message_is_done_once_the_kernel_has_it(sending):
    """A peer that reads nothing keeps it unfinished; reading it ends the attempt."""
    taken = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await taken.wait()
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender = await sending(f"127.0.0.1:{port}", ack="none")
    future = sender.begin(delivery(message() + b"x" * (32 << 20)))
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert not future.done()

    taken.set()

    assert (await asyncio.wait_for(future, 10)).code == "written"
    server.close()


async def test_release_2_waits_for_the_commit_block_and_the_answer(sending, peer):
    """R2, R3: the answer is confirmed by a commit block of ours."""
    peer.script = lambda frame: (
        b"\x0b\x06\x1c\x0d" + encode(answer()) if frame != b"\x06" else None
    )

    attempt = await (await sending(peer.address, release="2")).send()

    assert attempt.code == "AA"
    await peer.until(lambda: len(peer.frames) == 2)
    assert peer.frames == [message(), b"\x06"]


async def test_release_2_takes_a_nak_as_unclear_to_be_sent_again(sending, peer):
    """R2: the same content goes out again, by the destination's retry."""
    peer.script = lambda _: b"\x0b\x15\x1c\x0d"

    attempt = await (await sending(peer.address, release="2")).send()

    assert (attempt.answered, attempt.code) == (Answered.UNCLEAR, "nak")


async def test_release_2_without_answers_is_done_at_the_commit_block(sending, peer):
    """Better than `written`: the peer has stored it."""
    peer.script = lambda _: b"\x0b\x06\x1c\x0d"

    attempt = await (await sending(peer.address, release="2", ack="none")).send()

    assert (attempt.code, attempt.answer) == ("written", b"\x06")


async def test_a_new_address_is_taken_by_the_next_delivery(sending, peer):
    """What is in flight ends where it began."""
    old = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = old.sockets[0].getsockname()[1]
    sender = await sending(f"127.0.0.1:{port}")
    first = sender.begin(delivery())
    target = MllpTarget.model_validate({"address": peer.address})

    assert sender.destination.adopt(spec(target, connections=3))

    assert (await sender.send()).code == "AA"
    assert sender.destination.width == 3
    assert not first.done()
    assert not sender.destination.adopt(object())
    old.close()


async def test_an_idle_connection_is_closed(sending, peer):
    """A firewall would drop it without a word."""
    sender = await sending(peer.address, {"idle": 0.05})
    await sender.send()

    await peer.until(lambda: peer.closed == 1)

    assert (await sender.send()).code == "AA"


async def test_stop_lets_what_is_in_flight_end(sending, peer):
    """Within its grace."""
    peer.script = lambda _: None
    sender = await sending(peer.address)
    future = sender.begin(delivery())
    await peer.until(lambda: peer.frames)

    stopping = asyncio.ensure_future(sender.destination.stop(10))
    peer.writers[0].write(encode(answer()))

    assert (await future).code == "AA"
    await stopping
    await peer.until(lambda: peer.closed == 1)


async def test_stop_reports_what_did_not_end_as_unclear(sending, peer):
    """It may have arrived; after the restart it is sent again."""
    peer.script = lambda _: None
    sender = await sending(peer.address)
    future = sender.begin(delivery())
    await peer.until(lambda: peer.frames)

    await sender.destination.stop(0.01)

    attempt = await future
    assert (attempt.answered, attempt.code) == (Answered.UNCLEAR, "closed")


async def test_a_name_is_resolved(sending, peer):
    """`localhost` may be ::1 first; all its addresses are tried."""
    port = peer.address.rpartition(":")[2]

    assert (await (await sending(f"localhost:{port}")).send()).code == "AA"


async def test_python_hl7_acknowledges(sending):
    """A peer that we did not write: python-hl7's server and its own create_ack."""

    async def acknowledge(reader, writer) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                writer.writemessage((await reader.readmessage()).create_ack())
                await writer.drain()

    server = await start_hl7_server(acknowledge, "127.0.0.1", 0, encoding="latin-1")
    port = server.sockets[0].getsockname()[1]
    sender = await sending(f"127.0.0.1:{port}")

    for i in range(3):
        assert (await sender.send(delivery(message(f"id{i}")))).code == "AA"
    server.close()


async def test_a_half_open_peer_is_found_within_the_probe_interval(sending, peer):
    """M6: the kernel's keep-alive on the lines that rest, and the limit on unread bytes."""
    sender = await sending(peer.address, probe="20s")
    await sender.send()
    [line] = sender.destination._lines
    handle = line.transport.getHandle()

    def option(name: int) -> int:
        return handle.getsockopt(socket.IPPROTO_TCP, name)

    assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    probes = option(socket.TCP_KEEPINTVL) * option(socket.TCP_KEEPCNT)
    assert option(socket.TCP_KEEPIDLE) + probes <= 20
    assert option(socket.TCP_USER_TIMEOUT) == 20_000


async def test_an_accept_answer_frees_the_line_and_another_connection_ends_it(sending, peer):
    """A12: CA is not the end where `ack_on` names a channel; the line can send the next."""
    peer.script = lambda frame: encode(answer("CA", frame.split(b"|")[9].decode()))
    sender = await sending(peer.address, {"connections": 2}, ack_on="replies")
    first = sender.begin(delivery())
    await peer.until(lambda: len(peer.frames) == 1)
    second = sender.begin(delivery(message("8")))
    await peer.until(lambda: len(peer.frames) == 2)
    for code, control_id in (("AE", "8"), ("AA", "7")):
        content = answer(code, control_id)
        assert sender.destination.credit(ack.read(content), content, (b"LAB", b"L"))

    assert [(await one).code for one in (first, second)] == ["AA", "AE"]
    assert (await second).answer == answer("AE", "8")
    assert not sender.destination.credit(ack.read(answer()), answer(), None)


@pytest.mark.parametrize(("ends", "said"), [("credit", "AA"), ("timeout", "timeout")])
async def test_who_waits_elsewhere_is_told_of_and_taken_back(sending, peer, ends, said):
    """A12: aside once the line is free, and back before it is done, however it ends."""
    peer.script = lambda _: encode(answer("CA"))
    sender = await sending(peer.address, {"timeout": 0.2}, ack_on="replies")
    changes = []
    sender.destination.aside = changes.append
    attempt = sender.begin(delivery())
    await peer.until(lambda: changes == [1])
    if ends == "credit":
        assert sender.destination.credit(ack.read(answer()), answer(), None)

    assert ((await attempt).code, changes) == (said, [1, -1])


async def test_a_silent_line_is_free_once_its_bytes_are_out(sending, peer):
    """A12 with `ack: none`: the same, without an accept answer."""
    sender = await sending(peer.address, ack="none", ack_on="replies")
    changes = []
    sender.destination.aside = changes.append
    attempt = sender.begin(delivery())
    await peer.until(lambda: len(peer.frames) == 1)
    assert sender.destination.credit(ack.read(answer()), answer(), None)

    assert ((await attempt).code, changes) == ("AA", [1, -1])


async def test_without_an_answer_on_the_other_connection_it_is_unclear(sending, peer):
    """A12: it goes out again under the same id; a late answer credits nothing."""
    peer.script = lambda _: encode(answer("CA"))
    sender = await sending(peer.address, {"timeout": 0.05}, ack_on="replies")

    attempt = await sender.send()

    assert (attempt.answered, attempt.code) == (Answered.UNCLEAR, "timeout")
    assert not sender.destination.credit(ack.read(answer()), answer(), None)


async def test_an_answer_elsewhere_may_be_faster_than_the_accept_answer(sending, peer):
    """A12: it ends the delivery; the line closes, so that a late CA meets nobody."""
    peer.script = lambda _: None
    sender = await sending(peer.address, ack_on="replies")
    attempt = sender.begin(delivery())
    await peer.until(lambda: len(peer.frames) == 1)
    assert sender.destination.credit(ack.read(answer()), answer(), None)

    assert (await attempt).code == "AA"
    await peer.until(lambda: peer.closed == 1)


@pytest.mark.parametrize("code", ["CE", "CR", "AA", "AE"])
async def test_any_other_answer_on_the_line_is_the_last_word(sending, peer, code):
    """A12: it was not accepted, or the peer answers on its line after all."""
    peer.script = lambda _: encode(answer(code))
    sender = await sending(peer.address, ack_on="replies")

    assert (await sender.send()).code == code
    assert not sender.destination.credit(ack.read(answer()), answer(), None)


async def test_what_has_no_id_cannot_be_answered_elsewhere(sending, peer):
    """It is no HL7: nothing could ever be matched, so it is not sent."""
    sender = await sending(peer.address, ack_on="replies")

    assert (await sender.send(delivery(b"plain"))).code == "unsendable"
    assert peer.frames == []


async def test_a_stop_leaves_what_waits_elsewhere_unclear(sending, peer):
    """It is sent again by the next engine, and its answer counts then."""
    peer.script = lambda _: encode(answer("CA"))
    sender = await sending(peer.address, ack_on="replies")
    attempt = sender.begin(delivery())
    await peer.until(lambda: len(peer.frames) == 1)
    await sender.destination.stop(0.05)

    assert (await attempt).answered is Answered.UNCLEAR


@implementer(IHostnameResolver)
class Names:
    """Knows one name, which is this machine's."""

    def __init__(self, name: str) -> None:
        self.name = name

    def resolveHostName(
        self, resolutionReceiver: Any, hostName: str, portNumber: int = 0, *_: Any
    ) -> Any:
        """Twisted: look it up."""
        resolution = HostResolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        if hostName == self.name:
            address = IPv4Address("TCP", "127.0.0.1", portNumber)
            resolutionReceiver.addressResolved(address)
        resolutionReceiver.resolutionComplete()
        return resolution


async def test_a_host_name_may_have_an_underscore(reactor, peer, sending):
    """IDNA knows none; the names of Docker's services and of Windows machines have them."""
    before = reactor.installNameResolver(Names("lab_system"))
    try:
        sender = await sending(peer.address.replace("127.0.0.1", "lab_system"))
        attempt = await sender.send()
    finally:
        reactor.installNameResolver(before)

    assert (attempt.answered, attempt.code) == (Answered.ANSWERED, "AA")
