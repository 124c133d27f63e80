"""The peer of the demo: it answers, it shows nothing of a patient, it never outlives us."""

from pathlib import Path

import pytest

from portico.cli import demo
from portico.cli.exits import Ended
from portico.cli.mllp import Client
from portico.hl7 import ack
from portico.spec.fields import HostPort
from ports import free_port

ADT = (Path(__file__).parents[2] / "samples/hl7/adt_a01.hl7").read_bytes()


def test_the_peer_answers_and_shows_a_masked_message(capfd):
    """What stands on a demo's screen is what a screenshot will show."""
    port = free_port()
    with demo.running(port):
        client = Client(HostPort(demo.HOST, port), 10)
        [answer] = client.exchange(ADT)
        client.close()
    out, _ = capfd.readouterr()

    assert (ack.read(answer).code, ack.read(answer).control_id) == ("AA", b"ADT00001")
    assert "got ADT^A01" in out and "PID|1||999999" in out
    assert "Erika" not in out and "100001" not in out


def test_the_peer_ends_with_the_block():
    """Whoever started it, and however that ended: its standard input ends."""
    port = free_port()
    with demo.running(port):
        Client(HostPort(demo.HOST, port), 10).close()

    with pytest.raises(Ended, match="Connection refused"):
        Client(HostPort(demo.HOST, port), 1)


def test_what_cannot_be_answered_is_not_answered():
    """No MSH, no ACK; the connection stays."""
    assert demo.Peer().answer(b"hello") == b""
