"""The whole benchmark, in short: the real engine, all cases, one round."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CASES = ["A_1x1", "A_50x1", "A_10x16", "B_50x1", "B_50x8"]


def run(*arguments):
    """`python -m bench` as a user runs it."""
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_one_command_measures_everything_and_leaves_only_its_results(memory_folder):
    """Each case has a rate, a latency and its CPU; no engine, sink or data stays behind."""
    folder, results = memory_folder / "bench", memory_folder / "bench.json"
    ended = run("--rounds", 1, "--seconds", 0.1, "--folder", folder, "--json", results)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(results.read_text())

    assert list(found)[:8] == ["J", "c50_ms", "c99_ms", *CASES]
    for name in CASES:
        assert found[name]["rate"] > 0 and found[name]["p99_ms"] >= found[name]["p50_ms"] > 0
        assert name in ended.stdout
    assert found["start"]["killed_s"] > 0 and found["idle"]["pss_mib"] > 0
    assert not folder.exists()
    assert not [p for p in processes() if str(folder) in p]


def test_two_runs_do_not_measure_each_other(memory_folder):
    """The second one on the same folder says so and touches nothing."""
    folder = memory_folder / "taken"
    with folder.with_name("taken.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = run("--quick", "--folder", folder)

    assert ended.returncode == 1
    assert "another run uses" in ended.stderr
    assert not folder.exists()


def processes():
    """The command line of every process."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                yield Path("/proc", entry, "cmdline").read_text()
            except OSError:
                continue
