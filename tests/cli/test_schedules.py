"""`portico schedules`, and schedules in a running appliance."""

import json
import subprocess
import sys

import pytest

SITE = """\
channel: night
source: {type: schedule, cron: "30 2 * * *", timezone: Europe/Berlin}
---
agent: census
goal: One Signal a night
on: {channel: night, /planned: {exists: yes}}
steps: [{send: {to: out, file: census.json}}]
---
{destination: out, type: folder, path: out}
"""


@pytest.fixture
def site(tmp_path):
    """A site with one schedule."""
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels/all.yaml").write_text(SITE)
    return tmp_path


def portico(site, *words):
    """The command's end."""
    command = [sys.executable, "-m", "portico", *words, "--site", str(site)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_next_times_are_listed_without_an_engine(site):
    """In the schedule's own time zone."""
    done = portico(site, "schedules", "--json", "--count", "400")
    (one,) = json.loads(done.stdout)

    assert done.returncode == 0
    assert len(one["next"]) == 400
    assert {text[10:19] for text in one["next"]} <= {"T02:30:00", "T03:00:00"}
    assert sorted(one["next"]) == one["next"]


def test_firing_without_an_engine_says_how_to_start_one(site):
    """Exit code 3, like every command that needs one."""
    done = portico(site, "schedules", "--fire", "night")

    assert done.returncode == 3
    assert "portico run" in done.stderr
