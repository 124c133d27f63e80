"""Replays in a real engine: seen before, run by today's agents, exact after a kill."""

import threading

import psycopg
import pytest

NAMES = """
from portico.authoring import table
{more}

def told(msg):
    msg["PID-5"] = "{word}-" + table("kinds").get("A")
"""

SITE = """
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{adt}"}}
order_by: PID-3.1
---
agent: forward
goal: All of it
on: {{channel: adt, type: ADT^*}}
steps: [{steps}{{send: {to}}}]
---
{{destination: his, type: mllp, address: "127.0.0.1:{his}", retry: {{first: 50ms, most: 50ms}}}}
---
{{destination: files, type: folder, path: out, file: "{{MSH-10}}.hl7", exists: number}}
"""


class Run:
    """One engine, a peer that takes all, and the command line."""

    def __init__(self, server, appliance, journal):
        self.server, self.sink, self.adt = server, server.Sink(), server.free_port()
        self.journal, self.steps, self.swaps = journal, "", 0
        self.engine = appliance(self.site("his"), journal=journal).start()
        self.client = server.Client(self.adt)

    def site(self, to):
        """The documents."""
        return SITE.format(adt=self.adt, his=self.sink.port, to=to, steps=self.steps)

    def reload(self, to):
        """Another destination from now on."""
        self.engine.write(self.site(to))
        self.swaps += 1
        self.engine.reload()
        self.server.until(lambda: self.engine.said("site_swapped") == self.swaps)

    def edit(self, word, kind, more="", reload=True):
        """A transform that writes this word, and from a table this kind, from now on."""
        transforms = self.engine.site / "transforms"
        (transforms / "tables").mkdir(exist_ok=True)
        (transforms / "tables/kinds.csv").write_text(f"code,text\nA,{kind}\n")
        (transforms / "names.py").write_text(NAMES.format(word=word, more=more))
        self.steps = "{python: transforms.names:told}, "
        if reload:
            self.reload("his")

    def forget(self):
        """The journal as an older engine leaves it."""
        with psycopg.connect(self.journal) as connection:
            connection.execute("delete from edition")

    def send(self, count):
        """So many messages, all accepted and delivered."""
        frames = [self.server.message(str(n), str(n % 7)) for n in range(count)]
        whole = b"".join(map(self.server.encode, frames))
        threading.Thread(target=self.client.send, args=(whole, True), daemon=True).start()
        assert all(b"MSA|AA" in self.client.answer() for _ in frames)
        self.server.until(lambda: len(self.sink.got) == count, 60)

    def portico(self, *words, code=0):
        """A command's JSON."""
        return self.engine.json(*words, code=code)

    def signals(self):
        """All Signals, newest first."""
        return self.portico("signals", "--limit", "1000")["signals"]

    def received(self):
        """What the channel's book says came in."""
        status = self.engine.status()
        assert status["balanced"]
        return status["channels"]["adt"]["received"]


@pytest.fixture
def life(server, appliance, url):
    """Makes a running engine with a peer."""
    made = []

    def make():
        made.append(Run(server, appliance, url))
        return made[-1]

    yield make
    for one in made:
        one.sink.close()


def test_a_preview_says_where_everything_would_go_and_stores_nothing(life):
    """It is run by the agents in force, which send elsewhere by now."""
    run = life()
    run.send(5)
    run.reload("files")
    seen = run.portico("replay", "--channel", "adt", "--preview")
    assert (seen["total"], seen["seen"], seen["destinations"]) == (5, 5, {"files": 5})
    assert seen["agents"] == [{"agent": "forward", "verdict": "deliver", "count": 5}]
    assert run.received() == 5
    assert not (run.engine.site / "out").exists()


def test_a_replay_runs_todays_agents_and_says_what_it_came_from(life):
    """New Signals with parent and flag, never taken for repeats; the old ones stay."""
    run = life()
    run.send(3)
    run.reload("files")
    job = run.portico("replay", "--channel", "adt", "--yes")
    assert (job["state"], job["made"], job["skipped"], job["total"]) == ("done", 3, 0, 3)
    run.server.until(lambda: len(list((run.engine.site / "out").glob("*.hl7"))) == 3)
    assert len(run.sink.got) == 3
    listed = run.signals()
    assert [one["flags"] for one in listed] == [["replay"]] * 3 + [[]] * 3
    assert {one["state"] for one in listed} == {"done"}
    parents = [run.portico("show", one["id"])["parent"] for one in listed[:3]]
    assert parents == [one["id"] for one in listed[3:]]
    old = run.portico("show", listed[3]["id"])
    assert [act["what"] for act in old["acts"]] == ["replay"]
    again = run.portico("replay", listed[0]["id"], "--yes")
    assert again["made"] == 1
    assert run.received() == 7


