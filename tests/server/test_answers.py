"""The table of answers, by a real engine and a peer that misbehaves on a real socket."""

import threading
import time

import pytest

from portico.hl7 import ack
from portico.hl7.header import read
from portico.wire.mllp import encode
from server.peers import Listening

SITE = """
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{adt}"}}
order_by: PID-3.1
---
agent: forward
goal: All of it
on: {{channel: adt}}
steps: [{{send: his}}]
---
destination: his
type: mllp
address: "127.0.0.1:{his}"
timeout: 400ms
{options}
"""
FAST = "retry: {first: 50ms, most: 50ms}"


class Peer(Listening):
    """Acts by a script: for each message the next word; AA once the script is done.

    A word is an answer's code, or: silent, wrong_id, garbled, reset, late (the answer to the
    last message, and AR, once the next connection is up).
    """

    def __init__(self, script=(), port=0):
        self.script, self.seen = list(script), []
        self._late = []
        self._lock = threading.Lock()
        super().__init__(port)

    def heard(self, connection, number, frame):
        """Do as the next word says."""
        header = read(frame)
        with self._lock:
            word = self.script.pop(0) if self.script else "AA"
            self.seen.append((number, time.monotonic(), header.control_id.decode(), word))
        if word == "silent":
            return
        if word == "reset":
            connection.close()
        elif word == "garbled":
            connection.sendall(encode(b"what?"))
        elif word == "wrong_id":
            other = read(frame.replace(header.control_id, b"another"))
            connection.sendall(encode(ack.build(other, code="AA", control_id="9", at_ns=0)))
        elif word == "late":
            self._late.append((connection, encode(self._ack(header, "AA"))))
        else:
            connection.sendall(encode(self._ack(header, word)))

    def _ack(self, header, code):
        return ack.build(header, code=code, control_id="9", at_ns=0)

    @property
    def words(self):
        """What it did, in order."""
        return [word for *_, word in self.seen]

    @property
    def lines(self):
        """On which connection each message came."""
        return [number for number, *_ in self.seen]


@pytest.fixture
def told(server, appliance, url):
    """Runs one message through an engine whose peer acts by a script."""
    peers = []

    def run(script, options=FAST, sent=1):
        peer, adt = Peer(script), server.free_port()
        peers.append(peer)
        engine = appliance(SITE.format(adt=adt, his=peer.port, options=options), journal=url)
        client = server.Client(engine.start() and adt)
        for number in range(sent):
            assert client.ask(server.message(f"m{number}")) == "AA"
        return engine, peer

    yield run
    for peer in peers:
        peer.close()


def book(engine):
    """What became of the Deliveries."""
    status = engine.status()
    assert status["balanced"]
    found = status["destinations"]["his"]
    return found["delivered"], found["parked"], found["queued"] + found["sending"]


@pytest.mark.parametrize("word", ["silent", "wrong_id", "garbled", "reset"])
def test_an_unclear_answer_is_tried_again_on_a_new_connection(server, told, word):
    """No answer in time, another message's, what is no HL7, a reset: again and again."""
    engine, peer = told([word] * 6)
    server.until(lambda: book(engine) == (1, 0, 0))
    assert peer.words == [word] * 6 + ["AA"]
    assert len(set(peer.lines)) == 7
    assert {name for _, _, name, _ in peer.seen} == {"m0"}


def test_an_error_is_tried_three_times_more_and_parked(server, told):
    """AE: four tries in all; then the lane goes on (on_reject: park)."""
    engine, peer = told(["AE"] * 4, sent=2)
    server.until(lambda: book(engine) == (1, 1, 0))
    assert peer.words == ["AE"] * 4 + ["AA"]
    assert len(set(peer.lines)) == 1  # a clear answer leaves the connection good


@pytest.mark.parametrize("code", ["AR", "CR"])
def test_a_rejection_is_parked_at_once(server, told, code):
    """It will not be different the next time."""
    engine, peer = told([code], sent=2)
    server.until(lambda: book(engine) == (1, 1, 0))
    assert peer.words == [code, "AA"]


def test_a_rejection_holds_its_lane_where_the_site_says_stop(server, told):
    """What comes behind it waits for a person."""
    engine, peer = told(["AR"], f"{FAST}\non_reject: stop", sent=2)
    server.until(lambda: book(engine) == (0, 1, 1))
    assert peer.words == ["AR"]


def test_each_code_means_what_the_site_says(server, told):
    """AE is done, AR is tried twice more, and only then rejected."""
    engine, peer = told(
        ["AE", "AR", "AR", "AR"], f"{FAST}\nanswers: {{AE: done, AR: {{retry: 2}}}}", sent=2
    )
    server.until(lambda: book(engine) == (1, 1, 0))
    assert peer.words == ["AE", "AR", "AR", "AR"]


def test_an_unclear_answer_does_not_use_up_the_tries_of_an_error_for_ever(server, told):
    """Silence counts as a try; the fourth try that ends in AE is the last."""
    engine, peer = told(["silent", "AE", "AE", "AE"], sent=1)
    server.until(lambda: book(engine) == (0, 1, 0))
    assert peer.words == ["silent", "AE", "AE", "AE"]


def test_a_late_answer_is_credited_to_nobody(server, told):
    """It comes on the connection that was given up; the next message gets its own."""
    engine, peer = told(["late", "AR"], sent=1)
    server.until(lambda: peer.words == ["late", "AR"])
    connection, answer = peer._late[0]
    try:
        connection.sendall(answer)
    except OSError:
        pass  # the engine has hung up, which is as good
    server.until(lambda: book(engine) == (0, 1, 0))


def test_no_connection_is_tried_until_the_peer_is_back(server, appliance, url):
    """Any number of times, said once, and nothing is parked or lost."""
    port, adt = server.free_port(), server.free_port()
    site = SITE.format(adt=adt, his=port, options=FAST)
    engine = appliance(site, journal=url).start()
    client = server.Client(adt)
    for name in ("m0", "m1"):
        assert client.ask(server.message(name)) == "AA"
    metric = 'portico_deliveries_total{destination="his",outcome="retry"}'
    server.until(lambda: engine.metrics().get(metric, 0) > 8)
    assert engine.said("destination_down") == 1
    peer = Peer(port=port)
    server.until(lambda: book(engine) == (2, 0, 0))
    assert [name for _, _, name, _ in peer.seen] == ["m0", "m1"]
    assert engine.said("destination_up") == 1
    peer.close()


def test_a_time_limit_counts_from_the_first_failure_also_after_a_restart(server, told):
    """retry.for: a kill does not begin it anew; the lane goes by what the journal says."""
    options = "retry: {first: 200ms, most: 200ms, for: 2s}"
    engine, peer = told(["AE"] * 200, f"{options}\nanswers: {{AE: retry}}")
    server.until(lambda: len(peer.seen) > 4)
    engine.end(9)
    before = len(peer.seen)
    engine.start()
    server.until(lambda: book(engine) == (0, 1, 0))
    after = peer.seen[before:]
    assert after[-1][1] - after[0][1] < 1.5
