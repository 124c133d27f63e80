"""The HTTPS destination against a web server that is not ours (http.server)."""

import asyncio
import base64
import json
import socket
import ssl
import threading
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest

from destinations.stalls import stall
from destinations.web import Server
from portico import ids
from portico.clock import SystemClock
from portico.destinations.contract import Surroundings
from portico.destinations.http_answer import unanswered, wait_of
from portico.destinations.https import HTTPS, HttpsTarget
from portico.model.delivery import Answered, Delivery
from portico.policy import retry

HL7 = b"MSH|^~\\&|A|B|C|D|20261101||ADT^A01|42|P|2.5\rPID|1||7/8 9^^^H\r"
SIGNAL = bytes(range(16))


@pytest.fixture
async def target(tmp_path):
    """`target(address=..., timeout=...)`: a destination; all are stopped at the end."""
    started = []
    environ = {"KEY": "s3cret-key", "CLIENT": "s3cret-client", "ODD": "a+b/c%ü="}

    def make(timeout: float = 5.0, connect: float = 5.0, **options: Any):
        spec = SimpleNamespace(
            options=HttpsTarget.model_validate(options),
            timeout=timeout,
            connect=connect,
            idle=60.0,
            connections=2,
        )
        around = Surroundings(None, SystemClock(), lambda _: None, tmp_path, environ)
        destination = HTTPS.build("his", spec, around)
        started.append(destination)
        return destination

    yield make
    for destination in started:
        await destination.stop(1)


async def send(destination: Any, content: bytes = HL7) -> Any:
    """Deliver once; the Attempt."""
    ended = asyncio.get_running_loop().create_future()
    delivery = Delivery(SIGNAL, 1, 1, "his", "", content, received=0)
    destination.deliver(delivery, ended.set_result)
    return await asyncio.wait_for(ended, 20)


async def test_a_message_is_posted_with_what_the_site_says(server, target):
    """Address and headers from places, escaped; a type by content; a key that stays."""
    destination = target(
        address=server.url + "/p/{PID-3.1}?m={MSH-10}",
        method="PUT",
        headers={"X-Unit": "{MSH-4}", "X-Secret": "${env:KEY}"},
    )
    first, _ = await send(destination), await send(destination)
    assert (first.answered, first.code, first.answer) == (Answered.ANSWERED, "200", b"ok")
    (line, fields, body), (_, again, _) = server.seen
    assert line == "PUT /p/7%2F8%209?m=42"
    assert body == HL7
    assert (fields["x-unit"], fields["x-secret"]) == ("B", "s3cret-key")
    assert fields["content-type"] == "application/hl7-v2"
    assert fields["idempotency-key"] == again["idempotency-key"] == ids.delivery_text(SIGNAL, 1)


STATUSES = [
    (200, retry.DELIVERED),
    (202, retry.DELIVERED),
    (204, retry.DELIVERED),
    (302, retry.REJECTED),
    (400, retry.REJECTED),
    (401, retry.REJECTED),
    (404, retry.REJECTED),
    (408, retry.RETRY),
    (429, retry.RETRY),
    (500, retry.RETRY),
    (503, retry.RETRY),
]


@pytest.mark.parametrize(("status", "verdict"), STATUSES)
async def test_each_status_means_what_the_table_says(server, target, status, verdict):
    """2* done; 408, 429 and 5* again; other 3* and 4* parked."""
    server.script = [(status, {}, b"")]
    attempt = await send(target(address=server.url))
    assert attempt.code == str(status)
    assert retry.judge(retry.HL7_ANSWERS, attempt, 1) == verdict


def test_a_wait_that_the_peer_asks_for_is_heeded():
    """Retry-After as seconds and as a date; nonsense is none; never above an hour."""
    now = 1_800_000_000 * 10**9
    assert wait_of("7", now) == 7.0
    assert wait_of("Fri, 15 Jan 2027 08:00:30 GMT", now) == 30.0
    assert wait_of("Fri, 15 Jan 2021 08:00:30 GMT", now) == 0.0
    assert wait_of("99999999999", now) == 3600.0
    assert (wait_of("", now), wait_of("soon", now), wait_of("-3", now)) == (0.0, 0.0, 0.0)


async def test_the_wait_comes_with_the_attempt(server, target):
    """So that the lane waits at least so long."""
    server.script = [(503, {"Retry-After": "9"}, b"")]
    assert (await send(target(address=server.url))).after == 9.0


