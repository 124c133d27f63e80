"""`was: old_name` on running appliances: history, queue, order and repeats follow the name."""

import json
import signal

import pytest

BEFORE = """
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{adt}"}}
order_by: PID-3.1
---
agent: forward
goal: All of it
on: {{channel: adt}}
steps:
  - validate: {{require: [PID-8]}}
    when: {{PID-3.1: stuck}}
    on_error: stop
  - send: his
---
{{destination: his, type: mllp, address: "127.0.0.1:{his}", retry: {{first: 1s, most: 1s}}}}
"""
AFTER = """
channel: admissions
was: adt
source: {{type: mllp, listen: "127.0.0.1:{adt}"}}
order_by: PID-3.1
---
agent: fan
was: forward
goal: All of it
on: {{channel: admissions}}
steps: [{{send: hospital}}]
---
destination: hospital
was: his
type: mllp
address: "127.0.0.1:{his}"
retry: {{first: 1s, most: 1s}}
"""


@pytest.fixture
def world(server, appliance, url):
    """A channel and a peer; not started."""
    ports = {"adt": server.free_port(), "his": server.free_port()}
    one = appliance(BEFORE.format(**ports), journal=url)
    one.ports = ports
    return one


def test_a_renamed_site_goes_on_where_it_was(server, world):
    """After a restart the paused queue, the stopped patient, the books and the repeats are the
    new names'; nothing is parked for a destination that left, nothing runs twice."""
    one = world.start()
    one.cli("pause", "his")
    client = server.Client(one.ports["adt"])
    assert [client.ask(server.message(f"a{n}")) for n in range(2)] == ["AA", "AA"]
    assert [client.ask(server.message(f"s{n}", "stuck")) for n in range(2)] == ["AA", "AA"]
    server.until(lambda: one.status()["channels"]["adt"]["parked"] == 1)
    server.until(lambda: one.status()["destinations"]["his"]["queued"] == 2)
    one.end(signal.SIGKILL)

    one.write(AFTER.format(**one.ports))
    one.start()
    told = one.status()
    assert set(told["channels"]) == {"admissions"} and set(told["destinations"]) == {"hospital"}
    assert told["channels"]["admissions"]["received"] == 4
    owed = told["destinations"]["hospital"]
    assert (owed["state"], owed["queued"], owed["parked"]) == ("paused", 2, 0)
    client = server.Client(one.ports["adt"])
    assert client.ask(server.message("a0")) == "AA"  # a repeat
    sink = server.Sink(one.ports["his"])
    one.cli("resume", "hospital")
    server.until(lambda: sink.got == ["a0", "a1"])
    assert client.ask(server.message("s2", "stuck")) == "AA"
    one.cli("release", "--channel", "admissions", "--yes")
    server.until(lambda: sink.got == ["a0", "a1", "s0", "s1", "s2"])
    found = one.cli("signals", "--channel", "admissions", "--json")
    assert found.count('"control_id"') == 6
    assert "noun_renamed" in one.log.read_text()
    sink.close()
    assert one.end() == 0

    one.start()
    assert one.log.read_text().count("noun_renamed") == 3
    assert set(one.status()["channels"]) == {"admissions"}
    assert one.end() == 0


def test_a_replay_as_recorded_goes_where_it_went_by_the_new_names(server, world):
    """The agent's old version sends to a destination that is called otherwise now; nothing is
    parked for a name that nobody has any more."""
    one = world.start()
    sink = server.Sink(one.ports["his"])
    assert server.Client(one.ports["adt"]).ask(server.message("a0")) == "AA"
    server.until(lambda: sink.got == ["a0"])
    assert one.end() == 0

    one.write(AFTER.format(**one.ports))
    one.start()
    (old,) = json.loads(one.cli("signals", "--json"))["signals"]
    one.cli("replay", old["id"], "--as-recorded", "--yes")
    server.until(lambda: sink.got == ["a0", "a0"])
    server.until(lambda: one.status()["destinations"]["hospital"]["delivered"] == 2)

    assert set(one.status()["destinations"]) == {"hospital"}
    new, _ = json.loads(one.cli("signals", "--json"))["signals"]
    (ran,) = json.loads(one.cli("show", new["id"], "--json"))["sessions"]
    assert (ran["agent"], ran["verdict"]) == ("fan", "deliver")
    sink.close()


def test_a_reload_that_renames_starts_the_engine_again(server, world):
    """The same process, under the new names, with what was queued; a site whose agent does not
    load is refused before anything stops."""
    one = world.start()
    one.cli("pause", "his")
    pid = one.process.pid
    assert server.Client(one.ports["adt"]).ask(server.message("1")) == "AA"
    server.until(lambda: one.status()["destinations"]["his"]["queued"] == 1)
    after = AFTER.format(**one.ports)
    one.write(after.replace("[{send: hospital}]", "[{python: transforms.none:at_all}]"))
    one.cli("reload", code=1)
    assert set(one.status()["channels"]) == {"adt"}

    one.write(after)
    assert "restarts itself now" in one.cli("reload")
    assert one.process.stdout.readline() == b"ready\n"
    told = one.status()
    assert one.process.pid == pid and set(told["channels"]) == {"admissions"}
    owed = told["destinations"]["hospital"]
    assert (owed["state"], owed["queued"]) == ("paused", 1)
    assert "refused" not in one.cli("reload")
    assert one.said("engine_ready") == 2
    assert one.end() == 0
