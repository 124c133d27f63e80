"""Medians of what was measured, as the JSON of `var/bench.json` and as tables."""

import os
import platform
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.cases import A, B
from bench.figures import median
from bench.floors import Floor
from bench.processes import GROUPS
from bench.rounds import Rounds

_CASE = ("rate", "ratio", "p50_ms", "p99_ms")
_THROUGH = ("ack_rate", "through_p50_ms", "through_p99_ms")
_HALF = ("rate", "p50_ms", "p99_ms", "c99s")


def summarise(found: Rounds) -> dict[str, Any]:
    """The medians: the reference, a mapping for each case, and what is measured beside them."""
    results: dict[str, Any] = {
        "J": median(found.J),
        "c50_ms": median(found.c50_ms),
        "c99_ms": median(found.c99_ms),
    }
    for case in (*A, *B):
        measured = found.cases[case.name]
        results[case.name] = {
            **_medians(measured, _CASE),
            "cpu_us": _medians([one["cpu_us"] for one in measured], GROUPS),
            "rounds": len(measured),
            **(_medians(measured, _THROUGH) if case.through else {}),
        }
    results["half_load"] = {name: _medians(each, _HALF) for name, each in found.half.items()}
    results["start"] = {f"{before}_s": median(each) for before, each in found.starts.items()}
    results["start"]["worst_s"] = max(max(each) for each in found.starts.values())
    results["idle"] = _medians(found.idle, ("rss_mib", "pss_mib"))
    results["spread"] = {
        "J": [min(found.J), max(found.J)],
        **{name: _range([one["rate"] for one in each]) for name, each in found.cases.items()},
    }
    results["machine"] = {
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    return results


def show(results: dict[str, Any], floors: list[Floor], console: Console) -> None:
    """Print it."""
    console.print(
        f"J {results['J']:.0f} rows/s   c50 {results['c50_ms']:.2f} ms   "
        f"c99 {results['c99_ms']:.2f} ms   medians of {results['A_1x1']['rounds']} rounds"
    )
    console.print(_cases(results))
    console.print(_floors(floors))
    idle, start = results["idle"], results["start"]
    console.print(
        f"idle {idle['pss_mib']:.0f} MiB PSS, {idle['rss_mib']:.0f} MiB RSS; first ACK: "
        + ", ".join(f"{name.removesuffix('_s')} {s:.2f} s" for name, s in start.items())
    )


def _cases(results: dict[str, Any]) -> Table:
    table = Table("CASE", box=None)
    for head in (
        "MSG/S",
        "OF J",
        "ACK P50 MS",
        "P99 MS",
        "ENGINE US",
        "WORKERS",
        "POSTGRES",
        "SUM",
    ):
        table.add_column(head, justify="right")
    for name, case in results.items():
        if isinstance(case, dict) and "cpu_us" in case:
            cpu = case["cpu_us"]
            table.add_row(
                name,
                f"{case['rate']:.0f}",
                f"{case['ratio']:.3f}",
                f"{case['p50_ms']:.2f}",
                f"{case['p99_ms']:.2f}",
                *(f"{cpu[group]:.0f}" for group in GROUPS),
                f"{sum(cpu.values()):.0f}",
            )
    return table


def _floors(floors: list[Floor]) -> Table:
    table = Table("FLOOR", "FOUND", "WANTED", "", box=None)
    for floor in floors:
        word = "pass" if floor.passed else "FAIL"
        table.add_row(floor.name, floor.found, floor.wanted, word)
    return table


def _medians(measured: list[dict[str, Any]], names: Any) -> dict[str, Any]:
    return {name: median([one[name] for one in measured]) for name in names}


def _range(values: list[float]) -> list[float]:
    return [min(values), max(values)]