@pytest.mark.parametrize(
    ("answer", "answered", "code"),
    [
        (b"MSH|^~\\&|C|D|A|B|1||ACK|9|P|2.5\rMSA|AE|42\r", Answered.ANSWERED, "AE"),
        (b"MSH|^~\\&|C|D|A|B|1||ACK|9|P|2.5\rMSA|AA|41\r", Answered.UNCLEAR, "wrong_id"),
        (b"nonsense", Answered.ANSWERED, "200"),
    ],
)
async def test_an_ack_in_the_answer_judges(server, target, answer, answered, code):
    """A11: by its code, and only when it names our message."""
    server.script = [(200, {"Content-Type": "application/hl7-v2"}, answer)]
    attempt = await send(target(address=server.url))
    assert (attempt.answered, attempt.code) == (answered, code)


def drop(handler: Any) -> None:
    """Close without an answer."""
    handler.close_connection = True


def half(handler: Any) -> None:
    """Close within the answer."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    handler.close_connection = True


def never(handler: Any) -> None:
    """Say nothing until the client goes."""
    handler.connection.recv(1)
    handler.close_connection = True


@pytest.mark.parametrize(
    ("act", "code", "seconds"),
    [(drop, "garbled", 5), (half, "garbled", 5), (never, "timeout", 0.3)],
)
async def test_an_answer_that_is_not_whole_is_unclear(server, target, act, code, seconds):
    """It may have the message: never taken for done, never for not sent."""
    server.script = [act]
    attempt = await send(target(address=server.url, timeout=seconds, connect=5))
    assert (attempt.answered, attempt.code) == (Answered.UNCLEAR, code)


async def test_a_stall_of_ours_is_not_taken_for_the_servers_silence(server, target):
    """The answer came in time and lies in the socket, unread, when the time is up. It is
    credited, and nothing is sent a second time."""
    asked, told = threading.Event(), threading.Event()

    def answers(handler: Any) -> None:
        assert asked.wait(10)
        handler.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
        )
        told.set()

    def ask() -> None:
        asked.set()
        assert told.wait(10)

    destination = target(address=server.url)
    for limit in (0.5, 3.0):  # the longer one for a machine that is busy
        server.seen.clear()
        server.script = [(200, {}, b"ok"), answers]
        destination._spec.timeout = destination._spec.connect = 5.0
        await send(destination)
        destination._spec.timeout = destination._spec.connect = limit
        sending = asyncio.ensure_future(send(destination))
        while len(server.seen) < 2 and not sending.done():
            await asyncio.sleep(0)
        in_time = not sending.done()
        stall(3 * limit, ask)
        attempt = await sending
        if in_time:
            break
        asked.clear()
        told.clear()
    assert (attempt.answered, attempt.code) == (Answered.ANSWERED, "200")
    assert len(attempt.answer) == 100_000


async def test_a_server_that_is_not_there_has_nothing(target):
    """No connection, and the detail names the host, not what was put into the path."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        attempt = await send(target(address=f"http://127.0.0.1:{port}/p/{{PID-3.1}}"))
    assert attempt.answered is Answered.NO_CONNECTION
    assert f"127.0.0.1:{port}" in attempt.detail
    assert "7" not in attempt.detail.replace(str(port), "").replace("127", "")


async def test_an_answer_is_kept_up_to_its_limit(server, target):
    """More is not read."""
    server.script = [(200, {}, b"x" * 100_000)]
    attempt = await send(target(address=server.url, limit="1KiB"))
    assert (attempt.code, len(attempt.answer)) == ("200", 1024)


async def test_redirects_are_followed_only_where_they_may_be(server, target):
    """307 within the same server, when asked for; never to another, never as GET."""
    there = (307, {"Location": "/there"}, b"")
    server.script = [there, (200, {}, b"ok")]
    assert (await send(target(address=server.url + "/here"))).code == "307"
    server.script = [there, (200, {}, b"ok")]
    assert (await send(target(address=server.url + "/here", redirects="yes"))).code == "200"
    assert server.seen[-1][0] == "POST /there"
    assert server.seen[-1][2] == HL7
    for status, where in ((307, "http://127.0.0.1:9/x"), (302, "/there")):
        server.script = [(status, {"Location": where}, b"")]
        attempt = await send(target(address=server.url, redirects="yes"))
        assert attempt.code == str(status)


BASIC = "Basic " + base64.b64encode(b"his:s3cret-key").decode()


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        ({"basic": {"user": "his", "password": "${env:KEY}"}}, "authorization", BASIC),
        ({"bearer": "${env:KEY}"}, "authorization", "Bearer s3cret-key"),
        ({"api_key": "${env:KEY}"}, "x-api-key", "s3cret-key"),
    ],
)
async def test_each_way_to_authenticate_is_shown(server, target, auth, name, value):
    """By the secret as it is when the request leaves."""
    await send(target(address=server.url, auth=auth))
    assert server.seen[0][1][name] == value