def test_as_recorded_is_what_ran_then_and_a_plain_replay_is_what_runs_now(life):
    """Another transform and another table are in force: the old edition gives the old bytes, in
    a preview too, and leaves no trace once it is not needed."""
    run = life()
    run.edit("before", "K")
    run.send(1)
    (one,) = run.signals()
    run.edit("after", "X")
    seen = run.portico("replay", one["id"], "--as-recorded", "--preview")
    assert seen["agents"] == [{"agent": "forward", "verdict": "deliver", "count": 1}]
    assert run.portico("replay", one["id"], "--as-recorded", "--yes")["made"] == 1
    run.server.until(lambda: len(run.sink.contents) == 2)
    assert run.portico("replay", one["id"], "--yes")["made"] == 1
    run.server.until(lambda: len(run.sink.contents) == 3)
    told = [content.split(b"\r")[1] for content in run.sink.contents]
    assert told == [b"PID|||0||before-K", b"PID|||0||before-K", b"PID|||0||after-X"]
    newest, recorded, old = (run.portico("show", each["id"]) for each in run.signals())
    ran = [each["sessions"][0]["version"] for each in (newest, recorded, old)]
    assert ran[0] != ran[1] == ran[2]
    assert [each["sessions"][0]["agent"] for each in (newest, recorded)] == ["forward"] * 2
    assert "before" not in (run.engine.site / "transforms/names.py").read_text()
    run.engine.end()
    assert not (run.engine.site / "var/editions").exists()


def test_a_replay_as_recorded_is_exact_after_a_kill(life):
    """The new Signal bears its versions: an engine that starts on other code runs the old one,
    for an agent that has left the site too."""
    run = life()
    run.edit("before", "K")
    run.send(3)
    run.portico("pause", "destination:his")
    job = run.portico("replay", "--channel", "adt", "--as-recorded", "--yes", "--detach")
    run.engine.end(9)
    run.edit("after", "X", reload=False)
    renamed = run.site("his").replace("agent: forward", "agent: other")
    run.engine.write(renamed)
    run.engine.start()
    ended = run.portico("jobs", "--watch", job["id"])
    assert (ended["state"], ended["made"]) == ("done", 3)
    run.portico("resume", "destination:his")
    run.server.until(lambda: len(run.sink.contents) == 6)
    assert all(b"before-K" in content for content in run.sink.contents)


def test_as_recorded_skips_what_was_never_kept(life):
    """The journal of an older engine knows the versions' names alone: both reason and version
    are told, and nothing is run in their place."""
    run = life()
    run.send(1)
    (one,) = run.signals()
    run.forget()
    seen = run.portico("replay", one["id"], "--as-recorded", "--preview")
    ((reason, count),) = seen["skipped"].items()
    version = run.portico("show", one["id"])["sessions"][0]["version"]
    assert reason == f"forward ran it as {version}, which the journal has not kept"
    assert count == 1
    job = run.portico("replay", one["id"], "--as-recorded", "--yes")
    assert (job["made"], job["skipped"]) == (0, 1)
    assert len(run.sink.got) == 1


def test_an_edition_that_does_not_load_any_more_is_told(life):
    """What a transform imports by a name that it makes up is no part of its version."""
    run = life()
    helper = run.engine.site / "gone_by_then.py"
    helper.write_text("")
    made_up = "import importlib; importlib.import_module('gone_' + 'by_then')"
    run.edit("before", "K", made_up)
    run.send(1)
    (one,) = run.signals()
    run.edit("after", "X")
    helper.unlink()
    seen = run.portico("replay", one["id"], "--as-recorded", "--preview")
    ((reason, count),) = seen["skipped"].items()
    assert "which does not load any more: " in reason
    assert "No module named 'gone_by_then'" in reason
    assert count == 1


def test_a_replay_that_is_killed_goes_on_and_doubles_nothing(life):
    """kill -9 in the middle: after the restart each old Signal has exactly one new one."""
    run = life()
    run.send(120)
    job = run.portico("replay", "--channel", "adt", "--yes", "--detach", "--rate", "60")
    run.server.until(lambda: len(run.sink.got) > 140)
    run.engine.end(9)
    run.engine.start()
    ended = run.portico("jobs", "--watch", job["id"])
    assert (ended["state"], ended["made"], ended["total"]) == ("done", 120, 120)
    assert run.received() == 240
    made = run.signals()[:120]
    parents = {run.portico("show", one["id"])["parent"] for one in made[::20]}
    assert len(parents) == len(made[::20])
    run.server.until(lambda: len(set(run.sink.got)) == 120 and len(run.sink.got) >= 240)
    assert len(run.sink.got) <= 240 + 7  # at most one more a lane: what was out at the kill


def test_a_replay_is_cancelled_where_it_is(life):
    """What it has made stays, the rest is not made."""
    run = life()
    run.send(50)
    job = run.portico("replay", "--channel", "adt", "--yes", "--detach", "--rate", "2")
    run.server.until(lambda: len(run.sink.got) > 52)
    ended = run.portico("jobs", "--cancel", job["id"])
    assert ended["state"] == "cancelled"
    assert 2 < ended["made"] < 50
    run.server.until(lambda: len(run.sink.got) == 50 + ended["made"])
    assert run.received() == 50 + ended["made"]
    assert run.portico("jobs")[0]["state"] == "cancelled"
