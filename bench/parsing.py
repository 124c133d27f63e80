"""`python -m bench.parsing`: what reading and editing a message costs, beside other libraries.

Two acts on a 1 KB ADT: read what routing needs, and parse + three edits + encode. Libraries
take turns in short rounds, so that all see the same noise; the figure is the median round.
Then our edit on messages up to 50 MB: ten times the bytes may not cost much more than ten
times the time (a quadratic step would show as a hundred).
Exit code 1 with `--strict` when a floor is missed.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import hl7apy.parser
from rich.console import Console
from rich.table import Table

import hl7
from bench import figures, messages
from portico.hl7.edit import MessageEdit
from portico.hl7.view import MessageView

ROUTING_US = 15.0
EDITING_US = 30.0
GROWTH = 3.0  # most by which a byte of the largest message may cost more than of the smallest
SIZES = (5_000_000, 15_000_000, 50_000_000)  # none fits into a processor's caches

_EDITS = (("PID-5.1", "EXAMPLE"), ("PID-8", "M"), ("PV1-3.1", "W2"))
_LINE = b"OBX|1|NM|8302-2^HEIGHT^LN||170|cm|||||F\r"


@dataclass(frozen=True, slots=True)
class Act:
    """What a library does with a message. loops: times a round."""

    name: str
    library: str
    run: Callable[[bytes], object]
    loops: int


def adt() -> bytes:
    """The benchmarks' 1 KB ADT without its frame."""
    _, frame = messages.Frames().render(1)
    return frame[1:-2]


def route(content: bytes) -> object:
    """Who sent what about whom: the header, the patient and the place."""
    view = MessageView(content)
    head = view.header
    return head.type, head.control_id, view.text("PID-3.1"), view.text("PV1-3.1")


def edit(content: bytes) -> bytes:
    """Three fields of two segments set, and the bytes made."""
    edited = MessageEdit(MessageView(content))
    for path, text in _EDITS:
        edited.set(path, text)
    return edited.encode()


def route_with_hl7(content: bytes) -> object:
    """The same with python-hl7."""
    parsed = hl7.parse(content.decode("ascii"))
    kind, control_id = parsed["MSH.F9"], parsed["MSH.F10"]
    return str(kind), str(control_id), parsed["PID.F3.R1.C1"], parsed["PV1.F3.R1.C1"]


def edit_with_hl7(content: bytes) -> bytes:
    """The same with python-hl7."""
    parsed = hl7.parse(content.decode("ascii"))
    parsed["PID.F5.R1.C1"], parsed["PID.F8"], parsed["PV1.F3.R1.C1"] = "EXAMPLE", "M", "W2"
    return str(parsed).encode("ascii")


def route_with_hl7apy(content: bytes) -> object:
    """The same with hl7apy, without its validation and groups, which cost far more."""
    parsed = _hl7apy(content)
    return (
        parsed.msh.msh_9.to_er7(),
        parsed.msh.msh_10.to_er7(),
        parsed.pid.pid_3.pid_3_1.to_er7(),
        parsed.pv1.pv1_3.pv1_3_1.to_er7(),
    )


def edit_with_hl7apy(content: bytes) -> bytes:
    """The same with hl7apy."""
    parsed = _hl7apy(content)
    parsed.pid.pid_5.pid_5_1.value = "EXAMPLE"
    parsed.pid.pid_8.value = "M"
    parsed.pv1.pv1_3.pv1_3_1.value = "W2"
    text: str = parsed.to_er7()
    return text.encode("ascii")


def _hl7apy(content: bytes) -> Any:
    return hl7apy.parser.parse_message(content.decode("ascii"), find_groups=False)


ACTS = (
    Act("routing fields", "portico", route, 500),
    Act("routing fields", "python-hl7", route_with_hl7, 20),
    Act("routing fields", "hl7apy", route_with_hl7apy, 1),
    Act("parse, three edits, encode", "portico", edit, 500),
    Act("parse, three edits, encode", "python-hl7", edit_with_hl7, 20),
    Act("parse, three edits, encode", "hl7apy", edit_with_hl7apy, 1),
)


def measure(rounds: int) -> dict[tuple[str, str], float]:
    """Microseconds of each act by its name and library: the median of the rounds."""
    content = adt()
    assert len(content) == messages.SIZE
    found: dict[tuple[str, str], list[float]] = {(one.name, one.library): [] for one in ACTS}
    for one in ACTS:
        one.run(content)
    for _ in range(rounds):
        for one in ACTS:
            begun = time.perf_counter_ns()
            for _ in range(one.loops):
                one.run(content)
            spent = (time.perf_counter_ns() - begun) / 1000 / one.loops
            found[one.name, one.library].append(spent)
    return {key: figures.median(times) for key, times in found.items()}


def large(size: int) -> bytes:
    """The ADT with results behind it, of about that many bytes."""
    head = adt()
    return head + _LINE * ((size - len(head)) // len(_LINE))


def growth(sizes: tuple[int, ...] = SIZES, rounds: int = 3) -> dict[int, float]:
    """Nanoseconds a byte of our three edits, by size: the least of the rounds."""
    found = {}
    for size in sizes:
        content = large(size)
        times = []
        for _ in range(rounds):
            begun = time.perf_counter_ns()
            edit(content)
            times.append((time.perf_counter_ns() - begun) / len(content))
        found[size] = min(times)
    return found


def missed(times: dict[tuple[str, str], float], bytes_cost: dict[int, float]) -> list[str]:
    """The floors that were not reached, for people."""
    found = []
    for name, most in (
        ("routing fields", ROUTING_US),
        ("parse, three edits, encode", EDITING_US),
    ):
        if times[name, "portico"] > most:
            found.append(f"{name}: {times[name, 'portico']:.1f} us, wanted <= {most:g} us")
    smallest, *_, largest = bytes_cost.values()
    if largest > GROWTH * smallest:
        found.append(f"a byte costs {largest / smallest:.1f} times as much in a large message")
    return found


def show(
    times: dict[tuple[str, str], float], bytes_cost: dict[int, float], console: Console
) -> None:
    """Both tables."""
    table = Table("act", "library", "us", "times ours", title="1 KB ADT, median")
    for (name, library), spent in times.items():
        table.add_row(name, library, f"{spent:.1f}", f"{spent / times[name, 'portico']:.1f}")
    console.print(table)
    table = Table("bytes", "ns a byte", title="three edits, by size of message")
    for size, cost in bytes_cost.items():
        table.add_row(f"{size:,}", f"{cost:.2f}")
    console.print(table)


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.parsing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="how often each is measured")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a floor is missed")
    options = parser.parse_args(arguments)
    console = Console(soft_wrap=True, highlight=False)
    times, bytes_cost = measure(options.rounds), growth()
    show(times, bytes_cost, console)
    for line in (found := missed(times, bytes_cost)):
        console.print(f"missed: {line}")
    return 1 if options.strict and found else 0


if __name__ == "__main__":
    sys.exit(main())
