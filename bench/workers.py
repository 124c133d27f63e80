"""`python -m bench.workers`: what a caged worker costs, beside what one would use in its place.

Fork to first answer, replacement after kill -9, warm calls one by one and in frames, memory of
fifty; and in the same run a fresh interpreter for each call and `concurrent.futures`. Times are
of the wall, of a machine that may be shared: the CPU of this process, of the workers' parent
and of all workers stands beside them.
Exit code 1 with `--strict` when a floor is missed.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import figures
from portico.agents.item import Item
from portico.clock import SystemClock
from portico.workers.backlog import Outcome
from portico.workers.editions import CrewTerms
from portico.workers.nursery import Nursery
from portico.workers.pool import Pool

# Name: floor, and whether more is better.
FLOORS = {
    "fork to first answer, p50 ms": (10.0, False),
    "kill -9 to the next one's first answer, p50 ms": (50.0, False),
    "warm, one by one, calls/s": (5_000.0, True),
    "warm, in frames, calls/s": (20_000.0, True),
    "warm, one by one, p50 ms": (1.0, False),
    "a warm worker, PSS MiB": (5.0, False),
    "all of them, PSS MiB": (300.0, False),
}
AGENT = "echo"
CONTENT = b'{"a":1}'
DOCUMENT: dict[str, Any] = {
    "agent": AGENT,
    "goal": "Say it again",
    "on": {"channel": "in"},
    "content": "json",
    "on_error": "park",
    "steps": [
        {"verb": "python", "name": "echo", "args": {"call": "transforms.echo:echo"},
         "when": None, "on_error": None, "at": "a.yaml:1"},
    ],
}  # fmt: skip
Figure = tuple[str, float, float]  # name, value, CPU seconds of all processes


class Echo:
    """A pool of echo workers on the running loop."""

    def __init__(self, pool: Pool, root: Path, parent: int) -> None:
        self.pool, self._root, self._parent = pool, str(root), parent
        self._item = Item(bytes(16), CONTENT, {"channel": "in", "type": "x"}, "", 1)

    async def activate(self, terms: CrewTerms) -> None:
        """Replace its workers by those of new terms."""
        await self.pool.activate(AGENT, DOCUMENT, self._root, terms)

    async def call(self) -> bool:
        """One item, and its end: whether it went well."""
        return await self.calls(1)

    async def calls(self, count: int) -> bool:
        """So many at once, and the end of all: whether they went well."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[bool] = loop.create_future()
        left, well = count, True

        def done(outcome: Outcome) -> None:
            nonlocal left, well
            left -= 1
            well &= outcome.result is not None and outcome.result.failure is None
            if not left:
                ended.set_result(well)

        for _ in range(count):
            self.pool.submit(AGENT, self._item, "", done)
        return await ended

    def cpu(self) -> float:
        """Seconds so far: ours, of the workers' parent, of workers that live and that ended."""
        return cpu() + cpu_of([self._parent], ended=True) + cpu_of(self.pids)

    @property
    def pids(self) -> list[int]:
        """Its workers that are warm."""
        return list(self.pool.status()[AGENT]["pids"])


def echo(value: object) -> object:
    """What `concurrent.futures` is given to do."""
    return value


def cpu() -> float:
    """Seconds of this process and of those below it that ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def cpu_of(pids: list[int], *, ended: bool = False) -> float:
    """Seconds of processes that live; ended: and of those of their children that do not."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11 : 15 if ended else 13]))
    return ticks / os.sysconf("SC_CLK_TCK")


async def starts(bench: Echo, count: int) -> Iterator[Figure]:
    """A worker for each call; then one that is killed each time."""
    await bench.activate(CrewTerms(fewest=0, most=1, recycle=1))
    times, began = [], bench.cpu()
    for _ in range(count):
        at = time.perf_counter()
        assert await bench.call()
        times.append(1000 * (time.perf_counter() - at))
    fresh = ("fork to first answer, p50 ms", figures.median(times), bench.cpu() - began)
    await bench.activate(CrewTerms(fewest=1, most=1))
    await bench.call()
    times, began = [], bench.cpu()
    for _ in range(min(count, 10)):  # more in ten seconds are a quarantine
        at = time.perf_counter()
        os.kill(bench.pids[0], 9)
        while not await bench.call():  # it was given to the one that was killed
            pass
        times.append(1000 * (time.perf_counter() - at))
        await asyncio.sleep(1.2)
    name = "kill -9 to the next one's first answer, p50 ms"
    return iter((fresh, (name, figures.median(times), bench.cpu() - began)))


