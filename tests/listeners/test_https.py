"""The HTTPS source on real sockets: who may send, what is taken, and what each is told."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import re
import time
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from cryptography import x509

from destinations.stalls import stall
from portico.clock import SystemClock
from portico.errors import ListenFailed
from portico.ids import SignalId
from portico.listeners import http_body
from portico.listeners.contract import Surroundings
from portico.listeners.https import HTTPS, HttpsSource
from portico.listeners.signatures import Signatures
from portico.model.receipt import Receipt, Told
from portico.tls import authority
from portico.tls.certificates import Certificates
from ports import free_port

HL7 = {"Content-Type": "application/hl7-v2"}
JSON = {"Content-Type": "application/json"}
STORED = Receipt(Told.ACCEPTED, code="accepted", signal=SignalId(b"\1" * 16))


@pytest.fixture
async def serving(desk, tmp_path):
    """`await serving(path=..., auth=...)`: a started listener; all share one engine's world."""
    started = []
    around = Surroundings(
        None, SystemClock(), desk.emit, tmp_path, {"KEY": "s3cret-key", "OTHER": "no"}
    )

    async def start(
        content: str = "json", ended: bool = False, channel: str = "", **options: Any
    ):
        source = HttpsSource.model_validate({"listen": "127.0.0.1:0", **options})
        source = source.model_copy(update={"content": content, "ended": ended})
        listener = HTTPS.build(
            channel or options.get("path", "/"), source, desk.receive, around
        )
        await listener.start()
        started.append(listener)
        return listener

    yield start
    for listener in started:
        await listener.stop(0)


def url(listener: Any, path: str = "/") -> str:
    """Where it listens."""
    return f"http://{listener.address}{path}"


@pytest.fixture
async def client():
    """An HTTP client that is not ours."""
    async with httpx2.AsyncClient(timeout=10) as made:
        yield made


async def raw(listener: Any, data: bytes) -> bytes:
    """All that comes back for these bytes until the listener closes."""
    reader, writer = await asyncio.open_connection(*listener.address)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


async def test_a_message_is_handed_up_and_its_answer_comes_back(serving, desk, client):
    """HL7 in, the ACK out, bit for bit, with the header and query beside it and no secret."""
    listener = await serving("hl7", auth={"api_key": "${env:KEY}"})
    headers = {**HL7, "X-Api-Key": "s3cret-key", "X-Ward": "7"}
    told = await client.post(url(listener, "/?bed=3"), content=b"MSH|1\r", headers=headers)
    assert (told.status_code, told.content) == (200, b"ACK:MSH|1\r")
    (arrival,) = desk.arrivals
    assert arrival.content == b"MSH|1\r"
    assert arrival.about["query"] == {"bed": "3"}
    assert arrival.about["header"] == {"x-ward": "7"}


RECEIPTS = [
    (STORED, False, 202, {"signal": "01010101-0101-0101-0101-010101010101"}),
    (STORED, True, 200, {"signal": "01010101-0101-0101-0101-010101010101"}),
    (Receipt(Told.REFUSED, code="101", text="no", location="/n"), True, 422, "101"),
    (Receipt(Told.FAILED, code="failed", text="kept"), True, 500, "failed"),
    (Receipt(Told.SILENT, close=True, text="not stored"), False, 503, None),
    (Receipt(Told.SILENT, code="empty", text="no content"), False, 400, "empty"),
]


@pytest.mark.parametrize(("receipt", "ended", "status", "said"), RECEIPTS)
async def test_each_receipt_has_its_status(serving, desk, client, receipt, ended, status, said):
    """202 or 200 only for what is stored; refusals and faults are problem details."""
    desk.at_once = False
    listener = await serving(ended=ended)
    asked = asyncio.ensure_future(client.post(url(listener), content=b"{}", headers=JSON))
    await desk.got(1)
    desk.arrivals[0].answer(receipt)
    told = await asked
    assert told.status_code == status
    if status < 300:
        assert told.json() == said
    else:
        assert told.headers["content-type"] == "application/problem+json"
        assert told.json().get("code") == said
    assert ("retry-after" in told.headers) == (status == 503)


