"""The MLLP listener, through real sockets (M1 to M9, R1, R3)."""

import asyncio
import socket
import struct
import sys
import tracemalloc
from pathlib import Path

import pytest
from hl7.client import MLLPClient
from pydantic import ValidationError

import hl7
from destinations.stalls import stall
from portico.errors import ListenFailed
from portico.listeners.mllp import MllpSource
from portico.model.receipt import Receipt, Told
from portico.wire.mllp import END, START, encode

SILENCE = Receipt(Told.SILENT)


async def test_a_message_is_handed_up_and_its_answer_goes_back(listening, connect, desk):
    """Content bit for bit, without the frame; peer and connection are told."""
    peer = await connect(await listening())
    peer.send(b"MSH|\xff\x00|")

    await peer.hear(b"ACK:MSH|\xff\x00|")

    [arrival] = desk.arrivals
    port = peer.writer.get_extra_info("sockname")[1]
    assert (arrival.peer, arrival.file) == (f"127.0.0.1:{port}", "")
    assert arrival.received > 1_600_000_000_000_000_000


async def test_answers_leave_in_the_order_of_the_messages(listening, connect, desk):
    """M4: whatever order the flow answers in."""
    desk.at_once = False
    peer = await connect(await listening())
    peer.send(b"1", b"2", b"3")
    await desk.got(3)

    for i in (2, 0, 1):
        desk.arrivals[i].answer(Receipt(Told.ACCEPTED, (b"A%d" % i,)))

    for i in range(3):
        await peer.hear(b"A%d" % i)


async def test_a_silent_receipt_frees_its_place_in_the_queue(listening, connect, desk):
    """A sender that asked for no answer gets none, and the next gets its own."""
    desk.at_once = False
    peer = await connect(await listening())
    peer.send(b"1", b"2")
    await desk.got(2)

    desk.arrivals[0].answer(SILENCE)
    desk.arrivals[1].answer(Receipt(Told.ACCEPTED, (b"CA", b"AA")))

    await peer.hear(b"CA")
    await peer.hear(b"AA")


async def test_a_closing_receipt_closes_after_its_replies(listening, connect, desk):
    """What the connection still owes is dropped: no later answer without the earlier one."""
    desk.at_once = False
    peer = await connect(await listening())
    peer.send(b"1", b"2", b"3")
    await desk.got(3)

    desk.arrivals[2].answer(Receipt(Told.ACCEPTED, (b"never",)))
    desk.arrivals[1].answer(Receipt(Told.SILENT, close=True))
    desk.arrivals[0].answer(Receipt(Told.ACCEPTED, (b"first",)))

    assert await peer.rest() == encode(b"first")
    await desk.until(lambda: desk.named("ConnectionClosed"))
    assert desk.named("ConnectionClosed")[0].code == "told"


async def test_an_answer_for_a_peer_that_has_gone_is_harmless(listening, connect, desk):
    """The flow need not know who is still there."""
    desk.at_once = False
    listener = await listening()
    peer = await connect(listener)
    peer.send(b"1", b"2")
    await desk.got(2)
    handle = peer.writer.get_extra_info("socket")
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.writer.transport.abort()  # a reset, not an orderly end
    await desk.until(lambda: desk.named("ConnectionClosed"))

    for arrival in desk.arrivals:
        arrival.answer(SILENCE)

    assert listener.connections() == 0


async def test_look_ahead_is_bounded_and_all_are_answered(listening, connect, desk):
    """M4: of 500 messages in one read 64 wait above; the rest come as answers leave."""
    desk.at_once = False
    peer = await connect(await listening())
    peer.send(*(b"%03d" % i for i in range(500)))
    await desk.got(64)
    await asyncio.sleep(0)
    assert len(desk.arrivals) == 64

    answered = 0
    while answered < 500:
        await desk.got(answered + 1)
        for arrival in desk.arrivals[answered:]:
            arrival.answer(Receipt(Told.ACCEPTED, (arrival.content,)))
            answered += 1

    for i in range(500):
        await peer.hear(b"%03d" % i)


async def test_a_held_listener_reads_nothing_and_closes_nobody(listening, connect, desk):
    """Back-pressure: a new peer connects and waits too; release() goes on with both."""
    listener = await listening()
    old = await connect(listener)
    old.send(b"before")
    await old.hear(b"ACK:before")

    listener.hold()
    new = await connect(listener)
    old.send(b"old", b"x" * 100_000)
    new.send(b"new")
    await desk.until(lambda: listener.connections() == 2)
    await asyncio.sleep(0.02)
    assert [a.content for a in desk.arrivals] == [b"before"]
    listener.release()

    await old.hear(b"ACK:old")
    await old.hear(b"ACK:" + b"x" * 100_000)
    await new.hear(b"ACK:new")


