"""Files through a running appliance: each message leaves once, whatever is killed when."""

import json
import os
import shutil
import time

import pytest

from remote.peers import PosixPeer

FILES = """\
channel: orders
source: {{type: folder, path: in, every: 200ms, ready: rename{source}}}
content: json
{channel}
---
agent: forward
goal: Every order is filed
on: {{channel: orders}}
steps: [{{send: {{to: out, file: "{{/n}}.json"}}}}]
---
{{destination: out, type: folder, path: out}}
"""


def documents(source="", channel=""):
    """A channel that reads `in` and an agent that files each order in `out`."""
    return FILES.format(source=source, channel=channel)


def put(site, n, folder="in"):
    """An order, whole from the moment it has its name."""
    place = site / folder
    place.mkdir(exist_ok=True)
    (place / f".{n}").write_text(json.dumps({"n": str(n)}))
    (place / f".{n}").rename(place / f"{n:05}.json")


def delivered(site):
    """Names in `out`; a second delivery of the same order would be `7-1.json`."""
    place = site / "out"
    return {name for name in os.listdir(place) if name[0] != "."} if place.exists() else set()


def wanted(count):
    """One file for each order."""
    return {f"{n}.json" for n in range(count)}


def test_killed_at_any_moment_each_file_is_delivered_once(appliance, server):
    """F5, P1: kill -9 five times while files are taken: none is lost, none runs twice."""
    one = appliance(documents())
    one.start()
    for n in range(400):
        put(one.site, n)
        if n % 80 == 79:
            time.sleep(0.09 + n / 8000)
            one.end(9)
            one.start()
    server.until(lambda: delivered(one.site) >= wanted(400), 60)
    server.until(lambda: not [p for p in (one.site / "in").glob("*.json")])
    books = server.until(
        lambda: (b := one.status()["channels"]["orders"])["waiting"] == 0 and b
    )
    one.end()

    assert delivered(one.site) == wanted(400)
    assert books["balanced"]
    assert len(os.listdir(one.site / "in/done")) == 400


def test_a_file_that_was_journaled_and_not_yet_moved_runs_once(appliance, server):
    """F5: exactly the state that a kill between commit and move leaves: claimed, journaled.

    Also where repeats are processed like any other (`duplicates: {same: process}`).
    """
    one = appliance(documents(channel="duplicates: {same: process}"))
    one.start()
    put(one.site, 1)
    server.until(lambda: (one.site / "in/done/00001.json").exists())
    server.until(lambda: delivered(one.site) == {"1.json"})
    one.end(9)
    (claims,) = (one.site / "in").glob(".portico-*")
    (one.site / "in/done/00001.json").rename(claims / "00001.json")
    one.start()
    server.until(lambda: (one.site / "in/done/00001.json").exists())
    put(one.site, 2)
    server.until(lambda: delivered(one.site) >= {"2.json"})
    book = one.status()["channels"]["orders"]
    one.end()

    assert delivered(one.site) == {"1.json", "2.json"}
    assert (book["done"], book["duplicate"], book["balanced"]) == (2, 1, True)


@pytest.mark.parametrize("exists", ["number", "fail"])
def test_killed_while_a_server_renames_its_file_it_finds_it(
    appliance, server, tmp_path, exists
):
    """P3: the next life knows that the file may be there; it is not put there twice under
    another name, and nobody is asked about a name that is its own."""
    (tmp_path / "served/in").mkdir(parents=True)
    peer = PosixPeer(tmp_path / "served")
    text, _, _ = documents().rpartition("---")
    given = f'address: "127.0.0.1:{peer.port}", user: lab, path: /in, exists: {exists}'
    proof = f'password: "${{env:PASSWORD}}", host_key: "{peer.fingerprint}"'
    one = appliance(f"{text}---\n{{destination: out, type: sftp, {given}, {proof}}}\n",
                    PASSWORD=peer.password)  # fmt: skip
    folder = peer.folder / "in"

    def named_and_killed(what):
        peer.hook = lambda what: None
        next(folder.glob(".*.part")).rename(folder / "7.json")
        one.process.kill()

    peer.hook = named_and_killed
    one.start()
    put(one.site, 7)
    one.process.wait(20)
    one.start()
    server.until(lambda: (b := one.status()["destinations"]["out"])["delivered"] + b["parked"])
    parked = one.status()["destinations"]["out"]["parked"]
    one.end()
    peer.close()

    assert (os.listdir(folder), parked) == (["7.json"], 0)