async def test_an_answer_that_promises_more_waits_for_it(serving, desk, client):
    """A request is answered once: accept and application answer leave together."""
    desk.at_once = False
    listener = await serving("hl7")
    asked = asyncio.ensure_future(client.post(url(listener), content=b"MSH|", headers=HL7))
    await desk.got(1)
    desk.arrivals[0].answer(Receipt(Told.ACCEPTED, (b"CA\r",), code="CA", more=True))
    desk.arrivals[0].say(Receipt(Told.ACCEPTED, (b"AA\r",), code="AA"))
    assert (await asked).content == b"CA\rAA\r"


async def test_channels_share_an_address_by_path(serving, desk, client):
    """Each path has its channel; a path that goes closes no connection of another."""
    listen = f"127.0.0.1:{free_port()}"
    one = await serving(path="/one", listen=listen)
    two = await serving(path="/two", listen=listen)
    for path, status in (("/one", 200), ("/two", 200), ("/three", 404)):
        told = await client.post(url(one, path), content=b"{}", headers=JSON)
        assert told.status_code == status
    with pytest.raises(ListenFailed, match="answers there"):
        await serving(path="/two", listen=listen, channel="other")
    opened = len(desk.named("ConnectionOpened"))
    await two.stop(1)
    for path, status in (("/one", 200), ("/two", 404)):
        told = await client.post(url(one, path), content=b"{}", headers=JSON)
        assert told.status_code == status
    assert len(desk.named("ConnectionOpened")) <= opened + 1


async def test_channels_that_share_an_address_may_open_together(serving, desk, client):
    """As they do when the disk has room again: the first listens, the second finds it so."""
    listen = f"127.0.0.1:{free_port()}"
    one, two = await asyncio.gather(
        serving(path="/one", listen=listen), serving(path="/two", listen=listen)
    )
    for listener, path in ((one, "/one"), (two, "/two")):
        told = await client.post(url(listener, path), content=b"{}", headers=JSON)
        assert told.status_code == 200


def signed(body: bytes, stamp: int, key: bytes = b"s3cret-key") -> dict[str, str]:
    """The fields of an hmac signature as docs/site.md has it."""
    text = f"{stamp}\nPOST /?a=1\n".encode() + body
    return {
        "X-Timestamp": str(stamp),
        "X-Signature": hmac.new(key, text, hashlib.sha256).hexdigest(),
    }


NOW = int(time.time())
BASIC = base64.b64encode(b"his:s3cret-key").decode()
WAYS = [
    ("basic", {"Authorization": f"Basic {BASIC}"}, 200),
    ("basic", {"Authorization": f"basic {BASIC}"}, 200),
    ("basic", {"Authorization": "Basic " + base64.b64encode(b"his:x").decode()}, 401),
    ("basic", {"Authorization": "Basic " + base64.b64encode(b"x:s3cret-key").decode()}, 401),
    ("basic", {"Authorization": "Basic !!!"}, 401),
    ("basic", {}, 401),
    ("bearer", {"Authorization": "Bearer s3cret-key"}, 200),
    ("bearer", {"Authorization": "Bearer s3cret-ke"}, 401),
    ("bearer", {"Authorization": "Bearer"}, 401),
    ("api_key", {"X-API-Key": "s3cret-key"}, 200),
    ("api_key", {"X-API-Key": ""}, 401),
    ("hmac", signed(b"{}", NOW), 200),
    ("hmac", signed(b"{} ", NOW), 401),
    ("hmac", signed(b"{}", NOW - 1000), 401),
    ("hmac", signed(b"{}", NOW + 1000), 401),
    ("hmac", signed(b"{}", NOW, b"other"), 401),
    ("hmac", {}, 401),
    ("certificate", {}, 403),
]


@pytest.mark.parametrize(("way", "headers", "status"), WAYS)
async def test_only_who_knows_the_secret_may_send(serving, desk, client, way, headers, status):
    """Every way, right and wrong; a refusal says how to do better and hands nothing up."""
    auth = {way: "${env:KEY}"}
    if way == "basic":
        auth = {way: {"user": "his", "password": "${env:KEY}"}}
    if way == "certificate":
        auth = {way: "his.example"}
    listener = await serving(auth=auth)
    told = await client.post(url(listener, "/?a=1"), content=b"{}", headers={**JSON, **headers})
    assert told.status_code == status
    assert len(desk.arrivals) == (status == 200)
    assert ("www-authenticate" in told.headers) == (status == 401)
    assert "s3cret" not in told.text
    good, bad = desk.named("LoginAccepted"), desk.named("LoginRefused")
    assert (len(good), len(bad)) == ((1, 0) if status == 200 else (0, 1))
    (event,) = good + bad
    right_name = way == "basic" and "aGlz" in headers.get("Authorization", "")
    assert (event.code, event.user) == (way, "his" if right_name else "")
    assert desk.named("RequestRefused") == []


