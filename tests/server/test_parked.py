"""Parked messages in a real engine: listed, released, discarded, edited (promises P2 to P4)."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from portico.model.states import DeliveryState, SignalState

SITE = """
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{adt}"}}
order_by: PID-3.1
---
agent: forward
goal: All of it
on: {{channel: adt, type: ADT^*}}
steps:
  - name: named
    validate: {{require: [PID-5]}}
    on_error: {fault}
  - send: his
---
destination: his
type: mllp
address: "127.0.0.1:{his}"
on_reject: {reject}
retry: {{first: 50ms, most: 50ms}}
---
{{destination: files, type: folder, path: out}}
"""
FILING = """
---
agent: filing
goal: A copy of all of it
on: {{channel: adt}}
steps:
  - send: files
"""
NAMELESS = "MSH|^~\\&|HIS|ST|LAB|ST|2026||ADT^A01|{id}|P|2.5\rPID|||{patient}\r"


class Run:
    """One engine, its peer, and the command line."""

    def __init__(self, server, appliance, journal, reject="park", fault="park", more=""):
        self.server, self.peer, self.adt = server, server.Sink(), server.free_port()
        text = SITE.format(adt=self.adt, his=self.peer.port, reject=reject, fault=fault)
        text += more.format()
        self.engine = appliance(text, journal=journal).start()
        self.client = server.Client(self.adt)

    def send(self, control_id, patient="7", name=True):
        """One message; gives its answer's code."""
        content = self.server.message(control_id, patient)
        if not name:
            content = NAMELESS.format(id=control_id, patient=patient).encode()
        return self.client.ask(content)

    def portico(self, *words, code=0):
        """A command's JSON."""
        return self.engine.json(*words, code=code)

    def say(self, *words):
        """What a person reads."""
        return self.engine.run(*words).stdout

    def parked(self, count):
        """What is parked, once it is so many."""
        return self.server.until(
            lambda: len(found := self.portico("parked")["parked"]) == count and found
        )

    def book(self, kind, name):
        """One book, without the names of states that are empty."""
        status = self.engine.status()
        assert status["balanced"]
        book = status[kind][name]
        states = set(SignalState) | set(DeliveryState) | {"received", "owed"}
        return {name: count for name, count in book.items() if name in states and count}

    def delivered(self, *names):
        """Waits until the peer has got just these, in this order."""
        self.server.until(lambda: len(self.peer.got) >= len(names))
        assert self.peer.got == list(names)


@pytest.fixture
def life(server, appliance, url):
    """Makes a running engine with a peer."""
    made = []

    def make(**settings):
        made.append(Run(server, appliance, url, **settings))
        return made[-1]

    yield make
    for one in made:
        one.peer.hang_up()


def test_a_refused_delivery_is_released_to_its_old_place_and_the_books_hold(life):
    """AR parks it with the peer's code; released, it is sent again with the same bytes."""
    run = life()
    run.peer.codes["one"] = "AR"
    assert run.send("one") == "AA"
    assert run.send("two") == "AA"
    (item,) = run.parked(1)
    assert (item["kind"], item["name"], item["code"]) == ("delivery", "his", "AR")
    assert item["control_id"] == "one"
    assert "the answer was AR" in run.say("parked")
    assert "the answer was AR  [AR]" in run.say("show", item["id"])
    assert run.book("destinations", "his") == {"owed": 2, "delivered": 1, "parked": 1}

    run.peer.codes.clear()
    (told,) = run.portico("release", item["id"])
    assert told["done"]
    run.delivered("one", "two", "one")
    assert run.peer.contents[0] == run.peer.contents[2]
    run.server.until(lambda: run.book("destinations", "his") == {"owed": 2, "delivered": 2})
    (told,) = run.portico("release", item["id"], code=1)
    assert told["text"] == "nothing of it is parked"
    assert " release " in run.say("show", item["id"])
    shown = run.portico("show", item["id"])
    assert [act["what"] for act in shown["acts"]] == ["release"]
    assert shown["deliveries"][0]["state"] == "delivered"


def test_a_held_lane_goes_on_in_order_once_its_head_is_released(life):
    """on_reject: stop keeps the lane; the released head goes first, then what waited."""
    run = life(reject="stop")
    run.peer.codes["head"] = "AR"
    for name in ("head", "second", "third"):
        assert run.send(name) == "AA"
    assert run.send("other", patient="8") == "AA"
    (item,) = run.parked(1)
    assert item["hold"]
    run.server.until(lambda: run.book("destinations", "his").get("delivered") == 1)
    run.peer.codes.clear()
    run.portico("release", "--destination", "his", "--yes")
    run.server.until(lambda: len(run.peer.got) == 5)
    assert [name for name in run.peer.got if name != "other"] == [
        "head",
        "head",
        "second",
        "third",
    ]


