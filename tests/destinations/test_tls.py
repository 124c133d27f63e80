"""TLS on the way out: the MLLP destination against TLS peers on real sockets."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from portico.clock import SystemClock
from portico.destinations import pool
from portico.destinations.contract import Surroundings
from portico.destinations.mllp import MLLP, MllpTarget
from portico.ids import SignalId
from portico.model.delivery import Answered, Delivery
from portico.tls import contexts
from portico.tls.certificates import Certificates
from portico.wire.mllp import MllpDecoder, encode

MESSAGE = b"MSH|^~\\&|HIS|H|LAB|L|1||ADT^A01|7|P|2.5\rPID|1\r"
OPENSSL = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")
ANSWER = b"MSH|^~\\&|LAB|L|HIS|H|1||ACK|9|P|2.5\rMSA|AA|7\r"


@pytest.fixture
async def peer(papers):
    """`await peer(tls)`: an MLLP server with that `tls` (None: plain); it remembers."""
    servers, frames = [], []

    async def serve(reader, writer):
        decoder = MllpDecoder(64 << 20)
        try:
            while data := await reader.read(65536):
                for frame in decoder.feed(data):
                    frames.append(frame)
                    writer.write(encode(ANSWER))
        except (ConnectionError, ssl.SSLError):
            pass
        writer.close()

    async def start(tls=None):
        context = Certificates().server(tls).context if tls else None
        servers.append(await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
        return servers[-1].sockets[0].getsockname()[1]

    yield SimpleNamespace(start=start, frames=frames)
    for server in servers:
        server.close()


@pytest.fixture
async def attempt(reactor):
    """`await attempt(port, tls)`: what became of one Delivery, and the destination."""
    made = []

    async def one(port, tls, host="localhost", content=MESSAGE, certificates=None, **more):
        options = MllpTarget.model_validate(
            {"address": f"{host}:{port}", "tls": told(tls), **more}
        )
        spec = SimpleNamespace(options=options, connections=1, timeout=5, connect=2, idle=3600)
        around = Surroundings(
            reactor, SystemClock(), lambda event: None, Path(),
            certificates=certificates or Certificates(),
        )  # fmt: skip
        if not made or more.get("fresh", True):
            made.append(MLLP.build("lab", spec, around))
        done = asyncio.get_running_loop().create_future()
        signal = SignalId(bytes.fromhex("019a3b1c0000700080000000deadbeef"))
        delivery = Delivery(signal, 1, 1, "lab", "", content)
        made[-1].deliver(delivery, done.set_result)
        return await asyncio.wait_for(done, 10)

    yield one
    for destination in made:
        await destination.stop(0)


def told(options):
    """A Tls as a site file has it; none for None."""
    if options is None:
        return "no"
    said = {"trust": options.trust, "pins": list(options.pins), "names": list(options.names)}
    if options.certificate:
        said |= {"certificate": str(options.certificate), "key": str(options.key)}
    return said


async def test_a_delivery_over_tls_is_answered(peer, attempt, papers):
    """T4: the chain and the name of the address hold; 16 MB go out bit for bit."""
    port = await peer.start(papers.tls("server"))
    large = MESSAGE + b"OBX|" + b"x" * (16 << 20) + b"\r"

    assert (await attempt(port, papers.tls())).code == "AA"
    assert (await attempt(port, papers.tls(), content=large)).code == "AA"
    assert peer.frames == [MESSAGE, large]


async def test_mutual_tls_shows_our_certificate(peer, attempt, papers):
    """T1: a peer that asks for a certificate gets ours."""
    port = await peer.start(papers.tls("server", clients="required", names=["engine"]))

    assert (await attempt(port, papers.tls("engine"))).code == "AA"


@pytest.mark.parametrize(
    ("issued", "dialled", "code"),
    [
        ({"days": -1}, {}, "tls_expired"),
        ({"hosts": ("pacs.internal",)}, {}, "tls_wrong_name"),
        ({}, {"names": ["pacs.internal"]}, "tls_wrong_name"),
        ({}, {"pins": ["00" * 32]}, "tls_wrong_pin"),
        ({}, {"trust": "system"}, "tls_untrusted"),
    ],
)
async def test_a_peer_that_is_not_whom_we_want_gets_nothing(
    peer, attempt, papers, issued, dialled, code
):
    """T2, T4: expired, another host, another name, another key, another CA: no byte of the
    message leaves, and the attempt says why.
    """
    shown = papers.issue("server", **issued)
    port = await peer.start(papers.tls().model_validate(shown))

    told = await attempt(port, papers.tls(**dialled))

    assert (told.answered, told.code) == (Answered.NO_CONNECTION, code)
    assert peer.frames == []


async def test_names_and_pins_that_fit_are_enough(peer, attempt, papers):
    """T2: a certificate of another host is right when the site wants that name or that key."""
    shown = papers.tls().model_validate(papers.issue("server", hosts=("pacs.internal",)))
    port = await peer.start(shown)
    key = contexts.pin_of(contexts.read(shown, papers.folder, {}).certificates[0])

    named = papers.tls(names=["pacs.internal"], pins=[key])
    assert (await attempt(port, named, host="127.0.0.1")).code == "AA"


async def test_the_name_that_is_dialled_is_sent_as_sni(reactor, attempt, papers):
    """T4: servers of several names choose their certificate by it."""
    asked = []
    context = Certificates().server(papers.tls("server")).context
    context.sni_callback = lambda _, name, __: asked.append(name)
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=context)

    await attempt(server.sockets[0].getsockname()[1], papers.tls())

    assert asked == ["localhost"]
    server.close()


async def test_a_plain_peer_is_seen_at_once(reactor, attempt, papers):
    """A peer that speaks plain MLLP on that port, or greets, is no TLS peer."""
    server = await asyncio.start_server(lambda r, w: w.write(b"220 hello\r\n"), "127.0.0.1", 0)

    told = await attempt(server.sockets[0].getsockname()[1], papers.tls())

    assert (told.answered, told.code) == (Answered.NO_CONNECTION, "tls_not_tls")
    server.close()


async def test_a_handshake_that_dawdles_ends_with_connect(reactor, attempt, papers):
    """A peer that takes the connection and says nothing costs `connect` seconds."""
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)

    told = await attempt(server.sockets[0].getsockname()[1], papers.tls())

    assert told.answered is Answered.NO_CONNECTION
    assert told.code in ("tls_timeout", "no_connection")
    server.close()


@pytest.fixture
async def refusing(papers):
    """The port of an `openssl s_server` that wants a certificate of our CA."""
    shown = papers.issue("server")
    command = [
        "openssl", "s_server", "-accept", "127.0.0.1:0", "-Verify", "1", "-verify_return_error",
        "-CAfile", papers.trust, "-cert", shown["certificate"],
        "-key", papers.folder / "server.key",
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        line = b""
        while not line.startswith(b"ACCEPT"):
            line = await asyncio.to_thread(server.stdout.readline)
        yield int(line.rpartition(b":")[2])
        server.kill()


@OPENSSL
async def test_a_peer_that_refuses_our_certificate_is_told_of(attempt, papers, refusing):
    """T1: with TLS 1.3 the refusal comes when we have sent, and nobody can have read it."""
    told = await attempt(refusing, papers.tls())

    assert (told.answered, told.code) == (Answered.NO_CONNECTION, "tls_refused")


@OPENSSL
async def test_a_message_that_asks_for_no_answer_waits_until_it_may_be_refused(
    attempt, papers, refusing
):
    """Written is all that will be known of it: it is not written to a peer that refuses us."""
    told = await attempt(refusing, papers.tls(), ack="none")
    assert (told.answered, told.code) == (Answered.NO_CONNECTION, "tls_refused")

    told = await attempt(refusing, papers.tls("engine"), ack="none")
    assert (told.answered, told.code) == (Answered.ANSWERED, "written")


@OPENSSL
async def test_a_peer_that_lets_us_in_is_known_by_its_first_ticket(
    attempt, papers, refusing, monkeypatch
):
    """Nobody waits longer for a refusal than until it can come no more."""
    monkeypatch.setattr(pool, "_LOOKS", 10_000)
    told = await attempt(refusing, papers.tls("engine"), ack="none")

    assert (told.answered, told.code) == (Answered.ANSWERED, "written")


async def test_files_that_are_gone_are_no_connection(peer, attempt, papers):
    """The Delivery waits; the text names the file."""
    tls = papers.tls("engine")
    (papers.folder / "engine.pem").unlink()

    told = await attempt(await peer.start(papers.tls("server")), tls)

    assert (told.answered, told.code) == (Answered.NO_CONNECTION, "tls")
    assert "engine.pem" in told.detail


async def test_a_new_certificate_is_shown_from_the_next_handshake_on(peer, attempt, papers):
    """T5: what we show as a client follows its file too."""
    certificates = Certificates()
    port = await peer.start(papers.tls("server", clients="required", names=["after"]))
    tls = papers.tls("engine")
    first = await attempt(port, tls, certificates=certificates)
    fresh = papers.issue("after")
    (papers.folder / "engine.pem").write_bytes(Path(fresh["certificate"]).read_bytes())
    (papers.folder / "engine.key").write_bytes((papers.folder / "after.key").read_bytes())
    certificates.refresh()
    second = await attempt(port, tls, certificates=certificates)

    assert first.answered is not Answered.ANSWERED
    assert second.code == "AA"
