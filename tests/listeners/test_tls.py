"""TLS in front of a listener: who gets in, who does not and how that is seen, and what holds
for those that are in as it does without TLS.
"""

import asyncio
import re
import shutil
import ssl
import subprocess

import pytest

from portico.tls.certificates import Certificates
from portico.tls.contexts import SUITES
from portico.wire.mllp import encode

OPENSSL = shutil.which("openssl")
peer_of_its_own = pytest.mark.skipif(not OPENSSL, reason="needs the openssl command")


def told(options):
    """A Tls as a site file has it."""
    said = {"certificate": str(options.certificate), "key": str(options.key)}
    return {**said, "trust": options.trust, "clients": options.clients, "floor": options.floor}


@pytest.fixture
async def secure(listening, papers):
    """`await secure(clients="required")`: a started listener with a certificate."""

    async def start(tls=None, **more):
        options = told(papers.tls("server", **(tls or {})))
        return await listening(tls=options, **more)

    return start


@pytest.fixture
async def enter(connect, papers):
    """`await enter(listener, "lab")`: a connected peer with the certificate of that name."""

    async def go(listener, name="", **more):
        context = Certificates().client(papers.tls(name)).context
        return await connect(listener, ssl=context, server_hostname="localhost", **more)

    return go


async def openssl(listener, *arguments, send=b"", papers=None):
    """What `openssl s_client` says of this listener, with what it read."""
    host, port = listener.address
    done = await asyncio.to_thread(
        subprocess.run,
        [OPENSSL, "s_client", "-connect", f"{host}:{port}", *arguments],
        input=send,
        capture_output=True,
        timeout=30,
    )
    return done.returncode, done.stdout + done.stderr


async def test_a_message_over_tls_is_answered(secure, enter, desk):
    """The content arrives bit for bit and the answer goes back; the peer proved nothing."""
    peer = await enter(await secure())

    peer.send(b"MSH|1", b"MSH|2")

    await peer.hear(b"ACK:MSH|1")
    await peer.hear(b"ACK:MSH|2")
    assert await desk.got(2) == [b"MSH|1", b"MSH|2"]
    assert "user" not in desk.arrivals[0].about


async def test_a_client_certificate_names_the_user(secure, enter, desk):
    """T1: the common name that was proved stands in the envelope; strangers on any network
    may knock, since they must prove who they are.
    """
    listener = await secure({"clients": "required"})
    peer = await enter(listener, "lab")

    peer.send(b"MSH|1")
    await desk.got(1)

    assert desk.arrivals[0].about["user"] == "lab"
    assert listener.gate.refusal("192.0.2.1", 0) is None


async def test_without_a_certificate_there_is_no_session(secure, enter, desk):
    """T1: `clients: required` refuses a peer that shows none, in an event that says so."""
    listener = await secure({"clients": "required"})

    peer = await enter(listener)
    peer.send(b"MSH|1")
    with pytest.raises(ssl.SSLError):
        await peer.rest()
    await desk.until(lambda: desk.named("HandshakeFailed"))

    assert desk.named("HandshakeFailed")[0].code == "no_certificate"
    assert desk.arrivals == []
    assert listener.connections() == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"days": -1}, "expired"),
        ({"ca": "other"}, "untrusted"),
        ({"purpose": "client"}, None),
    ],
)
async def test_client_certificates_are_judged(secure, connect, papers, desk, changes, code):
    """T2: an expired certificate and one of another CA do not get in; a good one does."""
    listener = await secure({"clients": "required"})
    if "ca" in changes:
        changes = {"ca": type(papers)(papers.folder / "..").ca}
    issued = papers.issue("lab", **changes)
    context = ssl.create_default_context(cafile=papers.trust)
    context.load_cert_chain(issued["certificate"], papers.folder / "lab.key")

    peer = await connect(listener, ssl=context, server_hostname="localhost")
    peer.send(b"MSH|1")
    await desk.until(lambda: desk.named("HandshakeFailed") or desk.arrivals)

    assert [event.code for event in desk.named("HandshakeFailed")] == ([code] if code else [])


