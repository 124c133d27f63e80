"""Real engines in processes of their own, and peers on real sockets."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from aiosmtpd.controller import Controller
from psycopg.conninfo import conninfo_to_dict

from portico.cli.main import app
from portico.wire.mllp import encode
from ports import free_port
from server.peers import Client, Sink

ADT = "MSH|^~\\&|HIS|ST|LAB|ST|2026||{kind}|{control_id}|P|2.5\rPID|||{patient}||MUSTER\r"


def until(holds, seconds=20.0):
    """Look again until it holds; gives what it gave. Fails after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)
    return found


def message(control_id="1", patient="7", kind="ADT^A01"):
    """An HL7 message."""
    return ADT.format(control_id=control_id, patient=patient, kind=kind).encode()


class Mailbox:
    """A mail server. letters: (envelope, session) of each that it took."""

    def __init__(self, **options):
        self.letters, self.port = [], free_port()
        self._listening = Controller(self, hostname="127.0.0.1", port=self.port, **options)
        self._listening.start()

    async def handle_DATA(self, server, session, envelope):
        """Keep it."""
        self.letters.append((envelope, session))
        return "250 taken"

    def close(self):
        """Listen no more."""
        self._listening.stop()


class Appliance:
    """`portico run` on a site of its own, in a folder with a space."""

    def __init__(self, folder, documents, journal=None, wrap=(), **variables):
        self.site, self.log = folder / "a site", folder / "log"
        self.metrics_port = free_port()
        self._wrap = wrap
        kept = {name: text for name, text in os.environ.items() if name[:8] != "PORTICO_"}
        own = {"PORTICO_METRICS": f"127.0.0.1:{self.metrics_port}", **variables}
        if journal:
            own["PORTICO_JOURNAL_URL"] = journal
        self.environ = {**kept, **own}
        for name in ("channels", "config", "transforms"):
            (self.site / name).mkdir(parents=True)
        (self.site / "transforms/__init__.py").touch()
        self.write(documents)
        self.process = None

    def write(self, documents):
        """The site's documents."""
        (self.site / "channels/all.yaml").write_text(documents)

    def start(self, ready=True):
        """Run it; waits for `ready`."""
        self.process = subprocess.Popen(
            [*self._wrap, sys.executable, "-m", "portico", "run", "--site", str(self.site)],
            env=self.environ,
            cwd=self.site,
            stdout=subprocess.PIPE,
            stderr=self.log.open("ab"),
        )
        if ready:
            assert self.process.stdout.readline() == b"ready\n", self.log.read_text()
        return self

    def end(self, number=signal.SIGTERM):
        """Its exit code after that signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)

    def reload(self):
        """SIGHUP."""
        self.process.send_signal(signal.SIGHUP)

    def said(self, event):
        """How often the log tells this event."""
        return len(re.findall(rf"\bevent={event}\b", self.log.read_text()))

    def metrics(self):
        """All samples, by name with labels."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=60) as page:
            lines = page.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def run(self, *words):
        """The end of a command on this site."""
        command = [sys.executable, "-m", "portico", *words, "--site", self.site]
        return subprocess.run(
            command, env=self.environ, capture_output=True, text=True, timeout=120
        )

    def json(self, *words, code=0):
        """The JSON of a command on this site, or what it says of an error."""
        done = self.run(*words, "--json")
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout) if done.stdout else done.stderr

    def cli(self, *words, code=0):
        """What a command on this site prints; it must end with this code."""
        done = self.run(*words)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    def asked(self, *words):
        """The end of a command that only asks, without the start of a process for it."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        with (
            mock.patch.dict(os.environ, self.environ, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                app.main([*words, "--site", str(self.site)], prog_name="portico")
            except SystemExit as end:
                code = end.code
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    def status(self):
        """`portico status --json`."""
        done = self.asked("status", "--json")
        done.check_returncode()
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def folders(memory_folder):
    """Makes folders that every user may pass."""

    def make():
        top = Path(tempfile.mkdtemp(prefix="server-", dir=memory_folder))
        top.chmod(0o755)
        return top

    return make


@pytest.fixture
def appliance(folders):
    """Makes appliances, not started; those that still run are killed after the test."""
    made = []

    def make(documents, **settings):
        made.append(Appliance(folders(), documents, **settings))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.wait(10)
        shutil.rmtree(one.site.parent, ignore_errors=True)


@pytest.fixture
def url(journal_url):
    """The same database as PORTICO_JOURNAL_URL wants it."""
    return url_of(journal_url)


def url_of(conninfo, **changes):
    """A conninfo as a URL."""
    parts = {**conninfo_to_dict(conninfo), **changes}
    name = parts.pop("dbname")
    user, password = parts.pop("user"), parts.pop("password", "")
    query = urllib.parse.urlencode(parts)
    return f"postgresql://{user}:{urllib.parse.quote(password)}@/{name}?{query}"


@pytest.fixture(scope="session")
def server():
    """What this folder's tests are made of."""
    return SimpleNamespace(
        Appliance=Appliance, Client=Client, Sink=Sink, free_port=free_port, until=until,
        message=message, encode=encode, url_of=url_of,
    )  # fmt: skip


@pytest.fixture
def mail_server():
    """Starts mail servers; they are closed at the end."""
    started = []

    def start(**options):
        started.append(Mailbox(**options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def mailbox(mail_server):
    """A mail server that wants no password."""
    return mail_server()
