"""Merges wait for both patients, and both wait for them: in workers, in lanes, after a kill."""

import signal

import pytest

SITE = """\
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
order_by: PID-3.1
---
agent: forward
goal: Send on
on: {{channel: adt}}
steps: [{{send: lab}}]
---
destination: lab
type: mllp
address: 127.0.0.1:{sink}
connections: 4
retry: {{first: 50ms, most: 200ms}}
"""
A40 = (
    "MSH|^~\\&|HIS|ST|LAB|ST|2026||ADT^A40^ADT_A39|{}|P|2.5\rEVN|A40|2026\rPID|1||{}\rMRG|{}\r"
)


@pytest.fixture
def ground(server, appliance):
    """A running appliance whose destination is not there yet: engine, client, sink's port."""
    port, sink = server.free_port(), server.free_port()
    engine = appliance(SITE.format(port=port, sink=sink)).start()
    return engine, server.Client(port), sink


def tell(server, client):
    """Two patients' stories around merges of them."""
    for control_id, *patients in (
        ("a1", "A"), ("b1", "B"), ("c1", "C"), ("m1", "A", "B"), ("a2", "A"), ("b2", "B"),
        ("m2", "B", "C"), ("m3", "C", "A"), ("a3", "A"), ("c2", "C"),
    ):  # fmt: skip
        content = server.message(control_id, patients[0])
        if len(patients) == 2:
            content = A40.format(control_id, *patients).encode()
        assert client.ask(content) == "AA"


def in_order(got):
    """Every message once, each after those before it that share a patient."""
    stories = {"A": "a1 m1 a2 m3 a3", "B": "b1 m1 b2 m2", "C": "c1 m2 m3 c2"}
    wanted = {key: story.split() for key, story in stories.items()}
    return {key: [one for one in got if one in story] for key, story in wanted.items()} == (
        wanted
    ) and len(got) == 10


def test_merges_keep_their_place_across_a_kill(server, ground):
    """Queued for a destination that is away, the engine killed, then read from the journal."""
    engine, client, port = ground
    tell(server, client)
    server.until(lambda: engine.status()["destinations"]["lab"]["queued"] == 10)
    engine.end(signal.SIGKILL)
    engine.start()
    sink = server.Sink(port)

    server.until(lambda: len(sink.got) >= 10)
    sink.close()

    assert in_order(sink.got), sink.got


def test_merges_keep_their_place_in_a_living_engine(server, ground):
    """From the wire through the workers into the lanes."""
    engine, client, port = ground
    sink = server.Sink(port)
    tell(server, client)

    server.until(lambda: len(sink.got) >= 10)
    sink.close()

    assert in_order(sink.got), sink.got
    assert engine.status()["balanced"]
