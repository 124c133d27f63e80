"""What the benchmarks say of what they measured."""

import pytest
from bench.cases import A, B
from bench.figures import median, percentile
from bench.rounds import Rounds

from bench import floors, report

CASES = ["A_1x1", "A_50x1", "A_10x16", "B_50x1", "B_50x8"]


@pytest.fixture
def found():
    """Three rounds of an engine that reaches every floor, one of them slow."""
    rounds = Rounds(J=[10_000.0, 20_000.0, 2_000.0], c50_ms=[1.0] * 3, c99_ms=[2.0] * 3)
    for case in (*A, *B):
        for rate in (8_000.0, 9_000.0, 100.0):
            rounds.cases[case.name].append(
                {
                    "rate": rate,
                    "ack_rate": rate,
                    "ratio": rate / 10_000,
                    "p50_ms": 1.0,
                    "p99_ms": 2.0,
                    "through_p50_ms": 3.0,
                    "through_p99_ms": 4.0,
                    "cpu_us": {"engine": 30.0, "workers": 10.0, "postgres": 20.0},
                }
            )
    for case in A:
        rounds.half[case.name] = [{"rate": 4_000.0, "p50_ms": 1.0, "p99_ms": 9.0, "c99s": 4.5}]
    rounds.idle = [{"rss_mib": 150.0, "pss_mib": 100.0}]
    rounds.starts = {"new": [3.0], "stopped": [1.0], "killed": [2.0]}
    return rounds


def verdicts(results):
    """The floors that are missed."""
    return [floor.name for floor in floors.check(results) if not floor.passed]


def test_the_json_begins_with_the_reference_and_the_cases_in_their_order(found):
    """Programs that read var/bench.json find the same keys in every version."""
    results = report.summarise(found)

    assert list(results)[:8] == ["J", "c50_ms", "c99_ms", *CASES]
    for name in CASES:
        assert {"rate", "ratio", "p50_ms", "p99_ms", "cpu_us", "rounds"} <= set(results[name])
        assert set(results[name]["cpu_us"]) == {"engine", "workers", "postgres"}


def test_figures_are_medians_and_not_means(found):
    """One slow round moves nothing much."""
    results = report.summarise(found)

    assert results["J"] == 10_000
    assert results["A_1x1"]["rate"] == 8_000
    assert results["spread"]["A_1x1"] == [100, 9_000]


def test_an_engine_that_reaches_all_floors_misses_none(found):
    """The fixture's engine passes everywhere."""
    assert verdicts(report.summarise(found)) == []


@pytest.mark.parametrize(
    ("place", "value", "missed"),
    [
        (("A_10x16", "ratio"), 0.34, "A_10x16 rate"),
        (("A_50x1", "rate"), 1_999.0, "A_50x1 rate"),
        (("B_50x1", "cpu_us"), {"engine": 251.0}, "B_50x1 CPU a message"),
        (("half_load", "A_50x1", "c99s"), 15.1, "A_50x1 ACK p99 at half load, in c99"),
        (("start", "killed_s"), 3.1, "first ACK after kill -9 under load"),
        (("idle", "pss_mib"), 151.0, "idle without PostgreSQL (PSS)"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_figure_beyond_its_floor_is_a_failure(found, place, value, missed):
    """Each floor of the project can be missed."""
    results = report.summarise(found)
    inner = results
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value

    assert verdicts(results) == [missed]


def test_a_way_through_is_fast_or_cheap(found):
    """B at 50x8 passes by its share of J or by its CPU, whichever it reaches."""
    results = report.summarise(found)
    results["B_50x8"] |= {"ratio": 0.14, "cpu_us": {"engine": 129.0}}
    cheap = verdicts(results)
    results["B_50x8"] |= {"ratio": 0.14, "cpu_us": {"engine": 131.0}}

    assert cheap == []
    assert verdicts(results) == ["B_50x8 rate or CPU"]


def test_slow_commits_lower_the_floor_of_senders_that_wait(found):
    """Fifty senders that wait are bounded by the time of a commit: 0.6 x 50/(2 c50)."""
    results = report.summarise(found)
    results["c50_ms"] = 100.0
    results["A_50x1"]["rate"] = 151.0

    assert verdicts(results) == []


def test_percentiles_and_medians_of_few_values():
    """None is no error, and a middle of two is between them."""
    assert (percentile([], 0.5), median([])) == (0, 0)
    assert percentile([3, 1, 2], 0.99) == 3
    assert median([1, 2]) == 1.5