async def test_credentials_that_are_no_ascii_are_refused_like_others(serving, desk):
    """RFC 7617: with 401 and a word to the audit, not with the end of the connection."""
    listener = await serving(auth={"basic": {"user": "his", "password": "${env:KEY}"}})
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Basic \xe9\xff"
    told = await raw(listener, head + b"\r\n\r\n")
    assert told.startswith(b"HTTP/1.1 401 ")
    assert len(desk.named("LoginRefused")) == 1


async def test_a_login_is_told_once_for_a_connection(serving, desk, client):
    """However many messages it brings: what is told costs no message anything."""
    listener = await serving(auth={"bearer": "${env:KEY}"})
    for number in range(3):
        fields = {**JSON, "Authorization": "Bearer s3cret-key"}
        await client.post(url(listener, "/"), content=b"[%d]" % number, headers=fields)

    assert len(desk.arrivals) == 3
    assert len(desk.named("LoginAccepted")) == len(desk.named("ConnectionOpened")) == 1


async def test_a_signature_counts_once(serving, desk, client):
    """Whoever overheard a request cannot repeat it; what we did not store may come again, and
    a reload forgets nothing."""
    listener = await serving(auth={"hmac": "${env:KEY}"})
    first, second = signed(b"{}", NOW), signed(b"[]", NOW)

    async def post(body, fields):
        where = url(listener, "/?a=1")
        return (await client.post(where, content=body, headers={**JSON, **fields})).status_code

    assert await post(b"{}", first) == 200
    assert await post(b"{}", {**first, "Idempotency-Key": "other"}) == 401
    assert await post(b"{}", signed(b"{}", NOW - 1)) == 200
    assert listener.adopt(listener.source.model_copy(update={"limit": 1 << 20}))
    assert await post(b"{}", first) == 401
    desk.at_once = False
    asked = asyncio.ensure_future(post(b"[]", second))
    await desk.got(3)
    desk.arrivals[-1].answer(Receipt(Told.SILENT, close=True))
    assert await asked == 503
    desk.at_once = True
    assert await post(b"[]", second) == 200


def test_signatures_are_forgotten_with_their_time_and_bounded():
    """A timestamp that is too old is refused before; those of one second go at once."""

    def head(stamp, number):
        fields = {"x-timestamp": str(stamp), "x-signature": f"{number:064x}"}
        return SimpleNamespace(fields=fields)

    used = Signatures(most=3)
    assert [used.first(head(NOW, n), NOW) for n in (1, 1, 2, 3, 4)] == [
        True, False, True, True, False,
    ]  # fmt: skip
    used.free(head(NOW, 3))
    assert used.first(head(NOW, 4), NOW)
    assert used.first(head(NOW + 301, 5), NOW + 301)


async def test_a_secret_that_is_away_lets_nobody_in(serving, desk, client):
    """An empty secret would fit an empty key."""
    listener = await serving(auth={"api_key": "${env:GONE}"})
    told = await client.post(url(listener), content=b"{}", headers={**JSON, "X-API-Key": ""})
    assert (told.status_code, desk.arrivals) == (401, [])


TYPES = [
    ("hl7", {"Content-Type": "application/hl7-v2; charset=utf-8"}, b"MSH", 200),
    ("hl7", {"Content-Type": "application/json"}, b"MSH", 415),
    ("json", {"Content-Type": "application/fhir+json"}, b"{}", 200),
    ("json", {"Content-Type": "text/html"}, b"{}", 415),
    ("xml", {"Content-Type": "application/cda+xml"}, b"<a/>", 200),
    ("csv", {"Content-Type": "text/csv"}, b"a;b", 200),
    ("bytes", {"Content-Type": "image/png"}, b"\0", 200),
    ("json", {**JSON, "Content-Encoding": "br"}, b"{}", 415),
    ("json", {**JSON, "Content-Encoding": "gzip"}, gzip.compress(b"{}", mtime=0), 200),
    ("json", {**JSON, "Content-Encoding": "gzip"}, b"{}", 400),
    ("json", {**JSON, "Content-Encoding": "gzip"}, gzip.compress(b"{}", mtime=0)[:-3], 400),
    ("json", {**JSON, "Content-Encoding": "gzip"}, gzip.compress(b"{}", mtime=0) + b"x", 400),
    ("json", {**JSON, "Content-Encoding": "gzip"}, gzip.compress(bytes(4 << 20), mtime=0), 413),
]


