"""The order of measuring: rounds in which every case has its turn, so that a slow minute of
the machine falls on all of them alike.

    round   start B, idle memory, J, B_50x1, B_50x8, stop
            start A, J, c50 and c99, A_1x1, A_50x1, A_10x16, kill -9 under load
    half    start A, then rounds of c50 and c99 and each A case at half its median rate, stop

Every start goes on the data folder of the one before, so each is a measurement too.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from bench import appliance, processes, reference
from bench.appliance import Appliance
from bench.cases import A, B, Case, Generator, Measured, Receiver, measure
from bench.figures import median

_SETTLE = 1.0  # seconds after the first answer until memory is read
_KILLED_AT = 0.7  # seconds of load before the kill

Say = Callable[[str], None]


@dataclass(slots=True)
class Rounds:
    """All that was measured, one value a round and case.

    cases: with `ratio` to the J of the same engine life. half: A at half load, with `c99s`,
    its p99 in units of that round's c99. starts: seconds to the first answer, by what came
    before: `new` folder, `stopped`, `killed`.
    """

    J: list[float] = field(default_factory=list)
    c50_ms: list[float] = field(default_factory=list)
    c99_ms: list[float] = field(default_factory=list)
    idle: list[dict[str, float]] = field(default_factory=list)
    cases: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    half: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    starts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


class Bench:
    """One run. seconds: how long each measurement lasts. say: told of each as it is made."""

    def __init__(self, engine: Appliance, seconds: float, say: Say) -> None:
        self._engine = engine
        self._seconds = seconds
        self._say = say
        self._before = "new"
        self.found = Rounds()

    def run(self, rounds: int) -> Rounds:
        """All rounds, then the half loads. Whatever happens, no engine is left."""
        try:
            with Receiver() as receiver:
                for number in range(rounds):
                    self._say(f"round {number + 1} of {rounds}")
                    self._through(receiver)
                    self._receive(receiver)
                self._half_loads(rounds, receiver)
        finally:
            self._engine.kill()
        return self.found

    def _through(self, receiver: Receiver) -> None:
        self._start(appliance.THROUGH, sink=receiver.port)
        time.sleep(_SETTLE)
        self.found.idle.append(processes.memory(self._engine.pid))
        self._cases(B, self._raw(), receiver)
        self._engine.stop()
        self._before = "stopped"

    def _receive(self, receiver: Receiver) -> None:
        self._start(appliance.ONLY_CHANNEL)
        rows = self._raw()
        self._singles()
        self._cases(A, rows, receiver)
        self._kill_under_load()

    def _half_loads(self, rounds: int, receiver: Receiver) -> None:
        self._start(appliance.ONLY_CHANNEL)
        for _ in range(rounds):
            unit = self._singles()
            for case in A:
                rate = median([one["rate"] for one in self.found.cases[case.name]]) / 2
                one = measure(self._engine, case, self._seconds, receiver, rate)
                self.found.half[case.name].append(asdict(one) | {"c99s": one.p99_ms / unit})
                self._say(f"  {case.name} at {rate:.0f}/s: p99 {one.p99_ms:.2f} ms")
        self._engine.stop()

    def _start(self, site: str, **names: object) -> None:
        took = self._engine.start(site, **names)
        self.found.starts[self._before].append(took)
        self._say(f"  first answer after {took:.2f} s ({self._before})")

    def _raw(self) -> float:
        rows = reference.rows_per_second(self._engine.conninfo(), self._seconds)
        self.found.J.append(rows)
        self._say(f"  J {rows:.0f}/s")
        return rows

    def _singles(self) -> float:
        c50, c99 = reference.single_commits(self._engine.conninfo(), self._seconds)
        self.found.c50_ms.append(c50)
        self.found.c99_ms.append(c99)
        self._say(f"  c50 {c50:.2f} ms, c99 {c99:.2f} ms")
        return c99

    def _cases(self, cases: tuple[Case, ...], rows: float, receiver: Receiver) -> None:
        for case in cases:
            one = measure(self._engine, case, self._seconds, receiver)
            self.found.cases[case.name].append(asdict(one) | {"ratio": one.rate / rows})
            self._say(f"  {_told(case, one)}")

    def _kill_under_load(self) -> None:
        load = Generator(A[-1].plan(self._engine.port, 60.0), quiet=True)
        load.go()
        time.sleep(_KILLED_AT)
        self._engine.kill()
        load.end()
        self._before = "killed"


def _told(case: Case, one: Measured) -> str:
    cpu = sum(one.cpu_us.values())
    return f"{case.name} {one.rate:.0f}/s, p99 {one.p99_ms:.2f} ms, {cpu:.0f} us"
