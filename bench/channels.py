"""`python -m bench.channels`: the other channels, each beside a peer of the same minute.

TCP and HTTPS at 50 connections that wait for each answer, in J (bench.reference) and beside
MLLP on the same engine; 1,000 files of 2 KB from an SFTP server into a folder, beside a loop
with paramiko that does the same; a schedule of one time a second while 50 senders press.
Exit code 1 with `--strict` when a floor is missed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko
import psycopg
from rich.console import Console
from rich.table import Table

from bench import messages, processes, reference
from bench.appliance import Appliance, free_port
from bench.cases import Case, Generator, Receiver, measure
from bench.figures import median, percentile

ROOT = Path(__file__).parents[1]
FILES = 1_000
# Name: floor, and whether more is better.
FLOORS = {
    "tcp, of J": (0.10, True),
    "https, of J": (0.10, True),
    "sftp to folder, files/s": (200.0, True),
    "schedule, latest ms": (50.0, False),
}
SITE = """\
channel: bench
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
---
channel: tcp
source: {{type: tcp, listen: "127.0.0.1:{tcp}", frame: {{start: STX, end: ETX}}}}
---
channel: https
source: {{type: https, listen: "127.0.0.1:{https}", path: /bench}}
---
channel: seconds
source: {{type: schedule, cron: "* * * * * *", timezone: UTC, catch_up: none, overlap: queue}}
---
channel: files
source: {{type: sftp, address: "127.0.0.1:{sftp}", user: bench, password: "${{env:BENCH}}",
  host_key: "{pin}", path: /in, every: 200ms, ready: rename}}
---
agent: filing
goal: Every file goes into a folder
on: {{channel: files}}
steps: [{{send: out}}]
---
{{destination: out, type: folder, path: "{out}", file: "{{MSH-10}}.hl7"}}
"""
_LATE = """
    select extract(epoch from s.received)
        - extract(epoch from (convert_from(b.content, 'utf8')::json ->> 'planned')::timestamptz)
    from signal s join body b on b.signal = s.id and b.part = 0
    where s.origin = 'seconds' and s.received > now() - make_interval(secs => %s)
    """
_PATIENCE = 120.0  # seconds for all files


class Bench:
    """One engine, its SFTP server, and the figures by name, one a round."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._engine, self._seconds = Appliance(folder), seconds
        self._served, self._out = folder / "served", folder / "out"
        for one in ("in", "new"):
            (self._served / one).mkdir(parents=True)
        self._frames = messages.Frames()
        self.found: dict[str, list[float]] = {}

    def run(self, rounds: int) -> None:
        """All rounds. Whatever happens, no engine is left."""
        ports = {"tcp": free_port(), "https": free_port()}
        os.environ["BENCH"] = "bench"
        with _file_server(self._served) as (port, pin), Receiver() as receiver:
            try:
                self._engine.start(SITE, **ports, sftp=port, pin=pin, out=self._out)
                for _ in range(rounds):
                    self._streams(ports, receiver)
                    self._schedule()
                    self._files()
                    self._by_hand(port)
                self._engine.stop()
            finally:
                self._engine.kill()

    def _note(self, name: str, value: float) -> None:
        self.found.setdefault(name, []).append(value)

    def _streams(self, ports: dict[str, int], receiver: Receiver) -> None:
        rows = reference.rows_per_second(self._engine.conninfo(), self._seconds)
        case = Case("A_50x1", 50, 1, through=False)
        mllp = measure(self._engine, case, self._seconds, receiver)
        self._note("mllp, of J", mllp.rate / rows)
        self._note("mllp, CPU us of the engine", mllp.cpu_us["engine"])
        for kind, port in ports.items():
            before = processes.cpu(self._engine.pid)
            told = _senders(kind, port, self._seconds)
            spent = processes.cpu(self._engine.pid)["engine"] - before["engine"]
            rate = told["answered"] / told["seconds"]
            self._note(f"{kind}, of J", rate / rows)
            whole = rate * (told["seconds"] + 0.5)  # what was sent before it counted, too
            self._note(f"{kind}, CPU us of the engine", spent / whole)

    def _schedule(self) -> None:
        load = Generator(Case("load", 50, 1, through=False).plan(self._engine.port, 6.0))
        load.go()
        load.wait()
        load.end()
        with psycopg.connect(self._engine.conninfo()) as connection:
            late = [float(row[0]) * 1000 for row in connection.execute(_LATE, (6.0,))]
        self._note("schedule, half within ms", percentile(late, 0.5))
        self._note("schedule, latest ms", max(late))

    def _files(self) -> None:
        before, done = processes.cpu(self._engine.pid), len(_shown(self._out))
        began = self._put()
        until = time.perf_counter() + _PATIENCE
        while len(_shown(self._out)) < done + FILES:
            if time.perf_counter() > until:
                raise SystemExit(f"not all files came within {_PATIENCE:g} s")
            time.sleep(0.01)
        taken = time.perf_counter() - began
        after = processes.cpu(self._engine.pid)
        self._note("sftp to folder, files/s", FILES / taken)
        spent = after["engine"] - before["engine"]
        self._note("sftp to folder, CPU us of the engine", spent / FILES)

    def _put(self, into: str = "in") -> float:
        """Files of 2 KB, whole from the moment they have their names; when."""
        for n in range(FILES):
            _, block = self._frames.render(messages.now())
            (self._served / f"new/{n:04}.hl7").write_bytes(block[1:-2] + b"x" * 1023 + b"\r")
        began = time.perf_counter()
        (self._served / into).mkdir(exist_ok=True)
        for one in (self._served / "new").iterdir():
            one.rename(self._served / into / one.name)
        return began

    def _by_hand(self, port: int) -> None:
        """What one would write in its place: claim, fetch, store with fsync, move."""
        self._put("hand")
        target = self._out.with_name("by_hand")
        target.mkdir(exist_ok=True)
        transport = paramiko.Transport(("127.0.0.1", port))
        transport.connect(None, "bench", "bench")
        files = paramiko.SFTPClient.from_transport(transport)
        began, spent = time.perf_counter(), time.process_time()
        for folder in ("/hand/claimed", "/hand/done"):
            files.mkdir(folder)
        for one in sorted(files.listdir("/hand")):
            if one.endswith(".hl7"):
                files.rename(f"/hand/{one}", f"/hand/claimed/{one}")
                with files.open(f"/hand/claimed/{one}") as source:
                    content = source.read()
                with open(target / f".{one}", "wb") as out:
                    out.write(content)
                    out.flush()
                    os.fsync(out.fileno())
                os.rename(target / f".{one}", target / one)
                files.rename(f"/hand/claimed/{one}", f"/hand/done/{one}")
        self._note("paramiko by hand, files/s", FILES / (time.perf_counter() - began))
        self._note("paramiko by hand, CPU us", (time.process_time() - spent) * 1e6 / FILES)
        transport.close()
        shutil.rmtree(self._served / "hand")


