"""What waits for a paused agent, on a running appliance: a person ends it, a kill does not."""

import signal

import pytest

SITE = """
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{adt}"}}
order_by: PID-3.1
---
agent: forward
goal: All of it
on: {{channel: adt}}
steps: [{{send: files}}]
---
agent: count
start: paused
goal: Another agent of the same messages
on: {{channel: adt}}
steps: [{{send: counted}}]
---
{{destination: files, type: folder, path: out, file: "{{MSH-10}}.hl7"}}
---
{{destination: counted, type: folder, path: counted, file: "{{MSH-10}}.hl7"}}
"""


@pytest.fixture
def world(server, appliance, url):
    """A channel and its two agents, one of them paused; started."""
    adt = server.free_port()
    one = appliance(SITE.format(adt=adt), journal=url)
    one.adt = adt
    return one.start()


def waiting(one):
    """How many wait for the agent that is paused."""
    return one.status()["agents"]["count"]["waiting"]


def books(one):
    """What became of the channel's Signals; the sums hold."""
    status = one.status()
    assert status["balanced"]
    states = ("received", "waiting", "done", "parked")
    return {name: status["channels"]["adt"][name] for name in states}


def test_after_a_kill_each_agent_has_what_it_had_not_concluded(server, world):
    """What was made for the paused agent alone is its alone; all of it comes in order."""
    client = server.Client(world.adt)
    for name in "12":
        assert client.ask(server.message(name)) == "AA"
    made = world.site / "made.hl7"
    made.write_bytes(server.message("3"))
    world.cli("signal", "count", "--file", str(made))
    server.until(lambda: waiting(world) == 3)

    world.end(signal.SIGKILL)
    world.start()
    server.until(lambda: waiting(world) == 3)
    assert server.Client(world.adt).ask(server.message("4")) == "AA"
    server.until(lambda: waiting(world) == 4)
    world.cli("resume", "agent:count")
    server.until(lambda: books(world) == {"received": 3, "waiting": 0, "done": 3, "parked": 0})
    server.until(lambda: len(list((world.site / "counted").glob("*.hl7"))) == 4)
    names = sorted(one.stem for one in (world.site / "out").glob("*.hl7"))
    assert [name.partition("-")[0] for name in names] == ["1", "2", "4"]


def test_what_waits_for_a_paused_agent_is_ended_by_a_person(server, world):
    """It is parked, once its agent has not begun it; after a kill the next is ended too, and
    what is released waits again. Resumed, the agent runs those that nobody has ended."""
    client = server.Client(world.adt)
    for name in "1234":
        assert client.ask(server.message(name)) == "AA"
    server.until(lambda: waiting(world) == 4)
    found = world.json("signals")["signals"]
    signals = {one["control_id"]: one["id"] for one in found}

    assert world.json("cancel", signals["2"]) == {"agents": ["count"]}
    server.until(lambda: books(world) == {"received": 4, "waiting": 3, "done": 0, "parked": 1})
    assert waiting(world) == 3
    assert "no session of this Signal" in world.json("cancel", signals["2"], code=1)

    world.end(signal.SIGKILL)
    world.start()
    server.until(lambda: waiting(world) == 3)
    assert world.json("cancel", signals["3"]) == {"agents": ["count"]}
    server.until(lambda: books(world) == {"received": 4, "waiting": 2, "done": 0, "parked": 2})
    parked = world.json("parked")["parked"]
    assert {(one["agent"], one["code"]) for one in parked} == {("count", "step.cancelled")}

    assert world.json("release", f"{signals['3']}/s")[0]["done"]
    server.until(lambda: waiting(world) == 3)
    world.cli("resume", "agent:count")
    server.until(lambda: books(world) == {"received": 4, "waiting": 0, "done": 3, "parked": 1})
    counted = (one.stem.partition("-")[0] for one in (world.site / "counted").glob("*.hl7"))
    assert sorted(counted) == ["1", "3", "4"]
    assert world.said("session_cancelled") == 2
