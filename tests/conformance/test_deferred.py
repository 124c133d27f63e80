"""A12: the application answer on another connection, both ways round."""

import socket
import threading

from conformance.appliance import free_ports
from conformance.words import END, START, fields, fresh, message

DEFERRING = """\
channel: partner
source: {{type: mllp, listen: "127.0.0.1:{partner}"}}
acknowledge: {{mode: enhanced, when: processed, deferred: partner_acks}}
---
agent: take
goal: Take everything
on: {{channel: partner}}
steps: [{{filter: {{keep: {{MSH-9: {{exists: yes}}}}}}}}]
---
destination: partner_acks
type: mllp
address: 127.0.0.1:{acks}
ack: none
"""
AWAITING = """\
channel: orders
source: {{type: mllp, listen: "127.0.0.1:{orders}"}}
acknowledge: {{when: delivered, timeout: 5s}}
---
channel: replies
source: {{type: mllp, listen: "127.0.0.1:{replies}"}}
---
agent: forward
goal: Send everything to the partner
on: {{channel: orders}}
steps: [{{send: partner}}]
---
destination: partner
type: mllp
address: 127.0.0.1:{partner}
ack_on: replies
"""


def ack(code: str, control_id: str) -> bytes:
    """A partner's answer."""
    head = f"MSH|^~\\&|PARTNER|P|HIS|H|20260314||ACK|{fresh()}|P|2.5.1\r"
    return START + f"{head}MSA|{code}|{control_id}\r".encode() + END


def frame_of(peer: socket.socket) -> bytes:
    """The next frame of a connection."""
    got = bytearray()
    while not got.endswith(END):
        got += peer.recv(65536)
    return bytes(got[1:-2])


def test_the_application_answer_goes_to_the_reverse_link(appliance_of):
    """A12: CA here, AA there, with the sender's MSH-10."""
    names = ("partner", "acks")
    ports = dict(zip(names, free_ports(2), strict=True))
    with socket.create_server(("127.0.0.1", ports["acks"])) as listening:
        listening.settimeout(10)
        appliance = appliance_of(DEFERRING.format(**ports), ports)
        control_id = fresh()
        [here] = appliance.answers(
            "partner", message(control_id, accept="AL", application="AL")
        )
        reverse, _ = listening.accept()
        with reverse:
            reverse.settimeout(10)
            there = frame_of(reverse)

    assert fields(here, b"MSA")[1:3] == [b"CA", control_id.encode()]
    assert fields(there, b"MSA")[1:3] == [b"AA", control_id.encode()]


def test_an_answer_on_another_connection_ends_the_delivery(appliance_of):
    """A12: CA on the line is not the end; the ACK that comes to `replies` is."""
    names = ("orders", "replies", "partner")
    ports = dict(zip(names, free_ports(3), strict=True))
    with socket.create_server(("127.0.0.1", ports["partner"])) as listening:
        listening.settimeout(10)
        appliance = appliance_of(AWAITING.format(**ports), ports)

        def partner() -> None:
            line, _ = listening.accept()
            with line:
                line.settimeout(10)
                control_id = fields(frame_of(line), b"MSH")[10].decode()
                line.sendall(ack("CA", control_id))
                appliance.raw("replies", ack("AA", control_id))

        thread = threading.Thread(target=partner)
        thread.start()
        control_id = fresh()
        [told] = appliance.answers("orders", message(control_id))
        thread.join(20)

    assert fields(told, b"MSA")[1:3] == [b"AA", control_id.encode()]
