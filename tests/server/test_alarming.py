"""Alarms of a running appliance: opened, told, closed; the disk; queues that are full."""

import http.server
import json
import os
import signal
import ssl
import subprocess
import sys
import threading

import psycopg
import pytest
from aiosmtpd.smtp import AuthResult

SITE = """
channel: adt
owner: integration desk
source: {{type: mllp, listen: "127.0.0.1:{adt}"}}
order_by: PID-3.1
{channel}
---
channel: oru
source: {{type: mllp, listen: "127.0.0.1:{oru}"}}
---
agent: forward
goal: All of it
on: {{channel: adt}}
steps: [{{send: his}}]
---
agent: file
goal: All of it
on: {{channel: oru}}
steps: [{{send: files}}]
---
destination: his
type: mllp
address: "127.0.0.1:{his}"
retry: {{first: 1s, most: 1s}}
{destination}
---
{{destination: files, type: folder, path: out, file: "{{MSH-10}}.hl7"}}
"""


class Hook:
    """A web server that takes what is posted, or says so many times that it cannot."""

    def __init__(self, refusals=0):
        self.got, self.refused = [], 0
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                """Keep the JSON."""
                body = self.rfile.read(int(self.headers["content-length"]))
                if hook.refused < refusals:
                    hook.refused += 1
                    self.send_response(503)
                else:
                    hook.got.append(json.loads(body))
                    self.send_response(204)
                self.end_headers()

            def log_message(self, *words):
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def of(self, kind):
        """The states that were told of this kind."""
        return [one["state"] for one in self.got if one["kind"] == kind]

    def close(self):
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook():
    """A webhook."""
    one = Hook()
    yield one
    one.close()


def made(server, appliance, journal, channel="", destination="", config="", **variables):
    """An appliance with these keys."""
    ports = {"adt": server.free_port(), "oru": server.free_port(), "his": server.free_port()}
    documents = SITE.format(**ports, channel=channel, destination=destination)
    one = appliance(documents, journal=journal, **variables)
    (one.site / "config/portico.yaml").write_text(config)
    one.ports = ports
    return one


def alarms(one):
    """(kind, name) of what is open."""
    return {(each["kind"], each["name"]) for each in one.status()["alarms"]}


TO_HOOK = "alarms: {to: {hook: {webhook: '${env:HOOK}'}}}\n"


def test_a_silent_feed_is_told_once_and_again_when_it_speaks(server, appliance, url, hook):
    """Opened, told with owner and host and no address, counted; a restart tells nobody again;
    the next message closes it."""
    expect = "expect: {every: 2s, during: always}\nalarms: {to: hook}"
    hours = "hours: {always: {from: 00:00, to: 00:00}}\n"
    one = made(server, appliance, url, expect, config=TO_HOOK + hours, HOOK=hook.address)
    one.start()
    client = server.Client(one.ports["adt"])
    assert client.ask(server.message("secretid", "secretpatient")) == "AA"
    server.until(lambda: hook.of("silence") == ["open"])
    assert one.metrics()['portico_alarm_open{kind="silence",name="adt",scope="channel"}'] == 1
    (told,) = [each for each in hook.got if each["kind"] == "silence"]
    assert (told["scope"], told["name"], told["owner"]) == (
        "channel",
        "adt",
        "integration desk",
    )
    assert "secret" not in json.dumps(hook.got) and "token" not in one.log.read_text()

    with psycopg.connect(url) as journal:
        kept = "select told from alarm where kind = 'silence'"
        server.until(lambda: journal.execute(kept).fetchone() == (True,) or journal.rollback())
    one.end(signal.SIGKILL)
    one.start()
    server.until(lambda: ("silence", "adt") in alarms(one))
    assert hook.of("silence") == ["open"]
    assert server.Client(one.ports["adt"]).ask(server.message("2")) == "AA"
    server.until(lambda: hook.of("silence")[:2] == ["open", "closed"])
    assert one.end() == 0


def test_what_waits_and_what_is_parked_is_told(server, appliance, url):
    """A queue that grows old, and a message that waits for a person; a hook that cannot is
    asked again."""
    slow = Hook(refusals=2)
    terms = "alarms: {waiting: 1s, parked: 2}\nanswers: {AA: reject}"
    one = made(server, appliance, url, destination=terms, config=TO_HOOK, HOOK=slow.address)
    one.start()
    client = server.Client(one.ports["adt"])
    for number in range(2):
        assert client.ask(server.message(str(number))) == "AA"
    server.until(lambda: ("waiting", "his") in alarms(one))
    server.until(lambda: "open" in slow.of("waiting"))
    assert slow.refused == 2

    sink = server.Sink(one.ports["his"])  # whose AA is taken for a no
    server.until(lambda: alarms(one) == {("parked", "his")})
    server.until(lambda: slow.of("waiting") == ["open", "closed"])
    sink.close()
    slow.close()
    assert one.end() == 0