def test_kept_files_are_read_once_across_restarts(appliance, server):
    """`after: keep`: the journal remembers them; a file that was written anew is read anew."""
    one = appliance(documents(source=", after: keep"))
    one.start()
    for n in range(3):
        put(one.site, n)
    server.until(lambda: delivered(one.site) == wanted(3))
    one.end()
    one.start()
    put(one.site, 3)
    server.until(lambda: delivered(one.site) == wanted(4))
    book = one.status()["channels"]["orders"]
    one.end()

    assert book["received"] == 4


def test_a_batch_file_is_cut_and_a_wrong_count_refuses_it_whole(appliance, server):
    """B1, B2: a Signal for each message; where the count is wrong, none of them runs."""
    text = documents().replace("content: json", "content: hl7").replace("{/n}.json", "{MSH-10}")
    one = appliance(text)
    one.start()
    messages = [server.message(control_id=str(n)) for n in range(50)]
    good = b"BHS|^~\\&|A\r" + b"".join(messages[:40]) + b"BTS|40\r"
    bad = b"BHS|^~\\&|A\r" + b"".join(messages[40:]) + b"BTS|11\r"
    for name, content in (("good", good), ("wrong", bad)):
        (one.site / "in").mkdir(exist_ok=True)
        (one.site / f"in/.{name}").write_bytes(content)
        (one.site / f"in/.{name}").rename(one.site / f"in/{name}.hl7")
    server.until(lambda: (one.site / "in/done/wrong.hl7").exists())
    server.until(lambda: len(delivered(one.site)) == 40)
    book = one.status()["channels"]["orders"]
    one.end()

    assert (book["received"], book["refused"], book["done"]) == (50, 10, 40)
    assert one.said("messages_refused") == 1