async def warm(bench: Echo, count: int) -> Iterator[Figure]:
    """One worker: one call after the other, then many at once."""
    await bench.activate(CrewTerms(fewest=1, most=1, recycle=10**9))
    await bench.calls(2_000)
    times, began = [], bench.cpu()
    for _ in range(count):
        at = time.perf_counter()
        assert await bench.call()
        times.append(time.perf_counter() - at)
    spent = bench.cpu() - began
    single = ("warm, one by one, calls/s", count / sum(times), spent)
    half = ("warm, one by one, p50 ms", 1000 * figures.median(times), spent)
    began, at = bench.cpu(), time.perf_counter()
    for _ in range(5):
        assert await bench.calls(count)
    rate = 5 * count / (time.perf_counter() - at)
    spent = bench.cpu() - began
    return iter((single, half, ("warm, in frames, calls/s", rate, spent)))


def pss(pid: int) -> float:
    """Its share of memory, MiB (proc(5), smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def memory(bench: Echo, workers: int, each: int) -> Iterator[Figure]:
    """Many warm workers after so many items each."""
    began = bench.cpu()
    await bench.activate(CrewTerms(fewest=workers, most=workers, recycle=10**9))
    while len(bench.pids) < workers:
        await asyncio.sleep(0.02)
    for _ in range(max(1, each // 100)):
        await bench.calls(workers * 100)
    shares = [pss(pid) for pid in bench.pids]
    spent = bench.cpu() - began
    one = ("a warm worker, PSS MiB", figures.median(shares), spent)
    return iter((one, ("all of them, PSS MiB", sum(shares), spent)))


def others(count: int) -> Iterator[Figure]:
    """What one would use instead, in the same minute."""
    times, began = [], cpu()
    for _ in range(min(count, 20)):
        at = time.perf_counter()
        subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, check=True)
        times.append(1000 * (time.perf_counter() - at))
    yield "a fresh interpreter for each call, p50 ms", figures.median(times), cpu() - began
    with ProcessPoolExecutor(1) as pool:
        pool.submit(echo, CONTENT).result()
        at = time.perf_counter()
        for _ in range(count):
            pool.submit(echo, CONTENT).result()
        yield "concurrent.futures, one by one, calls/s", count / (time.perf_counter() - at), 0.0
        at = time.perf_counter()
        list(pool.map(echo, [CONTENT] * 5 * count, chunksize=64))
        yield (
            "concurrent.futures, in chunks, calls/s",
            5 * count / (time.perf_counter() - at),
            0.0,
        )


async def measure(root: Path, options: argparse.Namespace) -> list[Figure]:
    """Every figure."""
    clock = SystemClock()
    nursery = Nursery(clock)
    nursery.start()
    pool = Pool(nursery, clock=clock, emit=lambda event: None, most=options.workers)
    await pool.start()
    try:
        bench = Echo(pool, root, nursery.pid)
        await bench.activate(CrewTerms())
        return [
            *await starts(bench, options.starts),
            *await warm(bench, options.calls),
            *await memory(bench, options.workers, options.each),
        ]
    finally:
        await pool.stop(5.0)


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="portico-bench-") as folder:
        transforms = Path(folder) / "transforms"
        transforms.mkdir()
        (transforms / "__init__.py").touch()
        (transforms / "echo.py").write_text("def echo(value):\n    return value\n")
        found = [*asyncio.run(measure(Path(folder), options)), *others(options.calls)]
    table = Table("", "found", "floor", "", "CPU s, all processes")
    missed = False
    for name, value, spent in found:
        floor, more = FLOORS.get(name, (None, False))
        held = floor is None or (value >= floor if more else value <= floor)
        missed |= not held
        verdict = "" if floor is None else "held" if held else "missed"
        wanted = "" if floor is None else f"{floor:,.0f}"
        table.add_row(name, f"{value:,.2f}", wanted, verdict, f"{spent:.2f}" if spent else "")
    Console(width=110).print(table)
    return 1 if options.strict and missed else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.workers", description=__doc__)
    parser.add_argument("--starts", type=int, default=50, help="workers started and ended")
    parser.add_argument("--calls", type=int, default=5_000, help="calls one by one")
    parser.add_argument("--workers", type=int, default=50, help="that are warm at once")
    parser.add_argument("--each", type=int, default=10_000, help="items of each of them")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a floor is missed")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