@pytest.mark.parametrize(
    "plain", [b"\x0bMSH|^~\\&|\x1c\r", b"GET / HTTP/1.1\r\n\r\n", b"\x00", b"\x15\x03\x01\x00"]
)
async def test_plain_text_on_a_tls_port_is_refused_at_once(secure, connect, desk, plain):
    """T3: MLLP or HTTP without TLS is closed and told; nothing of it is a message."""
    peer = await connect(await secure(timeout="200ms"))

    peer.writer.write(plain)
    await peer.rest()
    await desk.until(lambda: desk.named("HandshakeFailed"))

    [event] = desk.named("HandshakeFailed")
    assert event.code in ("not_tls", "timeout" if plain[0] == 0x15 else "not_tls")
    assert desk.arrivals == []


async def test_a_handshake_that_dawdles_is_cut_off(secure, connect, desk):
    """Slow-loris: a begun handshake ends after `timeout`, and counts as a connection until."""
    listener = await secure(timeout="1s", connections=1)
    slow = await connect(listener)
    slow.writer.write(b"\x16\x03\x01")
    other = await connect(listener)

    assert await other.rest() == b""
    assert await slow.rest() == b""
    assert desk.named("ConnectionRefused")[0].code == "too_many"
    await desk.until(lambda: desk.named("HandshakeFailed"))
    assert desk.named("HandshakeFailed")[0].code == "timeout"


async def test_a_peer_that_hangs_up_in_the_handshake_is_told_of(secure, connect, desk):
    """A port scan leaves a trace and nothing else."""
    listener = await secure()
    peer = await connect(listener)
    peer.writer.close()

    await desk.until(lambda: desk.named("HandshakeFailed"))
    assert desk.named("HandshakeFailed")[0].code == "closed"


@pytest.mark.parametrize("size", [0, 1, 5, 100, 10_000])
async def test_random_bytes_end_nothing(secure, connect, enter, desk, size):
    """P10: noise instead of a handshake harms neither the listener nor those who are in."""
    listener = await secure()
    good = await enter(listener)
    assert listener.adopt(listener._source.model_copy(update={"timeout": 0.2}))
    noise = await connect(listener)
    noise.writer.write(b"\x16" + bytes(i * 7 % 251 for i in range(size)))
    await noise.rest()

    good.send(b"MSH|1")
    await good.hear(b"ACK:MSH|1")


async def test_16_mb_in_and_out(secure, enter):
    """A frame at the limit arrives, and so does its answer."""
    peer = await enter(await secure(limit="17MiB"))
    large = b"MSH|" + b"x" * (16 << 20)

    peer.send(large)

    await peer.hear(b"ACK:" + large)


async def test_a_peer_that_does_not_take_its_answers_stops_being_read(secure, enter, desk):
    """What one connection keeps in memory is bounded over TLS too; then it goes on."""
    peer = await enter(await secure(), limit=1 << 16)
    peer.reader._transport.pause_reading()
    piece = b"MSH|" + b"x" * 200_000

    async def send():
        for _ in range(400):
            peer.send(piece)
            await peer.writer.drain()

    sending = asyncio.ensure_future(send())
    await desk.until(lambda: len(desk.arrivals) > 5)
    seen = -1
    while seen != len(desk.arrivals):
        seen = len(desk.arrivals)
        await asyncio.sleep(0.09)
    assert seen < 300, "80 MB were read from a peer that takes nothing"
    peer.reader._transport.resume_reading()
    for _ in range(400):
        await peer.hear(b"ACK:" + piece)
    await sending


async def test_a_hold_stops_reading_and_a_release_goes_on(secure, enter, desk):
    """Back-pressure works through TLS."""
    listener = await secure()
    peer = await enter(listener)
    peer.send(b"MSH|1")
    await peer.hear(b"ACK:MSH|1")
    listener.hold()
    peer.send(b"MSH|2")
    peer.send(b"MSH|3")
    await asyncio.sleep(0.05)
    assert len(desk.arrivals) == 1

    listener.release()

    await peer.hear(b"ACK:MSH|2")
    await peer.hear(b"ACK:MSH|3")