async def test_a_secret_that_is_away_sends_nothing(server, target):
    """The reference is named, nothing else."""
    attempt = await send(target(address=server.url, auth={"bearer": "${env:GONE}"}))
    assert (attempt.answered, server.seen) == (Answered.NO_CONNECTION, [])
    assert "${env:GONE}" in attempt.detail


async def test_a_token_is_asked_for_once_and_renewed_after_a_401(server, target):
    """Client credentials: cached, refreshed once, its secret in the token request only."""
    tokens = Server()
    tokens.script = [
        (200, {}, json.dumps({"access_token": name, "expires_in": 3600}).encode())
        for name in ("one", "two")
    ]
    oauth = {
        "address": tokens.url + "/token",
        "client": "engine",
        "secret": "${env:CLIENT}",
        "scope": "write",
    }
    destination = target(address=server.url, auth={"oauth2": oauth})
    for _ in range(2):
        assert (await send(destination)).code == "200"
    assert len(tokens.seen) == 1
    _, fields, form = tokens.seen[0]
    assert parse_qs(form.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["write"],
    }
    assert fields["authorization"].startswith("Basic ")
    server.script = [(401, {}, b""), (200, {}, b"ok")]
    assert (await send(destination)).code == "200"
    said = [seen[1]["authorization"] for seen in server.seen]
    assert said == ["Bearer one"] * 3 + ["Bearer two"]
    server.script = [(401, {}, b"")]
    assert (await send(destination)).code == "401"
    tokens.script = [(500, {}, b"s3cret")]
    destination._credentials.forget()
    attempt = await send(destination)
    assert (attempt.answered, attempt.detail) == (
        Answered.NO_CONNECTION,
        "the token server said 500",
    )
    tokens.shutdown()
    tokens.server_close()


async def test_client_and_secret_are_form_encoded_before_they_are_shown(server, target):
    """RFC 6749, 2.3.1: a colon or a plus in them is none of Basic's."""
    tokens = Server()
    tokens.script = [(200, {}, json.dumps({"access_token": "one"}).encode())]
    secret = "${env:ODD}"
    oauth = {"address": tokens.url, "client": "urn:engine 1", "secret": secret}
    destination = target(address=server.url, auth={"oauth2": oauth})
    assert (await send(destination)).code == "200"
    shown = tokens.seen[0][1]["authorization"].removeprefix("Basic ")
    assert base64.b64decode(shown) == b"urn%3Aengine+1:a%2Bb%2Fc%25%C3%BC%3D"
    tokens.shutdown()
    tokens.server_close()


async def test_a_server_is_known_by_its_certificate(target, papers):
    """A CA that is trusted and the right name; another CA is no connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = papers.issue("server", hosts=("localhost",))
    context.load_cert_chain(issued["certificate"], papers.folder / "server.key")
    server = Server(context)
    assert (await send(target(address=server.url, tls=papers.tls()))).code == "200"
    unknown = await send(target(address=server.url))
    assert (unknown.answered, unknown.code) == (Answered.NO_CONNECTION, "tls_untrusted")
    other = server.url.replace("localhost", "127.0.0.1")
    wrong = await send(target(address=other, tls=papers.tls()))
    assert (wrong.answered, wrong.code) == (Answered.NO_CONNECTION, "tls_wrong_name")
    assert len(server.seen) == 1
    server.shutdown()
    server.server_close()


async def test_a_server_that_refuses_our_certificate_has_read_nothing(target, papers):
    """With TLS 1.3 it says so after we have sent, or only hangs up; with our certificate it is
    let in.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = papers.issue("server", hosts=("localhost",))
    context.load_cert_chain(issued["certificate"], papers.folder / "server.key")
    context.load_verify_locations(papers.trust)
    context.verify_mode = ssl.CERT_REQUIRED
    server = Server(context)
    for _ in range(3):
        told = await send(target(address=server.url, tls=papers.tls()))
        assert (told.answered, told.code) in (
            (Answered.NO_CONNECTION, "tls_refused"),
            (Answered.UNCLEAR, "closed"),
        )
    assert server.seen == []
    assert (await send(target(address=server.url, tls=papers.tls("us")))).code == "200"
    assert len(server.seen) == 1
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("reason", "answered", "code"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", Answered.NO_CONNECTION, "tls_refused"),
        ("TLSV1_ALERT_UNKNOWN_CA", Answered.NO_CONNECTION, "tls_refused"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", Answered.NO_CONNECTION, "tls_refused"),
        ("TLSV1_ALERT_INTERNAL_ERROR", Answered.UNCLEAR, "closed"),
        ("RECORD_LAYER_FAILURE", Answered.UNCLEAR, "closed"),
    ],
)
def test_only_a_refused_certificate_proves_that_nothing_was_read(reason, answered, code):
    """Any other end of TLS may come after the request was worked on."""
    error, outer = ssl.SSLError(1, reason), httpx2.ReadError("")
    error.reason, outer.__cause__ = reason, error
    for told in (error, outer):
        attempt = unanswered(told, "https://his", 5)
        assert (attempt.answered, attempt.code) == (answered, code)


