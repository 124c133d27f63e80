"""An audit repository: a syslog receiver over TLS by `openssl s_server`, or over UDP."""

import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from lxml import etree

from ports import free_port

SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).parent / "audit-message.rng"))
_HEAD = re.compile(
    rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) ([\x21-\x7e]+) portico (\d+) "
    rb"IHE\+RFC-3881 - \xef\xbb\xbf(<AuditMessage.*</AuditMessage>)",
    re.S,
)


class Heard(NamedTuple):
    """A message that fits RFC 5424 and the schema of PS3.15. codes: EventID and the first
    EventTypeCode; outcome: its indicator."""

    priority: int
    codes: tuple[str, str]
    outcome: str
    xml: etree._Element

    @property
    def users(self):
        """UserID of each participant."""
        return self.xml.xpath("//ActiveParticipant/@UserID")

    @property
    def objects(self):
        """What it was about."""
        return self.xml.xpath("//@ParticipantObjectID")


def read(message):
    """The message; fails when it is not as the standards want it."""
    match = _HEAD.fullmatch(message)
    assert match, message
    xml = etree.fromstring(match[5])
    SCHEMA.assertValid(xml)
    kinds = xml.xpath("//EventTypeCode/@csd-code") or [""]
    codes = (xml.xpath("string(//EventID/@csd-code)"), kinds[0])
    outcome = xml.xpath("string(//@EventOutcomeIndicator)")
    return Heard(int(match[1]), codes, outcome, xml)


def unframed(stream):
    """The messages of RFC 5425's octet counting; an unfinished one at the end is left out."""
    found = []
    while match := re.match(rb"([1-9]\d{0,8}) ", stream):
        end = match.end() + int(match[1])
        if end > len(stream):
            break
        found.append(stream[match.end() : end])
        stream = stream[end:]
    return found


class Repository:
    """`openssl s_server` that demands a client's certificate and writes down what it gets."""

    def __init__(self, folder, papers, port=None, hosts=()):
        if not shutil.which("openssl"):
            pytest.skip("needs the openssl command")
        self.port = port or free_port()
        self.file = folder / "repository.out"
        issued = papers.issue("repository", hosts)
        key = issued["key"].removeprefix("${file:").removesuffix("}")
        self._command = [
            "openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-quiet",
            "-Verify", "1", "-verify_return_error", "-CAfile", str(papers.trust),
            "-cert", issued["certificate"], "-key", key,
        ]  # fmt: skip
        self.open()

    def open(self):
        """Listen, at the same port as before."""
        with self.file.open("ab") as out:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.DEVNULL
            )
        until(lambda: listens(self.port))

    def heard(self):
        """Every message so far, each read by the schema."""
        return [read(one) for one in unframed(self.file.read_bytes())]

    def close(self):
        """Away, at once."""
        self._process.kill()
        self._process.stdin.close()
        self._process.wait(10)


class Distance:
    """A relay to a port: what comes back takes that many seconds."""

    def __init__(self, port, seconds):
        self._to, self._seconds = port, seconds
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                return
            for pair in ((near, far, 0.0), (far, near, self._seconds)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source, target, seconds):
        try:
            while data := source.recv(65536):
                time.sleep(seconds)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self):
        """Take no more."""
        self._listening.close()


class Datagrams:
    """A syslog receiver by UDP."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._got = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                self._got.append(self._socket.recv(65536))
            except OSError:
                return

    def heard(self):
        """Every message so far."""
        return [read(one) for one in tuple(self._got)]

    def close(self):
        """Listen no more."""
        self._socket.close()


def listens(port):
    """Whether somebody does there; looked up, since a connection would be a peer's."""
    wanted = f" 0100007F:{port:04X} 00000000:0000 0A "
    return wanted in Path("/proc/net/tcp").read_text()


def until(holds, seconds=20.0):
    """Look again until it holds; gives what it gave. Fails after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)
    return found
