"""What the figures must reach: the floors of the project, each with its verdict."""

from dataclasses import dataclass
from typing import Any

HALF_C99S = 15.0
START_S = 3.0
IDLE_MIB = 150.0
THROUGH_CPU_US = 130.0
MOST_CPU_US = 250.0


@dataclass(frozen=True, slots=True)
class Floor:
    """name: of what. found, wanted: for people."""

    name: str
    found: str
    wanted: str
    passed: bool


def check(results: dict[str, Any]) -> list[Floor]:
    """Every floor against the medians."""
    start = results["start"]
    return [
        _share(results, "A_10x16", 0.35),
        _stop_and_wait(results),
        _through(results),
        *(_cost(results, name) for name in ("B_50x1", "B_50x8")),
        *(
            _most(f"{name} ACK p99 at half load, in c99", half["c99s"], HALF_C99S, "")
            for name, half in results["half_load"].items()
        ),
        _most("first ACK after a stop", start["stopped_s"], START_S, " s"),
        _most("first ACK after kill -9 under load", start["killed_s"], START_S, " s"),
        _most("idle without PostgreSQL (PSS)", results["idle"]["pss_mib"], IDLE_MIB, " MiB"),
    ]


def _share(results: dict[str, Any], name: str, wanted: float) -> Floor:
    ratio = results[name]["ratio"]
    return Floor(f"{name} rate", f"{ratio:.2f} J", f">= {wanted:.2f} J", ratio >= wanted)


def _stop_and_wait(results: dict[str, Any]) -> Floor:
    """Fifty senders that wait are bounded by the time of a commit, whatever the engine does."""
    share = 0.20 * results["J"]
    waiting = 0.6 * 50 / (2 * results["c50_ms"] / 1000)
    wanted, why = min((share, "0.20 J"), (waiting, "0.6 x 50/(2 c50)"))
    rate = results["A_50x1"]["rate"]
    return Floor("A_50x1 rate", f"{rate:.0f}/s", f">= {wanted:.0f}/s ({why})", rate >= wanted)


def _through(results: dict[str, Any]) -> Floor:
    case = results["B_50x8"]
    ratio, cpu = case["ratio"], sum(case["cpu_us"].values())
    return Floor(
        "B_50x8 rate or CPU",
        f"{ratio:.2f} J, {cpu:.0f} us",
        f">= 0.15 J or <= {THROUGH_CPU_US:.0f} us",
        ratio >= 0.15 or cpu <= THROUGH_CPU_US,
    )


def _cost(results: dict[str, Any], name: str) -> Floor:
    cpu = sum(results[name]["cpu_us"].values())
    return _most(f"{name} CPU a message", cpu, MOST_CPU_US, " us")


def _most(name: str, found: float, most: float, unit: str) -> Floor:
    return Floor(name, f"{found:.3g}{unit}", f"<= {most:g}{unit}", found <= most)
