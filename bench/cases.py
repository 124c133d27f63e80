"""The cases, and one measurement of one of them."""

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from bench import processes
from bench.appliance import Appliance
from bench.generator import Plan

_LATER = 120.0  # seconds that a load or a queue may take beyond its time
_LOOK = 0.02  # seconds between two looks at the books

# What the books call delivered: the marks that are committed.
_DELIVERED = """
    select coalesce(sum(n), 0)::bigint from tally
    where scope = 'destination' and state = 'delivered'
    """


@dataclass(frozen=True, slots=True)
class Case:
    """connections x outstanding: how the load arrives. through: B, else A."""

    name: str
    connections: int
    outstanding: int
    through: bool

    def plan(self, port: int, seconds: float, rate: float = 0.0) -> Plan:
        """What the generator is told."""
        return Plan(port, self.connections, self.outstanding, seconds, rate)


A = (
    Case("A_1x1", 1, 1, False),
    Case("A_50x1", 50, 1, False),
    Case("A_10x16", 10, 16, False),
)
B = (Case("B_50x1", 50, 1, True), Case("B_50x8", 50, 8, True))


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement. rate: messages a second, for B from the first sent to the last mark.

    p50_ms, p99_ms: from sending to the ACK; ack_rate: how fast those came. through_p50_ms,
    through_p99_ms: from sending to arrival at the receiver (B only, waiting included).
    cpu_us: for one message, by group.
    """

    rate: float
    ack_rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, float]
    through_p50_ms: float = 0.0
    through_p99_ms: float = 0.0


class Generator:
    """A generator process that is connected and waits for the word.

    quiet: what it says when the engine goes away under it is expected.
    """

    def __init__(self, plan: Plan, quiet: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.generator", json.dumps(asdict(plan))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            text=True,
        )
        if self._line() != "connected":
            raise SystemExit("the generator could not connect")

    def go(self) -> None:
        """Begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def wait(self) -> int:
        """How many answers there were, once the last is in; SystemExit when one was wrong."""
        word, _, answered = self._line().partition(" ")
        if word != "done":
            raise SystemExit("the load ended early")
        return int(answered)

    def report(self) -> dict[str, Any]:
        """What it measured."""
        found: dict[str, Any] = json.loads(self._line())
        return found

    def end(self) -> None:
        """Whatever it does, it ends."""
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Receiver:
    """The sink's process, for as long as the block."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.sink"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._asks, self._says = self._process.stdin, self._process.stdout
        self.port = int(self._says.readline())

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def report(self) -> dict[str, Any]:
        """What came since the last report."""
        self._asks.write("report\n")
        self._asks.flush()
        found: dict[str, Any] = json.loads(self._says.readline())
        return found


def measure(
    appliance: Appliance, case: Case, seconds: float, receiver: Receiver, rate: float = 0.0
) -> Measured:
    """Warm up for a fifth of the time, then measure. SystemExit when a count is wrong."""
    _load(appliance, case.plan(appliance.port, seconds / 5, rate), case.through)
    receiver.report()
    load, taken, cpu = _load(appliance, case.plan(appliance.port, seconds, rate), case.through)
    n = load["answered"]
    came = receiver.report()
    if case.through and came["received"] != n:
        raise SystemExit(f"{n} messages were acknowledged, {came['received']} arrived")
    return Measured(
        rate=n / taken,
        ack_rate=n / load["seconds"],
        p50_ms=load["p50_ms"],
        p99_ms=load["p99_ms"],
        cpu_us={group: spent / n for group, spent in cpu.items()},
        through_p50_ms=came["p50_ms"],
        through_p99_ms=came["p99_ms"],
    )


def _load(
    appliance: Appliance, plan: Plan, through: bool
) -> tuple[dict[str, Any], float, dict[str, float]]:
    """The generator's report, the seconds until all is done, the CPU that this took."""
    generator = Generator(plan)
    try:
        with psycopg.connect(appliance.conninfo(), autocommit=True) as books:
            delivered = _delivered(books)
            before, began = processes.cpu(appliance.pid), time.perf_counter()
            generator.go()
            answered = generator.wait()
            if through:
                _await(books, delivered + answered)
            taken, after = time.perf_counter() - began, processes.cpu(appliance.pid)
            report = generator.report()
    finally:
        generator.end()
    return report, taken, {group: after[group] - before[group] for group in before}


def _delivered(books: psycopg.Connection[Any]) -> int:
    row = books.execute(_DELIVERED).fetchone()
    assert row is not None
    return int(row[0])


def _await(books: psycopg.Connection[Any], delivered: int) -> None:
    """Until that many marks are committed."""
    deadline = time.perf_counter() + _LATER
    while (now := _delivered(books)) < delivered:
        if time.perf_counter() > deadline:
            raise SystemExit(f"{delivered - now} deliveries are missing after {_LATER:g} s")
        time.sleep(_LOOK)
