"""`python -m bench.llm`: what models cost the engine, with one that answers at once.

Recorded turns (two exchanges and a tool each) a second, and SQL statements for each, as
PostgreSQL's own log counts them; CPU of the engine for a plain `llm` step, without and with
HTTP; a hundred sessions at once on a model that takes a second. Exit code 1 with `--strict`
when a floor is missed.
"""

import argparse
import asyncio
import json
import multiprocessing
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

import psycopg
from rich.console import Console
from rich.table import Table

from bench import messages, processes
from bench.appliance import Appliance, free_port
from bench.figures import percentile
from portico.llm.script import Script
from portico.llm.simserver import SimServer

ROOT = Path(__file__).parents[1]
# Name: floor, and whether more is better.
FLOORS = {
    "recorded turns/s": (100.0, True),
    "CPU of a turn, all processes, ms": (20.0, False),  # a hundred a second on two cores
    "SQL statements a turn": (40.0, False),
    "engine CPU of an llm step, ms": (5.0, False),
    "the same over HTTP": (5.0, False),
    "of that its loop's": (1.0, False),
    "100 sessions, 1 s model, p50 s": (1.2, False),
}
SITE = """\
channel: bench
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
order_by: MSH-10
---
agent: asks
goal: A model is asked
on: {{channel: bench}}
steps:
  - llm:
      {{prompt: transforms/p.md, output: transforms/s.json, into: found, phi: allowed, {more}}}
"""
CONFIG = """\
providers:
  instant: {{phi: allowed, address: instant.json}}
  slow: {{phi: allowed, address: slow.json}}
  http: {{phi: allowed, type: openai, model: m, address: "http://127.0.0.1:{port}/v1"}}
"""
SCHEMA = {"type": "object", "properties": {"code": {"enum": ["A", "B"]}}, "required": ["code"]}
READ = {"$call": [{"tool": "hl7_read", "with": {"path": "PID-8"}}]}
TURNS = "model: instant, capabilities: hl7"
PLAIN, SLOW, HTTP = "model: instant", "model: slow", "model: http"
_PATIENCE = 300.0


class Bench:
    """One engine at a time. count: turns of each case."""

    def __init__(self, folder: Path, count: int) -> None:
        self._engine, self._folder, self._count = Appliance(folder), folder, count
        self._frames = messages.Frames()
        site = folder / "site"
        self._http = free_port()
        (site / "config/portico.yaml").write_text(CONFIG.format(port=self._http))
        (site / "transforms/p.md").write_text("Read {MSH-10}, a {PID-8}")
        (site / "transforms/s.json").write_text(json.dumps(SCHEMA))
        instant = {"way": "fixed", "answers": [[READ, {"code": "A"}]]}
        slow = {"way": "fixed", "answers": [{"code": "A"}], "delay": 1.0}
        (site / "instant.json").write_text(json.dumps(instant))
        (site / "slow.json").write_text(json.dumps(slow))

    def run(self) -> dict[str, float]:
        """All figures by name."""
        found = {}
        self._engine.start(SITE, more=TURNS)
        self._wait()
        before = processes.cpu(self._engine.pid)
        found["recorded turns/s"] = self._count / self._through(self._count)
        spent = sum(processes.cpu(self._engine.pid).values()) - sum(before.values())
        found["CPU of a turn, all processes, ms"] = spent / 1000 / self._count
        found["SQL statements a turn"] = self._statements(100)
        self._engine.stop()
        (self._folder / "site/instant.json").write_text(
            json.dumps({"way": "fixed", "answers": [{"code": "A"}]})
        )
        found["engine CPU of an llm step, ms"], _ = self._plain(PLAIN)
        with _served(self._http):
            found["the same over HTTP"], found["of that its loop's"] = self._plain(HTTP)
        self._engine.start(SITE, more=SLOW)
        self._wait()
        self._through(100)
        found["100 sessions, 1 s model, p50 s"] = percentile(self._ages(100), 0.5)
        self._engine.stop()
        return found

    def _plain(self, model: str) -> tuple[float, float]:
        """Milliseconds of CPU for a plain step: the engine's, and of that its loop's."""
        self._engine.start(SITE, more=model)
        self._wait()
        pid = self._engine.pid
        engine, loop = processes.cpu(pid)["engine"], processes.loop(pid)
        self._through(self._count)
        engine, loop = processes.cpu(pid)["engine"] - engine, processes.loop(pid) - loop
        self._engine.stop()
        return engine / 1000 / self._count, loop / 1000 / self._count

    def _through(self, count: int) -> float:
        """Send so many at once; the seconds until no session is open."""
        began = time.perf_counter()
        with socket.create_connection(("127.0.0.1", self._engine.port)) as line:
            line.settimeout(_PATIENCE)
            line.sendall(b"".join(self._frames.render(messages.now())[1] for _ in range(count)))
            answers = 0
            while answers < count:
                answers += line.recv(1 << 16).count(b"MSA|AA|")
        self._wait()
        return time.perf_counter() - began

    def _wait(self) -> None:
        """Until no session is open."""
        end = time.perf_counter() + _PATIENCE
        while self._ask("select count(*) from waiting")[0][0]:
            if time.perf_counter() > end:
                raise SystemExit("sessions do not end")
            time.sleep(0.02)

    def _statements(self, count: int) -> float:
        """As the server logs them, without those that count or come though nothing does."""
        self._ask("alter system set log_statement = 'all'")
        self._ask("select pg_reload_conf()")
        time.sleep(1.0)
        idle = self._logged(lambda: time.sleep(2.0)) / 2
        began = time.perf_counter()
        busy = self._logged(lambda: self._through(count))
        return (busy - idle * (time.perf_counter() - began)) / count

    def _logged(self, work: Callable[[], object]) -> int:
        log = self._engine.data / "postgres.log"
        start = log.stat().st_size
        work()
        said = log.read_bytes()[start:].split(b"\n")
        told = [one for one in said if b" execute " in one or b"statement: " in one]
        return sum(b"from waiting" not in one for one in told)

    def _ages(self, count: int) -> list[float]:
        """Seconds from receipt to conclusion of the newest Signals."""
        rows = self._ask(
            "select extract(epoch from c.concluded - s.received)::float8 from signal s "
            f"join session c on c.signal = s.id order by s.id desc limit {count}"
        )
        return [row[0] for row in rows]

    def _ask(self, statement: str) -> list[tuple]:
        with psycopg.connect(self._engine.conninfo(), autocommit=True) as link:
            cursor = link.execute(statement)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def _served(port: int) -> Iterator[None]:
    """A simulated model over HTTP, in a process of its own."""
    server = multiprocessing.Process(target=_serve, args=(port,), daemon=True)
    server.start()
    yield
    server.terminate()
    server.join()


def _serve(port: int) -> None:
    async def serve() -> None:
        await SimServer(Script("fixed", [{"code": "A"}])).start(port)
        await asyncio.Event().wait()

    asyncio.run(serve())


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0, or 1 with `--strict` when a floor is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.llm", description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="turns of each case")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a floor is missed")
    parser.add_argument("--folder", type=Path, default=ROOT / "var/bench-llm", metavar="DIR")
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    found = Bench(folder, options.count).run()
    rmtree(folder)
    table = Table("FIGURE", "FOUND", "FLOOR", "", box=None)
    missed = 0
    for name, value in found.items():
        floor, more = FLOORS[name]
        good = value >= floor if more else value <= floor
        missed += not good
        table.add_row(name, f"{value:.2f}", f"{floor:g}", "pass" if good else "FAIL")
    Console(width=100, highlight=False).print(table)
    return 1 if options.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