async def test_a_hold_in_the_middle_of_a_read_keeps_the_rest_of_it(listening, connect, desk):
    """The flow may hold while it takes a message; those behind it wait their turn."""
    listener = await listening()
    peer = await connect(listener)
    take = desk.receive

    def take_one_and_hold(arrival):
        take(arrival)
        listener.hold()

    listener.receive = take_one_and_hold
    peer.send(b"1", b"2")
    await peer.hear(b"ACK:1")
    assert len(desk.arrivals) == 1

    listener.release()

    await peer.hear(b"ACK:2")


async def test_a_peer_that_takes_no_answers_is_not_read(listening, connect, desk):
    """Answers that nobody takes stay bounded: reading stops until they are taken."""
    big = b"x" * (1 << 20)
    desk.at_once = False
    listener = await listening()
    peer = await connect(listener)
    listener.receive = lambda arrival: (
        desk.arrivals.append(arrival),
        arrival.answer(Receipt(Told.ACCEPTED, (big,))),
    )
    for i in range(100):
        peer.writer.write(encode(b"%05d" % i + b"y" * 10_000))
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert len(desk.arrivals) < 100

    for _ in range(100):
        await peer.hear(big)


async def test_noise_between_frames_is_dropped_and_told(listening, connect, desk):
    """M2: it is no reason to close."""
    peer = await connect(await listening())
    peer.writer.write(b"junk" + encode(b"1") + b"\r\n" + encode(b"2"))

    await peer.hear(b"ACK:1")
    await peer.hear(b"ACK:2")

    assert sum(event.count for event in desk.named("NoiseDiscarded")) == 6


async def test_an_empty_frame_goes_up_as_empty_content(listening, connect, desk):
    """M9: the flow decides what to say to it."""
    peer = await connect(await listening())
    peer.send(b"")

    await peer.hear(b"ACK:")


async def test_a_frame_too_large_is_told_after_those_before_it_are_answered(
    listening, connect, desk
):
    """M3: earlier messages of the same read are answered, then the connection closes."""
    peer = await connect(await listening(limit="1KiB"))
    peer.send(b"1", b"2", b"x" * 1025, b"never")

    assert await peer.rest() == encode(b"ACK:1") + encode(b"ACK:2")
    [event] = desk.named("FrameRefused")
    assert event.code == "wire.frame_too_large"
    assert desk.named("ConnectionClosed")[0].code == "broken"


async def test_an_endless_frame_ends_at_the_limit(listening, connect, desk):
    """M3: memory stays bounded, no part of it is processed."""
    peer = await connect(await listening(limit="64KiB"))
    peer.writer.write(START + b"x" * (1 << 20))

    assert await peer.rest() == b""
    assert desk.arrivals == []


async def test_a_stray_mark_closes_a_strict_connection_only(listening, connect, desk):
    """M2: `1C` not followed by `0D` is accepted by default."""
    stream = b"\x0bMSH|1\x1c\n" + encode(b"MSH|2")
    lenient = await connect(await listening())
    strict = await connect(await listening(framing="strict"))
    lenient.writer.write(stream)
    strict.writer.write(stream)

    await lenient.hear(b"ACK:MSH|1")
    await lenient.hear(b"ACK:MSH|2")
    assert await strict.rest() == b""


async def test_a_bare_end_mark_is_taken_when_the_peer_waits(listening, connect):
    """A sender that never writes the `0D` gets its answer; one that is slow loses nothing."""
    peer = await connect(await listening())
    for text in (b"1", b"2"):
        peer.writer.write(START + text + END[:1])
        await peer.hear(b"ACK:" + text)
    peer.writer.write(START + b"3" + END[:1])
    await asyncio.sleep(0.01)
    peer.writer.write(END[1:])
    await peer.hear(b"ACK:3")


async def test_a_peer_that_sends_no_more_is_still_answered(listening, connect, desk):
    """`nc -N` closes its half at once; its answer leaves before ours closes."""
    desk.at_once = False
    peer = await connect(await listening())
    peer.send(b"1")
    peer.writer.write_eof()
    await desk.got(1)

    desk.arrivals[0].answer(Receipt(Told.ACCEPTED, (b"AA",)))

    assert await peer.rest() == encode(b"AA")


async def test_a_begun_message_that_stops_is_closed_after_the_timeout(listening, connect, desk):
    """M3: the silence counts, not the length of the message."""
    peer = await connect(await listening(timeout="100ms"))
    peer.writer.write(START + b"half")

    assert await peer.rest() == b""
    assert desk.arrivals == []
    assert desk.named("FrameRefused")[0].code == "timeout"
    assert desk.named("ConnectionClosed")[0].left == 5


