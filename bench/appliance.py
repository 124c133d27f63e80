"""A real engine on a site of the benchmark's own, started, asked, stopped and killed."""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx2
from psycopg.conninfo import make_conninfo

from bench import messages
from portico.api import serve

_START = 60.0  # seconds for the first answer
_STOP = 60.0
_SOCKET = ".s.PGSQL.5432"

# A: receive, commit, acknowledge. No agent is there to want the message.
ONLY_CHANNEL = """\
channel: bench
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
"""

# B: the same, then three fields changed in a worker, sent on, answered, marked.
THROUGH = """\
channel: bench
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
order_by: PID-3.1
---
agent: edits
goal: Three fields change on the way
on: {{channel: bench}}
steps:
  - python: transforms.edits:three
  - send: sink
---
destination: sink
type: mllp
address: "127.0.0.1:{sink}"
connections: 50
"""

_EDITS = '''\
"""The transform of the benchmark."""

from portico.authoring import Message


def three(msg: Message) -> None:
    """An upper-case name, a ward, a telephone number."""
    msg["PID-5.1"] = msg.get("PID-5.1").upper()
    msg["PV1-3.1"] = "WARD"
    msg["PID-13.1"] = "+49" + "".join(c for c in msg.get("PID-13.1") if c.isdigit())[1:]
'''


class Appliance:
    """One data folder, and at most one engine on it at a time.

    folder: emptied first, and locked: two runs at once would measure each other. Ports are
    free ones of the loopback.
    """

    def __init__(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._lock = folder.with_name(f"{folder.name}.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another run uses {folder}") from None
        shutil.rmtree(folder, ignore_errors=True)
        self._site = folder / "site"
        self.data = folder / "data"
        self._log = folder / "engine.log"
        for name in ("config", "channels", "transforms"):
            (self._site / name).mkdir(parents=True)
        self.configure("workers: {}")
        (self._site / "transforms/__init__.py").write_text('"""Transforms."""\n')
        (self._site / "transforms/edits.py").write_text(_EDITS)
        self.port, self._metrics = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._run = -1

    @property
    def pid(self) -> int:
        """The engine's."""
        assert self._process is not None
        return self._process.pid

    def configure(self, settings: str) -> None:
        """What the next start finds in its configuration."""
        (self._site / "config/portico.yaml").write_text(f"{settings}\n")

    def start(self, site: str, **names: object) -> float:
        """Run the engine on this site; the seconds from there to the first answer."""
        text = site.format(port=self.port, **names)
        (self._site / "channels/bench.yaml").write_text(text)
        command = [sys.executable, "-m", "portico", "run", "--site", str(self._site)]
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PORTICO_")}
        environ["PORTICO_DATA"] = str(self.data)
        environ["PORTICO_METRICS"] = f"127.0.0.1:{self._metrics}"
        began = time.perf_counter()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        self._first_answer(began + _START)
        return time.perf_counter() - began

    def conninfo(self) -> str:
        """The engine's own PostgreSQL. Holds a password: never print it.

        By a descriptor, because the path of a socket may be too long otherwise.
        """
        if self._run < 0:
            self._run = os.open(self.data / "run", os.O_PATH | os.O_DIRECTORY)
        return make_conninfo(
            host=f"/proc/self/fd/{self._run}",
            user="portico",
            password=(self.data / "secret").read_text().strip(),
            dbname="postgres",
        )

    def drop_due(self) -> None:
        """Have the engine drop the days that retention lets go; returns when they are gone."""
        with serve.reachable(serve.socket_path(self.data)) as name:
            way = httpx2.HTTPTransport(uds=name)
            with httpx2.Client(transport=way, timeout=_STOP) as client:
                client.post("http://portico/v1/retention").raise_for_status()

    def stop(self) -> None:
        """SIGTERM, and its exit code must be 0. Harmless when none runs."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                status = process.wait(_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise SystemExit(f"the engine did not stop in {_STOP:g} s") from None
            if status != 0:
                raise SystemExit(f"the engine ended with {status}; {self._last_words()}")

    def kill(self) -> None:
        """SIGKILL: the next start finds what a crash leaves."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _first_answer(self, deadline: float) -> None:
        assert self._process is not None
        control_id, block = messages.Frames().render(messages.now())
        while time.perf_counter() < deadline:
            if (status := self._process.poll()) is not None:
                raise SystemExit(f"the engine ended with {status}; {self._last_words()}")
            with suppress(OSError):
                if b"MSA|AA|" + control_id in _ask(self.port, block):
                    return
            time.sleep(0.002)
        raise SystemExit(f"no answer in {_START:g} s; {self._last_words()}")

    def _last_words(self) -> str:
        return " / ".join(self._log.read_text("utf-8", "replace").splitlines()[-5:])


def _ask(port: int, block: bytes) -> bytes:
    """What a peer answers to one frame; raises OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(block)
        answer = b""
        while not answer.endswith(messages.END):
            if not (data := line.recv(4096)):
                break
            answer += data
        return answer


def free_port() -> int:
    """A port of the loopback that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