def test_a_release_of_very_many_goes_in_slices_and_in_order(life):
    """The peer refuses 2,000 and goes away; what is released waits, no more than memory is to
    hold, and the rest stays parked. Once the peer is back all of it arrives, in each lane's
    order, and the command ends."""
    run = life()
    names = [str(n) for n in range(2_000)]
    run.peer.codes = SimpleNamespace(get=lambda name, other: "AR")
    frames = [run.server.message(name, str(int(name) % 50)) for name in names]
    whole = b"".join(map(run.server.encode, frames))
    threading.Thread(target=run.client.send, args=(whole, True), daemon=True).start()
    assert all(b"MSA|AA" in run.client.answer() for _ in frames)
    run.server.until(
        lambda: run.book("destinations", "his") == {"owed": 2_000, "parked": 2_000}, 90
    )
    run.peer.hang_up()

    command = [sys.executable, "-m", "portico", "release", "--destination", "his", "--yes"]
    releasing = subprocess.Popen(
        [*command, "--site", run.engine.site],
        env=run.engine.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    run.server.until(lambda: run.engine.status()["destinations"]["his"]["queued"] >= 1_024, 60)
    said = run.portico(
        "release", *(one["id"] for one in run.portico("parked")["parked"]), code=1
    )
    assert all(one["later"] and "try again later" in one["text"] for one in said)
    book = run.book("destinations", "his")
    assert 1_024 <= 2_000 - book["parked"] < 1_024 + 200 + 1
    assert releasing.poll() is None

    run.peer = run.server.Sink(run.peer.port)
    out, told = releasing.communicate(timeout=120)
    assert (releasing.returncode, out) == (0, "")
    assert told.endswith("release: 2000 of 2000 done\n")
    run.server.until(
        lambda: run.book("destinations", "his") == {"owed": 2_000, "delivered": 2_000}, 60
    )
    for patient in range(50):
        assert [n for n in run.peer.got if int(n) % 50 == patient] == names[patient::50]


def test_a_held_lane_goes_on_once_its_head_is_discarded(life):
    """The reason is kept, the Delivery is discarded, the lane is free at once."""
    run = life(reject="stop")
    run.peer.codes["head"] = "AR"
    assert run.send("head") == "AA"
    assert run.send("second") == "AA"
    (item,) = run.parked(1)
    (told,) = run.portico("discard", item["id"], "--reason", "the ward repaired it")
    assert told["done"]
    run.delivered("head", "second")
    run.server.until(
        lambda: run.book("destinations", "his") == {"owed": 2, "delivered": 1, "discarded": 1}
    )
    act, *_ = run.portico("acts")
    assert (act["what"], act["reason"]) == ("discard", "the ward repaired it")
    assert act["who"]
    assert run.portico("show", item["id"])["deliveries"][0]["state"] == "discarded"


def test_a_parked_signal_runs_again_once_the_site_is_repaired(life):
    """Its agent faults, the site is changed, the released Signal is done."""
    run = life()
    assert run.send("nameless", name=False) == "AA"
    (item,) = run.parked(1)
    assert (item["kind"], item["agent"], item["step"]) == ("signal", "forward", "named")
    assert item["location"] == "PID-5"
    assert re.fullmatch(r"channels/all\.yaml:\d+", item["at"])
    listed = run.say("parked")
    assert f"step.rule_broken  named {item['at']} PID-5" in re.sub(r" {2,}", "  ", listed)
    assert "1 of adt forward with step.rule_broken" in listed
    (told,) = run.portico("release", item["id"])
    assert told["done"]
    (again,) = run.parked(1)
    assert again["id"] != item["id"]  # it ran again, and faulted again

    documents = (run.engine.site / "channels/all.yaml").read_text()
    run.engine.write(documents.replace("require: [PID-5]", "require: [PID-3]"))
    run.engine.reload()
    run.server.until(lambda: run.engine.said("site_swapped") == 1)
    assert run.say("release", again["id"]) == f"{again['id']}  done\n"
    run.delivered("nameless")
    run.server.until(lambda: run.book("channels", "adt") == {"received": 1, "done": 1})
    assert run.portico("signals")["signals"][0]["state"] == "done"


def test_a_held_order_key_goes_on_behind_the_edited_message(life):
    """on_error: stop; the edited copy is another Signal, runs first, and both are linked."""
    run = life(fault="stop")
    assert run.send("bad", name=False) == "AA"
    (item,) = run.parked(1)
    assert run.send("later") == "AA"
    signal = item["id"].partition("/")[0]
    told = run.portico("edit", signal, "--set", "PID-5.1=NAMED")[0]
    run.delivered("bad", "later")
    assert b"NAMED" in run.peer.contents[0]
    made = run.portico("show", told["made"])
    assert (made["parent"], made["signal"]["flags"]) == (signal, ["replay"])
    old = run.portico("show", signal)
    assert old["signal"]["state"] == "discarded"
    assert old["acts"][0]["other"] == told["made"]
    run.server.until(
        lambda: run.book("channels", "adt") == {"received": 3, "done": 2, "discarded": 1}
    )


def test_who_has_had_the_original_does_not_get_the_edited_message(life):
    """Only the agent that parked it runs the copy, after a kill too."""
    run = life(more=FILING)
    assert run.send("bad", name=False) == "AA"
    (item,) = run.parked(1)
    filed = {"owed": 1, "delivered": 1}
    run.server.until(lambda: run.book("destinations", "files") == filed)
    run.engine.run("pause", "agent:forward")
    run.portico("edit", item["id"], "--set", "PID-5.1=NAMED")
    run.engine.end(signal.SIGKILL)
    run.engine.start()
    run.engine.run("resume", "agent:forward")
    run.delivered("bad")
    run.server.until(lambda: run.book("channels", "adt")["done"] == 1)
    assert run.book("destinations", "files") == filed


def test_an_edited_delivery_takes_the_place_of_the_parked_one(life):
    """Only what leaves is changed; it goes before what waited in its lane."""
    run = life(reject="stop")
    run.peer.codes["head"] = "AR"
    assert run.send("head") == "AA"
    assert run.send("second") == "AA"
    (item,) = run.parked(1)
    (told,) = run.portico("edit", item["id"], "--set", "MSH-10=repaired")
    run.delivered("head", "repaired", "second")
    assert told["made"].endswith("/d2")
    run.server.until(
        lambda: run.book("destinations", "his") == {"owed": 3, "delivered": 2, "discarded": 1}
    )


def test_the_same_bytes_are_sent_once_more(life):
    """A resend is a new Delivery of the same Signal; the agents do not run."""
    run = life()
    assert run.send("one") == "AA"
    run.delivered("one")
    (row,) = run.portico("signals")["signals"]
    (told,) = run.portico("resend", row["id"], "--to", "his")
    run.delivered("one", "one")
    assert run.peer.contents[0] == run.peer.contents[1]
    run.portico("resend", row["id"], "--to", "files", code=1)
    run.portico("resend", row["id"] + "/d1", "--to", "files")
    run.server.until(lambda: len(list((Path(run.engine.site) / "out").glob("*.hl7"))) == 1)
    shown = run.portico("show", row["id"])
    assert [(d["number"], d["session"]) for d in shown["deliveries"]] == [
        (1, 1),
        (2, 0),
        (3, 0),
    ]
    assert [act["what"] for act in shown["acts"]] == ["resend", "resend"]
    assert told["made"].endswith("/d2")


def test_an_act_says_who_did_it(life):
    """The operating system's user, from the control socket."""
    run = life()
    run.peer.codes["one"] = "AR"
    assert run.send("one") == "AA"
    (item,) = run.parked(1)
    run.portico("release", item["id"])
    run.parked(1)
    assert run.portico("acts")[0]["who"] == os.environ.get("USER", "root")


def test_without_an_engine_parked_messages_are_listed_and_an_act_says_what_it_needs(life):
    """The journal is read; what changes a message needs the engine."""
    run = life()
    run.peer.codes["one"] = "AR"
    assert run.send("one") == "AA"
    (item,) = run.parked(1)
    assert run.engine.end() == 0
    assert run.portico("parked")["parked"][0]["id"] == item["id"]
    assert "no engine runs" in run.portico("release", item["id"], code=3)


def test_a_release_that_was_confirmed_survives_a_kill(life):
    """kill -9 after the release and before the send: it is sent once the engine is back."""
    run = life(reject="stop")
    run.peer.codes["head"] = "AR"
    assert run.send("head") == "AA"
    assert run.send("second") == "AA"
    (item,) = run.parked(1)
    port = run.peer.port
    run.peer.hang_up()
    run.portico("release", item["id"])
    run.engine.end(9)
    peer = run.server.Sink(port)
    run.engine.start()
    run.server.until(lambda: len(peer.got) >= 2)
    assert peer.got == ["head", "second"]
    run.server.until(lambda: run.book("destinations", "his") == {"owed": 2, "delivered": 2})
    peer.hang_up()


POISON = """
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{adt}"}}
order_by: PID-3.1
---
agent: fragile
goal: Some of it
on: {{channel: adt}}
retry: {{first: 50ms, most: 50ms}}
steps:
  - python: transforms.fragile:run
  - send: his
---
{{destination: his, type: mllp, address: "127.0.0.1:{his}"}}
"""
FRAGILE = """
import os, signal

def run(message):
    if message["MSH-10"] == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_message_that_kills_its_worker_each_time_is_parked_after_three(
    server, appliance, url
):
    """The others pass, its order key goes on, and a person can discard it."""
    peer, adt = server.Sink(), server.free_port()
    engine = appliance(POISON.format(adt=adt, his=peer.port), journal=url)
    (engine.site / "transforms/fragile.py").write_text(FRAGILE)
    client = server.Client(engine.start() and adt)
    for name in ("before", "poison", "after"):
        assert client.ask(server.message(name)) == "AA"
    server.until(lambda: peer.got == ["before", "after"])
    run = Run.__new__(Run)
    run.engine, run.server = engine, server
    (item,) = run.parked(1)
    assert (item["code"], item["agent"], item["tries"]) == ("step.crashed", "fragile", 3)
    run.portico("discard", item["id"], "--reason", "poison")
    books = {"received": 3, "done": 2, "discarded": 1}
    server.until(lambda: run.book("channels", "adt") == books)
    peer.hang_up()