async def test_a_stop_reports_what_is_under_way_as_unclear(server, target):
    """Within its grace; each `done` is called once."""
    server.script = [never]
    destination = target(address=server.url, timeout=30.0)
    sending = asyncio.ensure_future(send(destination))
    while not server.seen:
        await asyncio.sleep(0.01)
    await destination.stop(0.05)
    assert (await sending).answered is Answered.UNCLEAR


@pytest.mark.parametrize(
    "options",
    [
        {"address": "ftp://x/"},
        {"address": "https://{PID-3}/"},
        {"address": "https://user@x/"},
        {"address": "x"},
        {"address": "https://x/", "headers": {"Host": "y"}},
        {"address": "https://x/", "headers": {"X Y": "y"}},
        {"address": "https://x/", "auth": {}},
        {"address": "https://x/", "auth": {"bearer": "plain"}},
    ],
)
def test_options_that_cannot_work_are_refused(options):
    """A place in the host would let a message choose where it goes."""
    with pytest.raises(ValueError):
        HttpsTarget.model_validate(options)


async def test_changed_options_do_not_cut_off_what_is_under_way(server, target):
    """Neither does a new certificate: what is cut off would be sent once more."""
    going, seen = threading.Event(), threading.Event()

    def slow(handler: Any) -> None:
        seen.set()
        going.wait(10)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    server.script = [slow, (200, {}, b"new")]
    destination = target(address=server.url)
    first = asyncio.ensure_future(send(destination))
    await asyncio.to_thread(seen.wait, 10)
    assert destination.adopt(destination._spec)
    second = await send(destination)
    going.set()

    assert (second.code, second.answer) == ("200", b"new")
    assert ((await first).code, (await first).answer) == ("200", b"ok")
    assert not destination._retired


@pytest.mark.parametrize(
    "value", ["..", ".", "\\T\\..", "@evil.example/", "//evil.example", "?a=b#c"]
)
async def test_no_value_leads_the_address_elsewhere(server, target, value):
    """Neither to another host nor to another path: it is one segment, or nothing is sent."""
    destination = target(address=server.url + "/patients/{PID-3.1}/notes?by={PID-3.1}")
    attempt = await send(destination, HL7.replace(b"7/8 9", value.encode()))

    if value in ("..", "."):
        assert (attempt.code, server.seen) == ("unsendable", [])
        return
    ((line, fields, _),) = server.seen
    path, _, query = line.removeprefix("POST ").partition("?")
    assert fields["host"] == server.url.partition("//")[2]
    assert [path.split("/")[1], path.split("/")[3]] == ["patients", "notes"]
    assert parse_qs(query)["by"] == [value.replace("\\T\\", "&")]


async def test_no_value_adds_a_header(server, target):
    """Whatever would end the line is a space."""
    destination = target(address=server.url, headers={"X-Patient": "{PID-3.1}"})
    await send(destination, HL7.replace(b"7/8 9", b"7\\X0D0A\\X-Admin: yes"))

    ((_, fields, _),) = server.seen
    assert "x-admin" not in fields


async def test_a_peer_may_be_given_for_ever(server, target):
    """`timeout: forever`, `connect: forever`: the answer counts, whenever it comes."""
    destination = target(timeout=float("inf"), connect=float("inf"), address=server.url + "/")

    assert (await send(destination)).code == "200"


async def test_a_token_server_that_is_away_after_a_401_parks_nothing(server, target):
    """It was not taken for want of a token that would do: it waits until there is one."""
    tokens = Server()
    tokens.script = [(200, {}, b'{"access_token": "old"}'), (503, {}, b"")]
    oauth = {"address": tokens.url, "client": "engine", "secret": "${env:CLIENT}"}
    server.script = [(401, {}, b"")]

    attempt = await send(target(address=server.url, auth={"oauth2": oauth}))

    assert (attempt.answered, attempt.code) == (Answered.NO_CONNECTION, "no_connection")
    assert attempt.detail == "the token server said 503"
    tokens.shutdown()
    tokens.server_close()