@pytest.mark.parametrize(("kind", "headers", "body", "status"), TYPES)
async def test_a_body_is_what_the_channel_takes(
    serving, desk, client, kind, headers, body, status
):
    """Other types and codings are 415; a gzip body is bounded by its ratio and the limit."""
    listener = await serving(kind, limit="1MiB")
    told = await client.post(url(listener), content=body, headers=headers)
    assert told.status_code == status
    assert len(desk.arrivals) == (status == 200)


async def test_a_form_is_a_message_for_each_file(serving, desk, client):
    """Files in order; other fields are dropped; one answer tells of all."""
    listener = await serving("hl7")
    files = [("a", ("one.hl7", b"MSH|1")), ("b", ("two.hl7", b"MSH|2"))]
    told = await client.post(url(listener), files=files, data={"note": "x"})
    assert await desk.got(2) == [b"MSH|1", b"MSH|2"]
    assert [arrival.file for arrival in desk.arrivals] == ["one.hl7", "two.hl7"]
    assert (told.status_code, len(told.json()["signals"])) == (200, 2)


@pytest.mark.parametrize("body", [b"", b"--b\r\n\r\n", b"--b--\r\n", b"x" * 100])
async def test_a_form_that_is_broken_is_refused(serving, desk, client, body):
    """Nothing of it is handed up."""
    listener = await serving("hl7")
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert (await client.post(url(listener), content=body, headers=headers)).status_code == 400
    assert not desk.arrivals


async def test_a_method_that_is_not_served_says_which_are(serving, client):
    """405 with Allow; 404 for another path."""
    listener = await serving(methods=["POST", "PUT"])
    told = await client.get(url(listener))
    assert (told.status_code, told.headers["allow"]) == (405, "POST, PUT")
    assert (await client.post(url(listener, "/x"), headers=JSON)).status_code == 404


async def test_a_body_is_refused_before_it_is_read(serving, desk):
    """413 comes on the head alone; with Expect there is no 100; a chunked one stops early."""
    listener = await serving(limit="1KiB")
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    large = head + b"Content-Length: 2000\r\nExpect: 100-continue\r\n\r\n"
    assert (await raw(listener, large)).startswith(b"HTTP/1.1 413 ")
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n800\r\n"
    assert (await raw(listener, chunked)).startswith(b"HTTP/1.1 413 ")
    assert not desk.arrivals
    assert [event.code for event in desk.named("RequestRefused")] == ["413", "413"]


async def test_a_peer_that_expects_to_be_asked_is_asked(serving, desk):
    """100 Continue, then the body, then the answer."""
    listener = await serving()
    reader, writer = await asyncio.open_connection(*listener.address)
    writer.write(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"{}")
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()


HOSTILE = [
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"POST / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70_000,
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1",
]


@pytest.mark.parametrize("data", HOSTILE)
async def test_a_hostile_request_is_refused_and_its_connection_closed(serving, desk, data):
    """400 or 431, nothing handed up, and what hides behind it is not read as a request."""
    listener = await serving()
    hidden = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    told = await raw(listener, data + hidden)
    assert told[9:12] in (b"400", b"431")
    assert told.count(b"\r\nDate: ") == 1
    assert not desk.arrivals