def test_killed_within_a_batch_it_goes_on_with_no_second_delivery(appliance, server):
    """B6: kill -9 at a fifth and at three fifths of one file: each message leaves once."""
    text = documents().replace("content: json", "content: hl7").replace("{/n}.json", "{MSH-10}")
    one = appliance(text)
    count = 1000
    messages = b"".join(server.message(control_id=str(n)) for n in range(count))
    (one.site / "in").mkdir()
    (one.site / "in/all.hl7").write_bytes(b"BHS|^~\\&|A\r" + messages + b"BTS|%d\r" % count)
    for part in (count // 5, count * 3 // 5):
        one.start()
        server.until(lambda part=part: len(delivered(one.site)) >= part, 60)
        one.end(9)
        assert len(delivered(one.site)) < count
    one.start()
    server.until(lambda: (one.site / "in/done/all.hl7").exists(), 60)
    server.until(lambda: len(delivered(one.site)) >= count, 60)
    one.end()

    assert delivered(one.site) == {str(n) for n in range(count)}


def test_the_name_of_its_file_is_known_to_agents(appliance, server):
    """The word `file`, in a condition and in a template, after a restart too."""
    text = documents().replace("{{/n}}", "{/n}").replace("{/n}.json", "{file}")
    one = appliance(
        text.replace("on: {channel: orders}", 'on: {channel: orders, file: "*2.json"}')
    )
    one.start()
    put(one.site, 1)
    put(one.site, 2)
    server.until(lambda: delivered(one.site))
    book = one.status()["channels"]["orders"]
    one.end()

    assert delivered(one.site) == {"00002.json"}
    assert book["filtered"] == 1
    shutil.rmtree(one.site / "in")


def test_a_schedule_is_fired_by_hand_and_survives_a_kill(appliance, server):
    """`portico schedules --fire`: journaled when it returns; a channel that is none is told."""
    text = documents().replace(
        "source: {type: folder, path: in, every: 200ms, ready: rename}",
        'source: {type: schedule, cron: "0 0 1 1 *", timezone: Europe/Berlin}',
    )
    one = appliance(text.replace("content: json\n", "").replace("{/n}", "{/planned}"))
    one.start()
    fired = one.run("schedules", "--fire", "orders", "--json")
    one.end(9)
    one.start()
    server.until(lambda: delivered(one.site))
    unknown = one.run("schedules", "--fire", "nothing")
    book = one.status()["channels"]["orders"]
    one.end()

    assert fired.returncode == 0, fired.stderr
    assert json.loads(fired.stdout) == {"channel": "orders", "state": "stored"}
    assert (unknown.returncode, "there are: orders" in unknown.stderr) == (1, True)
    assert (book["received"], book["done"]) == (1, 1)


def test_a_batch_file_is_answered_by_a_file(appliance, server):
    """B5, B6: kill -9 in the middle of it: one reply, with the verdict on each message, and
    the file and batch that it answers."""
    source = ", replies: acks"
    channel = "acknowledge: {when: processed}\n"
    text = documents(source, channel).replace("content: json", "content: hl7")
    text = text.replace("steps: [", "steps: [{validate: {values: {MSH-11: P}}}, ")
    one = appliance(text.replace("{/n}.json", "{MSH-10}"))
    count = 300
    messages = [server.message(control_id=str(n)) for n in range(count)]
    messages[7] = messages[7].replace(b"|P|2", b"|T|2", 1)
    (one.site / "in").mkdir()
    file = b"FHS|^~\\&|A|B|C|D|||||F1\rBHS|^~\\&|A|B|C|D|||||B1\r"
    file += b"".join(messages) + b"BTS|%d\rFTS|1\r" % count
    (one.site / "in/all.hl7").write_bytes(file)
    one.start()
    server.until(lambda: delivered(one.site))
    one.end(9)
    one.start()
    server.until(lambda: (one.site / "in/done/all.hl7").exists(), 60)
    lines = (one.site / "in/acks/all.hl7.ack").read_bytes().split(b"\r")
    server.until(lambda: len(delivered(one.site)) >= count - 1)
    one.end()

    told = [line.split(b"|") for line in lines if line.startswith(b"MSA")]
    assert [line[2] for line in told] == [str(n).encode() for n in range(count)]
    assert [n for n, line in enumerate(told) if line[1] != b"AA"] == [7]
    assert (lines[0].split(b"|")[11], lines[1].split(b"|")[11]) == (b"F1", b"B1")
    assert lines[-3:] == [b"BTS|%d" % count, b"FTS|1", b""]
    assert delivered(one.site) == {str(n) for n in range(count)} - {"7"}


EMITTED = """\
channel: orders
source: {{type: folder, path: in, every: 200ms, ready: rename}}
content: {{type: csv, separator: ";"}}
---
agent: cut
goal: Each row is a signal
on: {{channel: orders}}
steps: [{{emit: {{signal: row{content}}}}}]
---
agent: file
goal: Each row goes by its number
on: {{signal: row, /n: {{exists: yes}}}}
steps: [{{send: out}}]
---
{{destination: out, type: folder, path: out, file: "{{/n}}-{{/name}}.csv"}}
"""


def test_what_an_agent_emits_is_what_it_says(appliance, server):
    """A condition, and the name of a file, read the columns of an emitted row."""
    one = appliance(EMITTED.format(content=", content: {type: csv, separator: ';'}"))
    one.start()
    (one.site / "in").mkdir(exist_ok=True)
    (one.site / "in/.a").write_text("n;name\n1;meier\n2;muster\n")
    (one.site / "in/.a").rename(one.site / "in/a.csv")
    server.until(lambda: len(delivered(one.site)) == 2)
    one.end()

    assert delivered(one.site) == {"1-meier.csv", "2-muster.csv"}
