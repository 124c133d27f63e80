"""bench/depth.py in short: the real engine, a few thousand rows, each figure once."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_deep_journal_is_measured_against_an_empty_one(memory_folder):
    """Every ratio is there, the rows are as many as asked for, the old day has gone, and no
    folder stays behind."""
    folder, results = memory_folder / "depth", memory_folder / "depth.json"
    asked = {"rows": 3000, "days": 3, "rounds": 1, "seconds": 0.2}
    options = [f"--{key}={value}" for key, value in asked.items()]
    command = [sys.executable, "-m", "bench.depth", f"--folder={folder}", f"--json={results}"]
    ended = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(results.read_text())

    assert found["rows"] == found["stored"] == 3000
    assert all(ratio > 0 for ratio in found["ratios"].values())
    assert found["empty"]["wal"] > 500 < found["full"]["wal"]
    assert not folder.exists()
