"""Signals that a caller makes for an agent, in a real engine: journaled, run, waited for."""

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from portico.cli.control import Engine

SITE = """
channel: numbers
source: {type: folder, path: in, files: "*.json"}
content: json
---
channel: strict
source: {type: folder, path: in, files: "*.hl7"}
---
agent: adder
owner: lab
pool: {most: 1}
goal: Add one
on: {channel: numbers}
steps:
  - python: {call: transforms.acts:act, timeout: 60s}
  - when: {/keep: yes}
    send: files
---
agent: strict
goal: Only what it knows
on: {channel: strict}
steps:
  - validate: {require: [PID-3]}
    on_error: {refuse: no patient}
---
{destination: files, type: folder, path: out, file: "{/n}.json"}
"""
ACTS = '''
import time
from portico.authoring import Permanent, log, progress


def act(value):
    """Adds one; or waits; or fails."""
    if "raise" in value:
        raise Permanent("it cannot be added")
    log("info", "adding")
    progress(1, 4)
    time.sleep(value.get("wait", 0))
    return {**value, "n": value["n"] + 1}
'''


class Run:
    """One engine and the command line."""

    def __init__(self, appliance, journal):
        self.engine = appliance(SITE, journal=journal)
        (self.engine.site / "in").mkdir()
        (self.engine.site / "transforms/acts.py").write_text(ACTS)
        config = "workers: {quotas: {lab: {workers: 0, waiting: 1}}}\n"
        (self.engine.site / "config/portico.yaml").write_text(config)
        self.engine.start()

    def signal(self, *words, given=b"", code=0):
        """`portico signal`: what stands on standard output and standard error."""
        command = [sys.executable, "-m", "portico", "signal", *words]
        done = subprocess.run(
            [*command, "--site", self.engine.site],
            env=self.engine.environ,
            input=given,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        return done.stdout.decode(), done.stderr.decode()

    def follow(self, signal_id, told, *words):
        """`portico show --follow`, into a file."""
        command = [sys.executable, "-m", "portico", "show", signal_id, "--follow", *words]
        return subprocess.Popen(
            [*command, "--site", self.engine.site],
            env={**self.engine.environ, "PYTHONUNBUFFERED": "1"},
            stdout=told.open("wb"),
        )

    def show(self, signal_id):
        """`portico show --json`."""
        return json.loads(self.engine.run("show", signal_id, "--json").stdout)


@pytest.fixture
def run(appliance, journal_url, server):
    """A new engine on an empty journal."""
    return Run(appliance, server.url_of(journal_url))


def test_a_caller_waits_for_what_an_agent_makes_of_its_signal(run):
    """The result is the answer; the Signal, its caller and what it owes are in the journal."""
    out, said = run.signal("adder", "--wait", given=b'{"n": 1, "keep": "yes"}')
    told = run.show(said.split()[1])

    assert json.loads(out) == {"n": 2, "keep": "yes"}
    assert told["signal"]["state"] == "done"
    assert told["signal"]["channel"].startswith("caller:")
    assert [one["agent"] for one in told["sessions"]] == ["adder"]
    assert [one["destination"] for one in told["deliveries"]] == ["files"]
    assert run.engine.status()["balanced"]


@pytest.mark.parametrize(
    ("agent", "given", "code", "word"),
    [
        ("adder", b'{"n": 1, "raise": 1}', 1, "step.permanent"),
        ("strict", b"MSH|^~\\&|A|B|||||ADT^A01|1|P|2.5\nPID|1\n", 4, "no patient"),
        ("nobody", b"{}", 1, "request.unknown_noun"),
        ("adder", b"{", 1, "request"),
    ],
)
def test_a_caller_hears_why_there_is_no_result(run, agent, given, code, word):
    """Parked, refused, unknown, unreadable: each with its exit code and what is wrong."""
    out, said = run.signal(agent, "--wait", given=given, code=code)

    assert out == ""
    assert word in said


def test_a_wait_is_bounded_and_the_work_goes_on(run, server):
    """Who waited too short a time finds the end in the journal."""
    _, said = run.signal(
        "adder", "--wait", "--timeout", "200ms", given=b'{"n":1,"wait":1}', code=3
    )
    name = said.split()[1]

    server.until(lambda: run.show(name)["signal"]["state"] == "done")


def test_a_signal_that_is_only_recorded_runs_nothing(run):
    """`fyi` is journaled and over; the books add up."""
    out, said = run.signal("adder", "--kind", "fyi", given=b'{"n":1}')
    told = run.show(out.strip())

    assert "filtered (fyi)" in said
    assert (told["signal"]["state"], told["sessions"]) == ("filtered", [])
    assert told["message"]["size"] == 7
    assert run.engine.status()["balanced"]


def test_a_sync_reads_the_site_anew_and_says_what_is_wrong_with_it(run):
    """Swapped in, or kept as it was with the findings; recorded either way."""
    run.signal("adder", "--kind", "sync")
    run.engine.write(SITE.replace("send: files", "send: nowhere"))
    out, said = run.signal("adder", "--kind", "sync", code=1)

    assert run.engine.said("site_swapped") == 1
    assert "nowhere" in said
    assert run.show(out.strip())["signal"]["ended"] == "sync"


def test_a_caller_is_refused_where_too_many_wait_for_its_owner(run, server):
    """Those that were taken wait in their place; status and metrics say so."""
    for _ in range(2):
        run.signal("adder", given=b'{"n":1,"wait":40}')
    server.until(lambda: run.engine.status()["agents"]["adder"]["state"] == "full")
    _, said = run.signal("adder", given=b'{"n":1}', code=1)
    numbers = run.engine.metrics()

    assert "workers.quotas" in said
    assert numbers['portico_agent_refused_total{agent="adder"}'] == 1
    assert numbers['portico_agent_queue{agent="adder"}'] == 1
    assert numbers['portico_agent_workers{agent="adder",state="busy"}'] == 1
    assert numbers['portico_agent_memory_bytes{agent="adder"}'] > 1 << 20
    assert numbers['portico_agent_cpu{agent="adder"}'] >= 0


def test_a_callers_signal_runs_after_a_kill(run, server):
    """It was journaled, so the next engine runs it, by the agent that it was made for."""
    out, _ = run.signal("adder", given=b'{"n":1,"wait":1}')
    run.engine.end(signal.SIGKILL)
    run.engine.start()

    server.until(lambda: run.show(out.strip())["signal"]["state"] == "done")
    assert [one["agent"] for one in run.show(out.strip())["sessions"]] == ["adder"]


def test_who_follows_is_answered_when_something_is_new(run, server):
    """A question with the last mark is held until then, or until its time is over."""
    out, _ = run.signal("adder", given=b'{"n":1,"wait":55}')
    door, path = Engine(run.engine.site), f"/v1/signals/{out.strip()}"
    live = partial(door.call, "GET", f"{path}/live")
    server.until(lambda: [one["step"] for one in live()["sessions"]] == ["python_1"])
    mark, began = live()["mark"], time.monotonic()
    same = live({"mark": mark, "wait": "0.5"})
    waited = time.monotonic() - began

    with ThreadPoolExecutor() as pool:
        held = pool.submit(live, {"mark": mark, "wait": "10"})
        door.call("POST", f"{path}/cancel")
        new = held.result(10)

    assert (same["mark"], waited >= 0.5) == (mark, True)
    assert new["mark"] != mark


def test_a_session_is_followed_and_ended_by_a_person(run, server):
    """Where it is, how far, what it logs, while it runs; then its Signal is parked, with who
    did it."""
    out, _ = run.signal("adder", given=b'{"n":1,"wait":55}')
    name, told = out.strip(), run.engine.log.with_name("told")
    whole = run.engine.log.with_name("json")
    following, beside = run.follow(name, told), run.follow(name, whole, "--json")
    server.until(lambda: "python_1 at 1 of 4" in told.read_text())
    ended = run.engine.run("cancel", name)
    following.wait(30)
    beside.wait(30)
    (parked,) = run.show(name)["parked"]

    assert ended.returncode == 0
    assert "adder: log python_1 info adding" in told.read_text()
    assert "decided fault" in told.read_text()
    assert json.loads(whole.read_text())["signal"]["id"] == name  # JSON and nothing else
    assert parked["code"] == "step.cancelled"
    assert "cancelled by" in parked["reason"]
    assert run.engine.said("session_cancelled") == 1
    assert run.engine.run("cancel", name).returncode == 1