async def test_a_stall_of_ours_is_not_taken_for_the_senders_silence(
    listening, connect, reactor
):
    """The rest of the message came in time and lies in the socket, unread, while we do nothing
    for much longer than the time-out: it is taken, and its sender is answered."""
    listener = await listening(timeout="80ms", idle="80ms")
    peer = await connect(listener)
    peer.writer.write(START + b"ha")
    while not any(one.decoder.unfinished for one in listener._connections):
        await asyncio.sleep(0)

    def held_up() -> None:
        stall(0.4, peer.writer.write, b"lf" + END)
        listener._sweep()

    listener._sweeper.cancel()
    listener._sweeper = reactor.callLater(0, held_up)
    await peer.hear(b"ACK:half")


async def test_a_silent_peer_is_closed_after_idle_unless_we_owe_an_answer(
    listening, connect, desk
):
    """A connection that waits for us is not idle."""
    desk.at_once = False
    listener = await listening(idle="100ms", timeout="100ms")
    silent, waiting = await connect(listener), await connect(listener)
    waiting.send(b"1")

    assert await silent.rest() == b""
    assert desk.named("ConnectionClosed")[0].code == "idle"
    assert listener.connections() == 1
    desk.arrivals[0].answer(Receipt(Told.ACCEPTED, (b"AA",)))
    await waiting.hear(b"AA")


async def test_the_peer_above_the_limit_is_refused_visibly(listening, connect, desk):
    """M7: it is closed at once and told in an event; the others do not notice."""
    listener = await listening(connections="1")
    first = await connect(listener)
    await desk.until(lambda: listener.connections() == 1)

    assert await (await connect(listener)).rest() == b""
    assert desk.named("ConnectionRefused")[0].code == "too_many"
    first.send(b"1")
    await first.hear(b"ACK:1")


async def test_a_peer_that_is_not_allowed_is_refused(listening, connect, desk):
    """Nothing of it is read."""
    peer = await connect(await listening(allow="10.0.0.0/8"))

    assert await peer.rest() == b""
    assert desk.named("ConnectionRefused")[0].code == "not_allowed"


async def test_a_port_in_use_is_told_as_such(listening):
    """The channel alone is down, and says what is in the way."""
    address = (await listening()).address

    with pytest.raises(ListenFailed, match=rf"^127\.0\.0\.1:{address.port}: another program"):
        await listening(listen=str(address))


async def test_changed_options_are_adopted_without_closing(listening, connect, desk):
    """A connection that is in stays in; the next message is under the new limit."""
    listener = await listening(limit="1KiB")
    peer = await connect(listener)
    peer.send(b"1")
    await peer.hear(b"ACK:1")
    changed = MllpSource.model_validate({"listen": "127.0.0.1:0", "limit": "2KiB"})

    assert listener.adopt(changed)

    peer.send(b"x" * 2000)
    await peer.hear(b"ACK:" + b"x" * 2000)
    assert not listener.adopt(MllpSource.model_validate({"listen": "127.0.0.1:1"}))


async def test_stop_waits_for_open_answers_then_closes(listening, connect, desk):
    """What is owed leaves; nothing new is read; nobody new comes in."""
    desk.at_once = False
    listener = await listening()
    waiting, silent = await connect(listener), await connect(listener)
    waiting.send(b"1")
    await desk.got(1)
    address = listener.address

    stopping = asyncio.ensure_future(listener.stop(10))
    assert await silent.rest() == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)
    desk.arrivals[0].answer(Receipt(Told.ACCEPTED, (b"AA",)))

    assert await waiting.rest() == encode(b"AA")
    await stopping
    assert listener.connections() == 0


async def test_stop_gives_up_after_its_grace(listening, connect, desk):
    """An answer that never comes cannot keep the engine alive."""
    desk.at_once = False
    listener = await listening()
    peer = await connect(listener)
    peer.send(b"1")
    await desk.got(1)

    await listener.stop(0.05)

    assert await peer.rest() == b""
    assert listener.connections() == 0


async def test_an_answer_with_an_end_mark_closes_instead(listening, connect, desk):
    """It would reach the peer as two answers, the second for another message."""
    desk.at_once = False
    peer = await connect(await listening())
    peer.send(b"1")
    await desk.got(1)

    desk.arrivals[0].answer(Receipt(Told.ACCEPTED, (b"a\x1c\rb",)))

    assert await peer.rest() == b""
    assert desk.named("AnswerUnsendable")[0].code == "wire.frame_broken"