@contextmanager
def _file_server(folder: Path) -> Iterator[tuple[int, str]]:
    """Port and fingerprint of an SFTP server in a process of its own."""
    command = [sys.executable, "-m", "bench.fileserver", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port, pin = server.stdout.readline().split()
            yield int(port), pin
        finally:
            server.kill()


def _senders(kind: str, port: int, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.senders", kind, str(port), str(seconds)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    told: dict[str, float] = json.loads(said)
    return told


def _shown(folder: Path) -> list[str]:
    return [one for one in os.listdir(folder) if one[0] != "."] if folder.exists() else []


def table(found: dict[str, list[float]]) -> tuple[Table, bool]:
    """The medians with their floors; whether all are held."""
    shown, held = Table("what", "found", "wanted", ""), True
    for name, values in found.items():
        value, (floor, more) = median(values), FLOORS.get(name, (0.0, True))
        if name not in FLOORS:
            shown.add_row(name, f"{value:.3g}", "", "")
            continue
        good = value >= floor if more else value <= floor
        held &= good
        wanted = f"{'>=' if more else '<='} {floor:g}"
        shown.add_row(name, f"{value:.3g}", wanted, "held" if good else "missed")
    return shown, held


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.channels", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long, each time")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a floor is missed")
    folder = ROOT / "var/bench-channels"
    parser.add_argument("--folder", type=Path, default=folder, metavar="DIR")
    options = parser.parse_args()
    folder = options.folder.absolute()
    bench = Bench(folder, options.seconds)
    bench.run(options.rounds)
    shutil.rmtree(folder)
    shown, held = table(bench.found)
    Console(width=110, highlight=False).print(shown)
    return 0 if held or not options.strict else 1


if __name__ == "__main__":
    sys.exit(main())