def test_a_sink_is_tried_from_the_command_line(server, appliance, url, hook):
    """`portico alarms test`: taken, refused, or no such sink; `list` shows what is open."""
    one = made(server, appliance, url, config=TO_HOOK, HOOK=hook.address).start()

    def cli(*words):
        command = [sys.executable, "-m", "portico", "alarms", *words, "--site", str(one.site)]
        return subprocess.run(command, env=one.environ, capture_output=True, text=True)

    assert "has taken a trial" in cli("test", "hook").stdout
    assert [each["state"] for each in hook.got] == ["trial"]
    assert json.loads(cli("list", "--json").stdout) == []
    assert "there is no sink 'hok'; there are: hook" in cli("test", "hok").stderr
    hook.close()
    done = cli("test", "hook")
    assert (done.returncode, "ConnectError" in done.stderr) == (1, True)
    assert one.end() == 0


def test_an_alarm_goes_by_mail_with_starttls_and_a_password(
    server, appliance, url, papers, mail_server
):
    """A mail server that wants both gets both; the letter says what is wrong and with what."""
    papers.issue("mail")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.folder / "mail.pem", papers.folder / "mail.key")
    known = []

    def authenticate(_server, _session, _envelope, mechanism, data):
        known.append((mechanism, data.login, data.password))
        return AuthResult(success=True)

    box = mail_server(
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
    )
    mail = (
        f"{{server: 'localhost:{box.port}', from: engine@hospital.org, to: desk@hospital.org, "
        f"user: engine, password: '${{env:MAIL}}', trust: {papers.trust}}}"
    )
    config = f"alarms: {{to: {{desk: {{mail: {mail}}}}}}}\n"
    terms = "alarms: {waiting: 1s}"
    one = made(server, appliance, url, destination=terms, config=config, MAIL="opensesame")
    one.start()
    assert server.Client(one.ports["adt"]).ask(server.message("1")) == "AA"
    server.until(lambda: box.letters)
    (envelope, session), *_ = box.letters
    assert session.ssl is not None
    assert known[0][1:] == (b"engine", b"opensesame")
    assert envelope.rcpt_tos == ["desk@hospital.org"]
    assert b"Subject: portico open: waiting destination his" in envelope.content
    assert "opensesame" not in one.log.read_text()
    assert one.end() == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_closes_the_sources_and_room_opens_them(server, appliance):
    """Below the mark every port closes and an alarm is open, nothing is lost; above the other
    mark they open."""
    config = "journal: {disk: {close: 100MiB, reopen: 200MiB}}\n"
    one = made(server, appliance, None, config=config)
    data = one.site / "var"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700m", "tmpfs", str(data)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this container may not mount")
    try:
        one.start()
        client = server.Client(one.ports["oru"])
        assert client.ask(server.message("1")) == "AA"
        room = os.statvfs(data)
        free = room.f_bavail * room.f_frsize
        with (data / "ballast").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, free - (60 << 20))
        server.until(lambda: one.said("disk_low") == 1)
        assert client.answer() == b""
        server.until(lambda: ("disk", "") in alarms(one))
        with pytest.raises(ConnectionRefusedError):
            server.Client(one.ports["adt"])
        told = one.status()
        assert told["journal"]["full"] and told["journal"]["free"] < 100 << 20
        assert "too little room" in told["channels"]["adt"]["detail"]

        os.truncate(data / "ballast", free - (150 << 20))
        with pytest.raises(ConnectionRefusedError):
            server.Client(one.ports["adt"])
        (data / "ballast").unlink()
        server.until(lambda: one.said("disk_back") == 1)
        server.until(lambda: ("disk", "") not in alarms(one))
        assert server.Client(one.ports["oru"]).ask(server.message("2")) == "AA"
        assert one.end() == 0
    finally:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(10)
        subprocess.run(["umount", "-l", str(data)], check=True)


def test_a_full_queue_stops_its_channels_and_no_others(server, appliance, url):
    """At the limit the channel that feeds it reads no more, others go on; it reads again at
    four fifths; nothing is lost and the order is kept."""
    one = made(server, appliance, url, destination="queue: {limit: 50}").start()
    client, other = server.Client(one.ports["adt"]), server.Client(one.ports["oru"])
    sent = 50
    for number in range(sent):
        assert client.ask(server.message(str(number))) == "AA"
    server.until(lambda: one.said("queue_full") == 1)
    server.until(lambda: one.status()["destinations"]["his"]["queued"] == sent)
    for number in range(100):
        client.send(server.message(str(sent + number)))
    assert other.ask(server.message("other")) == "AA"
    told = one.status()
    assert "nothing is read" in told["channels"]["adt"]["detail"]
    assert told["channels"]["adt"]["received"] <= sent + 1
    server.until(lambda: ("queue_full", "his") in alarms(one))

    sink = server.Sink(one.ports["his"])
    for _ in range(100):
        assert b"MSA|AA" in client.answer()
    server.until(lambda: len(sink.got) == sent + 100)
    assert sink.got == [str(number) for number in range(sent + 100)]
    assert one.said("queue_eased") >= 1
    sink.close()
    assert one.end() == 0
