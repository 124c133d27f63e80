"""A site of `init --with all`, running: what its README.md says to type, typed by a shell, and
the files that come of it. curl, OpenSSH, openssl, netcat and servers that are not ours.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import paramiko
import pytest

from portico.cli import init, kit
from portico.cli.control import Engine
from ports import free_port
from remote.peers import FtpPeer, PosixPeer

USER, RENAMED = "user: portico", "user: lab"  # whom the servers know
# What each kit leaves when its lines were typed.
LEFT = {
    "mllp": "var/filed/MSG00001.hl7",
    "tls": "var/filed/tls-MSG00001.hl7",
    "tcp": "var/filed/tcp-S1001.csv",
    "https": "var/filed/https-100001.hl7",
    "soap": "var/filed/soap-VXU00001.hl7",
    "sftp": "partner/sftp/in/MSG00001.hl7",
    "sftp-server": "var/filed/sftp-MSG00001.hl7",
    "ftp": "partner/ftp/in/MSG00001.hl7",
    "folder": "var/outbox/100001-MSG00001.hl7",
    "schedule": "var/days",
}


class Running:
    """The appliance on free ports, and the partners' servers that two kits ask for."""

    def __init__(self, folder: Path) -> None:
        self.site, self.log = folder / "site", folder / "log"
        init.init(self.site, [kit.ALL])
        for name in ("sftp/in", "sftp/out", "ftp/in", "ftp/out"):
            (self.site / "partner" / name).mkdir(parents=True)
        sample = (self.site / "samples/adt_a01.hl7").read_bytes()
        for name in ("sftp", "ftp"):
            (self.site / "partner" / name / "out/a.hl7").write_bytes(sample)
        self.sftp, self.ftp = (
            PosixPeer(self.site / "partner/sftp"),
            FtpPeer(self.site / "partner/ftp"),
        )
        self._fill_in()
        self._move_ports()
        kept = {name: text for name, text in os.environ.items() if name[:8] != "PORTICO_"}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        self.environment = {**kept, "PATH": path, "PORTICO_METRICS": f"127.0.0.1:{free_port()}"}
        self._process = subprocess.Popen(
            ["portico", "run", "--site", str(self.site)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=self.log.open("wb"),
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n", self.log.read_text()

    def _fill_in(self) -> None:
        """What the comments of the kits sftp and ftp say to do first."""
        ours = (self.site / "secrets/sftp_us").as_posix()
        self.sftp.allowed = paramiko.Ed25519Key.from_private_key_file(ours)
        (self.site / "secrets/ftp.password").write_text(self.ftp.password)
        shown = f"{self.sftp.host_key.get_name()} {self.sftp.host_key.get_base64()}"
        with (self.site / "config/sftp_known_hosts").open("a") as file:
            file.write(f"[127.0.0.1]:{self.sftp.port} {shown}\n")
        for name in ("sftp", "ftp"):
            path = self.site / f"channels/{name}.yaml"
            text = path.read_text().replace(USER, RENAMED)
            path.write_text(text.replace("stable: 5s", "stable: 100ms"))

    def _move_ports(self) -> None:
        """Every port of the site becomes one that is free; the partners' become theirs."""
        files = [*self.site.glob("channels/*.yaml"), self.site / "README.md"]
        text = "".join(file.read_text() for file in files)
        ports = {port: free_port() for port in set(re.findall(r"127\.0\.0\.1:(\d+)", text))}
        ports |= {"2022": self.sftp.port, "2121": self.ftp.port}
        for file in files:
            file.write_text(
                re.sub(r"\b\d{4}\b", lambda m: str(ports.get(m[0], m[0])), file.read_text())
            )

    def type(self, name: str) -> None:
        """The lines of that kit's section in README.md."""
        section = (self.site / "README.md").read_text().split(f"\n## {name}\n")[1]
        lines = [li[4:] for li in section.split("\n## ")[0].splitlines() if li[:4] == "    "]
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(lines)],
            cwd=self.site,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(30)
        self.sftp.close()
        self.ftp.close()
        return code


def until(there, running) -> None:
    """Until that is so, half a minute at most."""
    end = time.monotonic() + 30
    while not there():
        assert time.monotonic() < end, running.log.read_text()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One appliance with every kit."""
    made = Running(tmp_path_factory.mktemp("kits"))
    yield made
    assert made.end() == 0


@pytest.mark.parametrize("name", kit.KITS)
def test_what_a_kit_says_to_type_does_what_it_says(running, name):
    """A message goes in by each source and comes out of each destination, at the first try."""
    running.type(name)
    left = running.site / LEFT[name]

    until(lambda: left.is_file() or (left.is_dir() and any(left.glob("*.json"))), running)


def test_nothing_of_it_is_lost_parked_or_waiting(running):
    """The books add up once everything was typed."""
    engine = Engine(running.site)

    def settled():
        status = engine.status()
        waiting = sum(c.waiting + c.running for c in status.channels.values())
        return not waiting + sum(d.queued + d.sending for d in status.destinations.values())

    until(settled, running)
    status = engine.status()

    assert status.balanced
    assert sum(each.parked for each in status.destinations.values()) == 0
    assert {n for n, c in status.channels.items() if not c.received} <= {"admissions"}