async def test_release_2_sends_a_commit_block_before_the_answer(listening, connect, desk):
    """R1, R3: the HL7 answer is content of its own; the peer's commit for it is no message."""
    peer = await connect(await listening(release="2"))
    peer.send(b"1")
    assert await peer.read(4) == b"\x0b\x06\x1c\x0d"
    await peer.hear(b"ACK:1")

    peer.writer.write(b"\x0b\x06\x1c\x0d")
    peer.send(b"2")

    assert await peer.read(4) == b"\x0b\x06\x1c\x0d"
    await peer.hear(b"ACK:2")
    assert len(desk.arrivals) == 2


async def test_release_2_drops_a_commit_block_that_ends_bare(listening, connect, desk):
    """Its `1C` without the `0D`, before the peer goes: still no message."""
    peer = await connect(await listening(release="2"))
    peer.send(b"1")
    assert await peer.read(4) == b"\x0b\x06\x1c\x0d"
    await peer.hear(b"ACK:1")

    peer.writer.write(b"\x0b\x06\x1c")
    peer.writer.write_eof()

    assert await peer.rest() == b""
    assert len(desk.arrivals) == 1


async def test_release_2_says_nak_when_it_could_not_store(listening, connect, desk):
    """R1: a Receipt that only closes."""
    desk.at_once = False
    peer = await connect(await listening(release="2"))
    peer.send(b"1")
    await desk.got(1)

    desk.arrivals[0].answer(Receipt(Told.SILENT, close=True))

    assert await peer.rest() == b"\x0b\x15\x1c\x0d"


async def test_release_2_confirms_what_is_stored_and_cannot_be_answered(
    listening, connect, desk
):
    """R1: garbage is in the journal; a NAK would have its sender repeat it for nothing."""
    desk.at_once = False
    peer = await connect(await listening(release="2"))
    peer.send(b"no HL7")
    await desk.got(1)

    desk.arrivals[0].answer(Receipt(Told.REFUSED, close=True))

    assert await peer.rest() == b"\x0b\x06\x1c\x0d"


async def test_python_hl7_gets_its_answer(listening, desk):
    """A client that we did not write."""
    listener = await listening()

    def talk() -> bytes:
        with MLLPClient(*listener.address) as client:
            return client.send_message(hl7.parse("MSH|^~\\&|A|B|C|D|1||ADT^A01|7|P|2.5"))

    answer = await asyncio.get_running_loop().run_in_executor(None, talk)

    assert answer == encode(b"ACK:MSH|^~\\&|A|B|C|D|1||ADT^A01|7|P|2.5\r")


async def test_mllp_send_gets_its_answer(listening, tmp_path):
    """python-hl7's command line, as a process."""
    listener = await listening()
    file = tmp_path / "a01.hl7"
    file.write_bytes(b"MSH|^~\\&|A|B|C|D|1||ADT^A01|7|P|2.5\r")
    host, port = listener.address

    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("mllp_send")),
        *("--loose", f"--file={file}", f"--port={port}", host),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 20)

    assert b"ACK:MSH|^~\\&|A|B|C|D|1||ADT^A01|7|P|2.5" in said


async def test_a_half_open_peer_is_probed_within_the_interval(listening, connect, desk):
    """M6: the kernel's keep-alive, first probe and the rest, fits into `probe`."""
    listener = await listening(probe="20s")
    await connect(listener)
    await desk.until(lambda: listener.connections() == 1)
    handle = next(iter(listener._connections)).transport.getHandle()

    def option(name: int) -> int:
        return handle.getsockopt(socket.IPPROTO_TCP, name)

    assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    probes = option(socket.TCP_KEEPINTVL) * option(socket.TCP_KEEPCNT)
    assert option(socket.TCP_KEEPIDLE) + probes <= 20
    assert option(socket.TCP_USER_TIMEOUT) == 20_000


async def test_an_idle_connection_costs_at_most_16_kib(listening):
    """500 silent peers, one tenth of what the appliance is asked to hold, on our side alone."""
    listener = await listening(connections="500", idle="1h")
    loop = asyncio.get_running_loop()
    peers = [socket.socket() for _ in range(500)]
    for peer in peers:
        peer.setblocking(False)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for peer in peers:
            await loop.sock_connect(peer, listener.address)
        while listener.connections() < 500:
            await asyncio.sleep(0)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        for peer in peers:
            peer.close()

    assert used / 500 < 16 << 10


def test_an_unknown_option_is_an_error():
    """What the source has no word for is refused by its shape."""
    with pytest.raises(ValidationError, match="colour"):
        MllpSource.model_validate({"listen": "127.0.0.1:2575", "colour": "red"})
