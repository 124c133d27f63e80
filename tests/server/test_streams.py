"""TLS and TCP through a whole appliance, with openssl and plain sockets as the peers."""

import shutil
import signal
import socket
import ssl
import subprocess
import threading

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")

CONFIG = """
tls:
  hospital:
    certificate: {folder}/server.pem
    key: "${{file:{folder}/server.key}}"
    trust: {folder}/ca.pem
    clients: required
"""
SITE = """
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{adt}", tls: hospital}}
order_by: PID-3.1
---
channel: instrument
source: {{type: tcp, listen: "127.0.0.1:{instrument}", frame: {{start: STX, end: ETX}},
  reply: "OK {{size}}"}}
content: bytes
---
agent: forward
goal: To the lab, as the lab's TLS wants it
on: {{channel: adt}}
steps: [{{send: lab}}]
---
agent: results
goal: Readings go to whoever listens
on: {{channel: instrument}}
steps: [{{send: [reader, printer]}}]
---
destination: lab
type: mllp
address: localhost:{lab}
tls: hospital
retry: {{first: 100ms, most: 200ms}}
---
destination: reader
type: tcp
listen: 127.0.0.1:{reader}
frame: {{length: 2, endian: little}}
answer: {{matches: "ack"}}
retry: {{first: 100ms, most: 200ms}}
---
destination: printer
type: tcp
address: 127.0.0.1:{printer}
frame: close
retry: {{first: 100ms, most: 200ms}}
"""


class Lab:
    """An MLLP peer over TLS that wants a certificate, says AA and remembers."""

    def __init__(self, server, papers):
        self.got, self.users = [], []
        self._server = server
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(papers.folder / "lab.pem", papers.folder / "lab.key")
        self._context.load_verify_locations(papers.trust)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                plain, _ = self._listening.accept()
                line = self._context.wrap_socket(plain, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line):
        self.users.append(dict(part[0] for part in line.getpeercert()["subject"])["commonName"])
        seen = b""
        while data := line.recv(65536):
            seen += data
            while b"\x1c\r" in seen:
                frame, _, seen = seen.partition(b"\x1c\r")
                control_id = frame.split(b"|")[9]
                self.got.append(control_id.decode())
                line.sendall(
                    b"\x0bMSH|^~\\&|LAB|L|HIS|H|1||ACK|9|P|2.5\rMSA|AA|"
                    + control_id
                    + b"\r\x1c\r"
                )

    def close(self):
        """Listen no more."""
        self._listening.close()


@pytest.fixture
def setting(server, papers, appliance):
    """The appliance with its peers: `.start()` it."""
    papers.issue("server")
    papers.issue("lab")
    papers.issue("his")
    lab = Lab(server, papers)
    names = ("adt", "instrument", "reader", "printer")
    ports = {name: server.free_port() for name in names}
    made = appliance(SITE.format(**ports, lab=lab.port))
    (made.site / "config/portico.yaml").write_text(CONFIG.format(folder=papers.folder))
    made.ports, made.lab = ports, lab
    yield made
    lab.close()


def s_client(setting, papers, name):
    """`openssl s_client` on the ADT port, with that certificate or none."""
    shown = ["-cert", papers.folder / f"{name}.pem", "-key", papers.folder / f"{name}.key"]
    command = [
        "openssl", "s_client", "-connect", f"localhost:{setting.ports['adt']}", "-quiet",
        "-verify_quiet", "-CAfile", papers.trust, "-verify_return_error", "-verify_hostname",
        "localhost", *(shown if name else ()),
    ]  # fmt: skip
    return subprocess.Popen(
        [*map(str, command)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    )


def test_mutual_tls_from_sender_to_destination(setting, papers, server):
    """T1, T4, T5: an admission goes in and out over mutual TLS; certificates change under a
    connection that stays; a stranger gets nothing; the expiry is a metric.
    """
    setting.start()
    with s_client(setting, papers, "his") as his:
        his.stdin.write(server.encode(server.message("one")))
        assert b"MSA|AA|one" in his.stdout.read(400)
        server.until(lambda: setting.lab.got == ["one"])
        papers.issue("server")
        setting.reload()
        server.until(lambda: setting.said("certificate_reloaded"))
        his.stdin.write(server.encode(server.message("two")))
        assert b"MSA|AA|two" in his.stdout.read(400)
        his.kill()
    with s_client(setting, papers, "") as stranger:
        stranger.stdin.write(server.encode(server.message("three")))
        assert stranger.stdout.read(400) == b""
        stranger.kill()
    server.until(lambda: setting.lab.got == ["one", "two"])

    assert set(setting.lab.users) == {"server"}
    metrics = setting.metrics()
    expiry = metrics['portico_certificate_expiry_timestamp_seconds{name="hospital"}']
    assert expiry == papers.now.replace(microsecond=0).timestamp() + 397 * 86400
    failed = [n for name, n in metrics.items() if 'event="handshake_failed"' in name]
    assert failed == [1.0]
    assert setting.end() == 0


def test_a_broken_new_certificate_is_refused_and_the_old_one_serves(setting, papers, server):
    """T5: a reload with half a file keeps the site that runs, and says which file."""
    setting.start()
    (papers.folder / "server.pem").write_text("half")
    setting.reload()
    server.until(lambda: setting.said("site_refused"))

    with s_client(setting, papers, "his") as his:
        his.stdin.write(server.encode(server.message("one")))
        assert b"MSA|AA|one" in his.stdout.read(400)
        his.kill()
    assert "certificate" in setting.log.read_text()


def test_frames_from_an_instrument_to_two_kinds_of_peer(setting, server):
    """TCP in with a reply after the journal; out to a peer that connects, and as a connection
    each; killed in between, everything is there once at least.
    """
    printed, printer = [], socket.create_server(("127.0.0.1", setting.ports["printer"]))

    def prints():
        while True:
            try:
                line, _ = printer.accept()
            except OSError:
                return
            with line, line.makefile("rb") as read:
                printed.append(read.read())

    threading.Thread(target=prints, daemon=True).start()
    setting.start()
    readings = [b"reading \x00%d" % number for number in range(5)]
    with socket.create_connection(("127.0.0.1", setting.ports["instrument"]), 20) as instrument:
        for reading in readings:
            instrument.sendall(b"\x02" + reading + b"\x03")
            assert instrument.recv(100) == b"\x02OK %d\x03" % len(reading)
    server.until(lambda: set(printed) >= set(readings))
    setting.end(signal.SIGKILL)
    setting.start()
    with socket.create_connection(("127.0.0.1", setting.ports["reader"]), 20) as reader:
        reader.settimeout(20)
        got = []
        while len(got) < len(readings):
            size = int.from_bytes(reader.recv(2), "little")
            got.append(reader.recv(size))
            reader.sendall(b"\x03\x00ack")

    assert got == readings
    server.until(lambda: setting.status()["destinations"]["reader"]["delivered"] == 5)
    assert setting.end() == 0, setting.log.read_text()
    printer.close()