async def test_the_last_answers_leave_before_the_end(secure, enter, desk):
    """Draining: what is owed is told, then close_notify, then the end."""
    desk.at_once = False
    listener = await secure()
    peer = await enter(listener)
    peer.send(b"MSH|1")
    await desk.got(1)
    stopping = asyncio.ensure_future(listener.stop(5))
    await asyncio.sleep(0)
    desk.arrivals[0].answer(desk.accepted(b"late"))

    await peer.hear(b"late")
    assert await peer.rest() == b""
    await stopping


async def test_new_certificates_do_not_drop_connections(listening, papers, desk, connect):
    """T5: who is in stays in; the next handshake shows the new certificate."""
    certificates = Certificates()
    options = told(papers.tls("server"))
    listener = await listening(tls=options, certificates=certificates)
    believer = Certificates().client(papers.tls()).context
    old = await connect(listener, ssl=believer, server_hostname="localhost")
    papers.issue("server")
    certificates.refresh()
    new = await connect(listener, ssl=believer, server_hostname="localhost")

    serials = [p.writer.get_extra_info("peercert")["serialNumber"] for p in (old, new)]
    assert serials[0] != serials[1]
    old.send(b"MSH|1")
    await old.hear(b"ACK:MSH|1")


async def test_changed_tls_is_adopted_without_closing(listening, papers, connect, desk):
    """A reload that asks for client certificates holds for the next peer; others stay."""
    listener = await listening(tls=told(papers.tls("server")))
    believer = Certificates().client(papers.tls()).context
    old = await connect(listener, ssl=believer, server_hostname="localhost")
    changed = told(papers.tls("server", clients="required"))
    before = listener._source
    after = type(before).model_validate(
        {"listen": str(before.listen), "tls": changed, "timeout": "30s"}
    )

    assert listener.adopt(after)

    old.send(b"MSH|1")
    await old.hear(b"ACK:MSH|1")
    new = await connect(listener, ssl=believer, server_hostname="localhost")
    with pytest.raises(ssl.SSLError):
        await new.rest()


async def test_a_certificate_that_is_gone_keeps_the_channel_closed(listening, papers, desk):
    """The port is not opened without TLS; the reason is in the error."""
    from portico.errors import ListenFailed

    options = told(papers.tls("server"))
    (papers.folder / "server.pem").unlink()

    with pytest.raises(ListenFailed, match=r"server\.pem: No such file"):
        await listening(tls=options)


@peer_of_its_own
async def test_openssl_speaks_with_us(secure, papers, desk):
    """T3: an independent peer agrees on TLS 1.3, verifies our chain and sends a message."""
    listener = await secure()

    _, said = await openssl(
        listener, "-CAfile", str(papers.trust), "-verify_hostname", "localhost",
        "-verify_return_error", "-brief", send=encode(b"MSH|1"),
    )  # fmt: skip

    assert b"TLSv1.3" in said
    assert b"Verification: OK" in said
    assert await desk.got(1) == [b"MSH|1"]


@peer_of_its_own
async def test_a_scan_finds_nothing_below_1_2_and_no_other_suite(secure):
    """T3: every version and every suite that OpenSSL has, tried one by one."""
    listener = await secure()
    listed = subprocess.run(
        [OPENSSL, "ciphers", "-s", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    suites = [suite for suite in listed.strip().split(":") if not suite.startswith("TLS_")]
    taken = []
    for suite in suites:
        code, said = await openssl(
            listener, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0", "-brief"
        )
        if code == 0 and b"CONNECTION ESTABLISHED" in said:
            taken.append(suite)
    old = {
        version: (await openssl(listener, version, "-cipher", "ALL:@SECLEVEL=0", "-brief"))[0]
        for version in ("-tls1", "-tls1_1")
    }

    assert len(suites) > 30
    assert set(taken) == {suite for suite in SUITES if "ECDSA" in suite}
    assert all(old.values()), old


@peer_of_its_own
async def test_nothing_is_renegotiated_compressed_or_resumed(secure, desk):
    """RFC 9325 3.3 to 3.5: asked by OpenSSL for each."""
    listener = await secure()

    _, said = await openssl(listener, "-tls1_2", send=b"R\n")

    text = said.decode("latin-1")
    assert "Compression: NONE" in text
    assert not re.search(r"TLS session ticket:", text)
    assert re.search(r"no renegotiation|RENEGOTIATING\n[0-9A-F]+:error", text), text