@pytest.mark.parametrize(
    "begun",
    [
        b"POST / HTTP/1.1\r\nHost:",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n{",
    ],
    ids=["head", "body"],
)
async def test_a_peer_that_trickles_is_told_408(serving, desk, begun):
    """A byte now and then keeps nothing open: the whole head, the whole body have a time."""
    listener = await serving(timeout="200ms")
    reader, writer = await asyncio.open_connection(*listener.address)
    writer.write(begun)
    said = asyncio.ensure_future(reader.read())
    while not said.done():
        await asyncio.sleep(0.02)
        writer.write(b"x")
    assert (await said).startswith(b"HTTP/1.1 408 ")
    assert not desk.arrivals
    writer.close()


async def test_a_stall_of_ours_is_not_taken_for_the_senders_silence(serving, desk):
    """The rest of the body came in time and lies in the socket, unread, while we do nothing for
    much longer than the time-out: it is taken."""
    listener = await serving(timeout="80ms", idle="80ms")
    reader, writer = await asyncio.open_connection(*listener.address)
    writer.write(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    server = listener._server

    def held_up() -> None:
        stall(0.4, writer.write, b"{}")
        server._sweep()

    server._sweeper.cancel()
    server._sweeper = asyncio.get_running_loop().call_soon(held_up)
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_a_silent_connection_is_closed(serving, desk):
    """After `idle`, without a word; an answer that is owed keeps it open."""
    listener = await serving(idle="100ms")
    assert await raw(listener, b"") == b""
    desk.at_once = False
    reader, writer = await asyncio.open_connection(*listener.address)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
    await desk.got(1)
    await desk.until(lambda: desk.named("ConnectionClosed"))
    for _ in range(10):
        await asyncio.sleep(0.03)
    desk.arrivals[0].answer(STORED)
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 202")
    writer.close()


async def test_more_peers_than_allowed_are_closed_at_once(serving, desk, client):
    """And those from elsewhere too; the others do not notice (M7)."""
    listener = await serving(connections=1)
    assert (await client.post(url(listener), content=b"{}", headers=JSON)).status_code == 200
    assert await raw(listener, b"") == b""
    assert (await client.post(url(listener), content=b"{}", headers=JSON)).status_code == 200
    elsewhere = await serving(allow="10.0.0.0/8")
    assert await raw(elsewhere, b"") == b""
    codes = [event.code for event in desk.named("ConnectionRefused")]
    assert codes == ["too_many", "not_allowed"]


async def test_the_gate_stands_before_the_handshake(serving, desk, papers):
    """M7: who may not connect, or is one too many, is closed at once and not shaken hands with;
    a handshake that is over frees its place."""
    tls = papers.tls("server")
    elsewhere = await serving(tls=tls, allow="10.0.0.0/8")
    assert await raw(elsewhere, b"") == b""
    listener = await serving(tls=tls, connections=1)
    dawdling = await asyncio.open_connection(*listener.address)
    assert await raw(listener, b"") == b""
    codes = [event.code for event in desk.named("ConnectionRefused")]
    assert codes == ["not_allowed", "too_many"]
    dawdling[1].close()
    await desk.until(lambda: desk.named("HandshakeFailed"))
    context = Certificates().client(papers.tls()).context
    where = f"https://localhost:{listener.address.port}/"
    async with httpx2.AsyncClient(verify=context) as client:
        assert (await client.post(where, content=b"{}", headers=JSON)).status_code == 200


async def test_pipelined_requests_are_answered_in_order(serving, desk):
    """The second is not handed up before the first is answered."""
    desk.at_once = False
    listener = await serving()
    reader, writer = await asyncio.open_connection(*listener.address)
    one = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
    writer.write(one + b"11" + one + b"22")
    assert await desk.got(1) == [b"11"]
    desk.arrivals[0].answer(Receipt(Told.ACCEPTED, (b"first",)))
    assert await desk.got(2) == [b"11", b"22"]
    desk.arrivals[1].answer(Receipt(Told.ACCEPTED, (b"second",)))
    await reader.readuntil(b"first")
    await reader.readuntil(b"second")
    writer.close()


async def test_a_peer_that_does_not_take_its_answers_stops_being_read(serving, desk):
    """P10: what one connection keeps in memory is bounded; then it goes on, in order."""
    listener = await serving("bytes")
    reader, writer = await asyncio.open_connection(*listener.address)
    reader._transport.pause_reading()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"

    async def send():
        for number in range(200):
            writer.write(head + b"%06d" % number + b"x" * 199_994)
            await writer.drain()

    sending = asyncio.ensure_future(send())
    await desk.got(5)
    seen = -1
    while seen != len(desk.arrivals):
        seen = len(desk.arrivals)
        await asyncio.sleep(0.09)
    assert seen < 150, "40 MB of answers were made for a peer that takes none"
    reader._transport.resume_reading()
    for number in range(200):
        await asyncio.wait_for(reader.readuntil(b"ACK:%06d" % number), 10)
        await reader.readexactly(199_994)
    await sending
    writer.close()


async def test_requests_that_are_answered_at_once_leave_others_their_turn(serving, desk):
    """P6: a stream of what is refused keeps nobody else waiting, and each is answered."""
    listener = await serving()
    reader, writer = await asyncio.open_connection(*listener.address)
    writer.write(b"".join(b"GET /?%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(1000)))
    seen, most = 0, 0
    while seen < 1000:
        before = len(desk.named("RequestRefused"))
        most, seen = max(most, before - seen), before
        await asyncio.sleep(0)
    assert most <= 100
    writer.write_eof()
    assert (await asyncio.wait_for(reader.read(), 10)).count(b"HTTP/1.1 405 ") == 1000
    writer.close()


async def test_an_answer_that_is_taken_slowly_is_not_cut_off(serving, desk):
    """A peer that asked for the end of the connection has as long as any other."""
    listener = await serving("bytes", limit="64MiB")
    reader, writer = await asyncio.open_connection(*listener.address)
    reader._transport.pause_reading()
    size = 20_000_000
    writer.write(
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
    )
    writer.write(b"x" * size)
    await desk.got(1)
    (connection,) = listener._server.connections
    connection.expire(listener._server.now + 60)
    reader._transport.resume_reading()
    said = await asyncio.wait_for(reader.read(), 60)
    assert said.endswith(b"\r\n\r\nACK:" + b"x" * size)
    writer.close()


async def test_a_client_that_has_gone_harms_nobody(serving, desk, client):
    """Its answer reaches nobody; the next client is served."""
    desk.at_once = False
    listener = await serving()
    _, writer = await asyncio.open_connection(*listener.address)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
    await desk.got(1)
    writer.transport.abort()
    while not all(one.leaving for one in listener._server.connections):
        await asyncio.sleep(0.01)
    desk.arrivals[0].answer(STORED)
    assert listener.owed == 0
    desk.at_once = True
    assert (await client.post(url(listener), content=b"{}", headers=JSON)).status_code == 200


async def test_a_peer_that_sends_no_more_is_still_answered(serving, desk):
    """`nc -N` closes its half and waits; its place is free once it has the answer."""
    desk.at_once = False
    listener = await serving()
    reader, writer = await asyncio.open_connection(*listener.address)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
    writer.write_eof()
    await desk.got(1)
    (connection,) = listener._server.connections
    while not connection.leaving:
        await asyncio.sleep(0.01)
    desk.arrivals[0].answer(desk.accepted(b"ACK:{}"))
    assert b"ACK:{}" in await asyncio.wait_for(reader.read(), 10)
    before = listener._server.now
    await desk.until(lambda: desk.named("ConnectionClosed"))
    assert listener._server.now - before < 2, "nothing can follow, so nothing is waited for"
    writer.close()


async def test_a_held_channel_takes_nothing_and_drops_nothing(serving, desk, client):
    """Requests wait, past their deadline too; after the release they are taken."""
    listener = await serving(timeout="100ms")
    listener.hold()
    asked = asyncio.ensure_future(client.post(url(listener), content=b"{}", headers=JSON))
    while not any(one.parked for one in listener._server.connections):
        await asyncio.sleep(0.01)
    for _ in range(10):
        await asyncio.sleep(0.03)
    assert not desk.arrivals
    listener.release()
    assert (await asked).status_code == 200


async def test_changed_options_hold_from_the_next_request(serving, desk, client):
    """Without closing a connection; another path needs a new listener."""
    listener = await serving()
    assert (await client.post(url(listener), content=b"{}", headers=JSON)).status_code == 200
    changed = listener.source.model_copy(update={"methods": ("PUT",), "limit": 1})
    assert listener.adopt(changed)
    assert (await client.post(url(listener), content=b"{}", headers=JSON)).status_code == 405
    assert len(desk.named("ConnectionOpened")) == 1
    assert not listener.adopt(listener.source.model_copy(update={"path": "/other"}))


async def test_a_stop_waits_for_answers_that_are_owed(serving, desk, client):
    """And takes nothing new."""
    desk.at_once = False
    listener = await serving()
    asked = asyncio.ensure_future(client.post(url(listener), content=b"{}", headers=JSON))
    await desk.got(1)
    stopping = asyncio.ensure_future(listener.stop(10))
    await asyncio.sleep(0)
    desk.arrivals[0].answer(STORED)
    await stopping
    assert (await asked).status_code == 202
    assert listener.connections() == 0


async def test_tls_shows_the_certificate_and_knows_the_client(serving, desk, papers):
    """A client with a certificate whose name is allowed may send; another is told 403."""
    listener = await serving(
        tls=papers.tls("server", clients="required"), auth={"certificate": "his"}
    )
    where = f"https://localhost:{listener.address.port}/"
    for name, status in (("his", 200), ("other", 403)):
        context = Certificates().client(papers.tls(name)).context
        async with httpx2.AsyncClient(verify=context) as client:
            told = await client.post(where, content=b"{}", headers=JSON)
            assert told.status_code == status
    plain = await raw(listener, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
    assert b"HTTP/1.1" not in plain
    assert len(desk.arrivals) == 1
    async with httpx2.AsyncClient(verify=Certificates().client(papers.tls()).context) as client:
        with pytest.raises(httpx2.HTTPError):
            await client.post(where, content=b"{}", headers=JSON)
    failed = desk.named("HandshakeFailed")
    assert [event.code for event in failed] == ["not_tls", "no_certificate"]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+", event.peer) for event in failed)


async def test_a_certificate_that_bears_a_directorys_name_too_is_judged_by_its_others(
    serving, desk, papers, monkeypatch
):
    """RFC 5280, 4.2.1.6: directoryName is one of the forms of an alternative name."""
    listener = await serving(
        tls=papers.tls("server", clients="required"), auth={"certificate": "his"}
    )
    subject = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Hospital")])
    monkeypatch.setattr(authority, "_general_name", lambda _: x509.DirectoryName(subject))
    context = Certificates().client(papers.tls("his")).context
    async with httpx2.AsyncClient(verify=context) as client:
        where = f"https://localhost:{listener.address.port}/"
        told = await client.post(where, content=b"{}", headers=JSON)
    assert told.status_code == 200


async def test_a_fault_of_ours_in_a_thread_is_an_answer(serving, desk, client, monkeypatch):
    """No sender waits for one that never comes."""

    def broken(*_):
        raise KeyError("a word that nobody prints")

    monkeypatch.setattr(http_body, "contents", broken)
    listener = await serving()
    packed = {**JSON, "Content-Encoding": "gzip"}
    told = await client.post(
        url(listener), content=gzip.compress(b"{}", mtime=0), headers=packed
    )

    assert (told.status_code, told.json()["code"]) == (500, "internal")
    assert "word" not in told.text
    assert listener.owed == 0


async def test_a_fault_of_ours_at_once_is_an_answer_too(serving, client):
    """The connection ended without one, and each stop waited for it for good."""

    def broken(_):
        raise KeyError("a word that nobody prints")

    listener = await serving()
    listener._receive = broken
    told = await client.post(url(listener), content=b"{}", headers=JSON)

    assert (told.status_code, told.json()["code"]) == (500, "internal")
    assert "word" not in told.text
    assert listener.owed == 0


@pytest.mark.parametrize(
    ("boundary", "name"),
    [
        ("boundary=b", "filename*=utf-8''a; filename*0=b"),
        ("boundary*=idna''b%ff", "filename=a"),
        ("boundary*=punycode''b%ff", "filename=a"),
    ],
)
async def test_a_form_whose_parameters_nobody_can_read_is_a_bad_request(
    serving, desk, client, boundary, name
):
    """RFC 2231 lets a parameter be split and coded; what cannot be put together is told."""
    listener = await serving()
    body = f"--b\r\nContent-Disposition: form-data; {name}\r\n\r\n{{}}\r\n--b--\r\n"
    headers = {"Content-Type": f"multipart/form-data; {boundary}"}
    told = await client.post(url(listener), content=body.encode(), headers=headers)

    assert told.status_code == 400
    assert (listener.owed, desk.arrivals) == (0, [])


async def test_a_broken_form_says_nothing_in_the_log_beside_its_event(serving, client, caplog):
    """Whoever may connect could fill it with lines that are no events."""
    listener = await serving()
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    told = await client.post(url(listener), content=b"--x\r\n", headers=headers)

    assert told.status_code == 400
    assert [one for one in caplog.records if "multipart" in one.name] == []
