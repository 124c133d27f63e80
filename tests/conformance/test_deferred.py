"""A12: the application answer on another connection, both ways round."""

import socket
import threading
import time
from contextlib import suppress

from conformance.words import END, START, fields, fresh, message
from ports import free_ports

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
CONFIRMED = DEFERRING.replace("ack: none\n", "retry: {{first: 50ms, most: 100ms}}\n").replace(
    "deferred: partner_acks}}", "deferred: partner_acks}}\nunmatched: refuse"
)
AWAITING = """\
channel: orders
source: {{type: mllp, listen: "127.0.0.1:{orders}"}}
acknowledge: {{when: delivered, timeout: 1m}}
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
        listening.settimeout(60)
        appliance = appliance_of(DEFERRING.format(**ports), ports)
        control_id = fresh()
        [here] = appliance.answers(
            "partner", message(control_id, accept="AL", application="AL")
        )
        reverse, _ = listening.accept()
        with reverse:
            reverse.settimeout(60)
            there = frame_of(reverse)

    assert fields(here, b"MSA")[1:3] == [b"CA", control_id.encode()]
    assert fields(there, b"MSA")[1:3] == [b"AA", control_id.encode()]


def test_an_answer_on_another_connection_ends_the_delivery(appliance_of):
    """A12: CA on the line is not the end; the ACK that comes to `replies` is."""
    names = ("orders", "replies", "partner")
    ports = dict(zip(names, free_ports(3), strict=True))
    with socket.create_server(("127.0.0.1", ports["partner"])) as listening:
        listening.settimeout(60)
        appliance = appliance_of(AWAITING.format(**ports), ports)

        def partner() -> None:
            line, _ = listening.accept()
            with line:
                line.settimeout(60)
                control_id = fields(frame_of(line), b"MSH")[10].decode()
                line.sendall(ack("CA", control_id))
                appliance.raw("replies", ack("AA", control_id))

        thread = threading.Thread(target=partner)
        thread.start()
        control_id = fresh()
        [told] = appliance.answers("orders", message(control_id))
        thread.join(60)

    assert fields(told, b"MSA")[1:3] == [b"AA", control_id.encode()]


def test_a_deferred_answer_is_confirmed_where_it_asks_for_that(appliance_of):
    """A12, A9: MSH-15 AL to a partner that is waited for; only its CA ends the delivery."""
    names = ("partner", "acks")
    ports = dict(zip(names, free_ports(2), strict=True))
    acks = Peer(ports["acks"], answers="CA")
    appliance = appliance_of(CONFIRMED.format(**ports), ports)
    taken, broken = fresh(), fresh()
    told = appliance.answers(
        "partner",
        message(taken, accept="NE", application="AL", charset="UNICODE UTF-8"),
        message(broken, accept="NE", application="AL", kind=""),
    )
    acks.waits_for(2)
    end = time.monotonic() + 20
    while (book := appliance.status()["destinations"]["partner_acks"])["delivered"] != 2:
        assert time.monotonic() < end, book
        time.sleep(0.05)
    there = {fields(one, b"MSA")[2]: one for one in acks.heard}
    acks.close()

    assert told == []
    assert fields(there[taken.encode()], b"MSA")[1] == b"AA"
    assert fields(there[taken.encode()], b"MSH")[13:] == [
        b"", b"", b"AL", b"NE", b"", b"UNICODE UTF-8",
    ]  # fmt: skip
    assert fields(there[broken.encode()], b"MSA")[1] == b"AE"
    assert appliance.status()["channels"]["partner"]["refused"] == 1


def test_one_line_carries_many_that_wait_for_their_answers(appliance_of):
    """A12: `connections` is 1, and ten are under way at once; answers come in any order."""
    names = ("orders", "replies", "partner")
    ports = dict(zip(names, free_ports(3), strict=True))
    documents = AWAITING.format(**ports).replace(
        "acknowledge: {when: delivered, timeout: 1m}", "order_by: none"
    )
    partner = Peer(ports["partner"], answers="CA")
    appliance = appliance_of(documents, ports)
    ids = [fresh() for _ in range(10)]
    appliance.answers("orders", *(message(one) for one in ids))
    partner.waits_for(10)
    assert appliance.status()["destinations"]["partner"]["sending"] == 10
    appliance.raw("replies", b"".join(ack("AA", one) for one in reversed(ids)))
    end = time.monotonic() + 20
    while (book := appliance.status()["destinations"]["partner"])["delivered"] != 10:
        assert time.monotonic() < end, book
        time.sleep(0.05)
    partner.close()

    assert len(partner.heard) == 10
    assert "answer_uncredited" not in appliance.log.read_text()


KILLED = """\
channel: partner
source: {{type: mllp, listen: "127.0.0.1:{partner}"}}
order_by: none
acknowledge: {{mode: enhanced, when: delivered, timeout: 5m, deferred: partner_acks}}
---
agent: forward
goal: Send everything on
on: {{channel: partner}}
steps: [{{send: his}}]
---
destination: his
type: mllp
address: 127.0.0.1:{his}
connections: 4
retry: {{first: 50ms, most: 100ms}}
---
destination: partner_acks
type: mllp
address: 127.0.0.1:{acks}
ack: none
retry: {{first: 50ms, most: 100ms}}
"""


class Peer:
    """A peer that answers every message with this code, or not at all. heard: what came."""

    def __init__(self, port: int, *, answers: str = "") -> None:
        self.heard: list[bytes] = []
        self._answers = answers
        self._listening = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Refuse from now on."""
        self._listening.close()

    def waits_for(self, count: int) -> None:
        """Until so many different messages have come."""
        end = time.monotonic() + 20
        while len(set(self.heard)) < count:
            assert time.monotonic() < end, self.heard
            time.sleep(0.02)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        got = bytearray()
        with line, suppress(OSError):
            while piece := line.recv(65536):
                got += piece
                while END in got:
                    frame, _, rest = bytes(got).partition(END)
                    got = bytearray(rest)
                    self.heard.append(frame[1:])
                    if self._answers:
                        line.sendall(ack(self._answers, fields(frame[1:], b"MSH")[10].decode()))


def test_a_deferred_answer_survives_kill_9(appliance_of):
    """A12, M8: killed while destinations are down, and again while the answers are queued:
    every message that got CA gets its AA on the reverse link, once for each."""
    names = ("partner", "his", "acks")
    ports = dict(zip(names, free_ports(3), strict=True))
    appliance = appliance_of(KILLED.format(**ports), ports)
    ids = [fresh() for _ in range(20)]
    told = appliance.answers(
        "partner", *(message(one, accept="AL", application="AL") for one in ids)
    )
    assert {tuple(fields(one, b"MSA")[1:3]) for one in told} == {
        (b"CA", i.encode()) for i in ids
    }

    appliance.kill()  # nothing is delivered: what waits is in the journal
    his = Peer(ports["his"], answers="AA")
    appliance.start()
    his.waits_for(20)
    appliance.kill()  # the answers are owed, and nobody takes them yet
    acks = Peer(ports["acks"])
    appliance.start()
    acks.waits_for(20)

    got = [tuple(fields(one, b"MSA")[1:3]) for one in set(acks.heard)]
    assert sorted(got) == sorted((b"AA", one.encode()) for one in ids)
    his.close()
    acks.close()


SHARING = (
    AWAITING
    + """\
timeout: 1s
retry: {{first: 50ms, most: 100ms}}
"""
)


def test_an_answer_is_credited_once_and_to_its_own_message(appliance_of):
    """A12: an answer to another message and a second one credit nothing; when time is up the
    same bytes go out again, and the answer to those ends the delivery."""
    names = ("orders", "replies", "partner")
    ports = dict(zip(names, free_ports(3), strict=True))
    appliance = appliance_of(SHARING.format(**ports), ports)
    partner = Peer(ports["partner"])
    control_id = fresh()
    told: list[bytes] = []
    asking = threading.Thread(
        target=lambda: told.extend(appliance.answers("orders", message(control_id)))
    )
    asking.start()
    partner.waits_for(1)
    appliance.raw("replies", ack("AA", control_id + "0"))
    end = time.monotonic() + 20
    while len(partner.heard) < 2:
        assert time.monotonic() < end and not told
        time.sleep(0.02)
    appliance.raw("replies", ack("AA", control_id) + ack("AA", control_id))
    asking.join(60)

    assert len(set(partner.heard)) == 1
    assert [fields(one, b"MSA")[1:3] for one in told] == [[b"AA", control_id.encode()]]
    assert appliance.log.read_text().count("answer_uncredited") == 2
    partner.close()


def test_a_delivery_whose_answer_was_still_to_come_survives_kill_9(appliance_of):
    """A12, M8: killed between CA and the AA of the other connection, the engine sends the same
    bytes again, and the answer to those ends the delivery."""
    names = ("orders", "replies", "partner")
    ports = dict(zip(names, free_ports(3), strict=True))
    documents = AWAITING.format(**ports).replace(
        "when: delivered, timeout: 1m", "when: journaled"
    )
    appliance = appliance_of(documents, ports)
    partner = Peer(ports["partner"], answers="CA")
    control_id = fresh()
    appliance.answers("orders", message(control_id))
    partner.waits_for(1)
    appliance.kill()
    before = len(partner.heard)
    appliance.start()
    end = time.monotonic() + 20
    while len(partner.heard) == before:
        assert time.monotonic() < end
        time.sleep(0.02)
    appliance.raw("replies", ack("AA", control_id))
    while (book := appliance.status()["destinations"]["partner"])["delivered"] != 1:
        assert time.monotonic() < end, book
        time.sleep(0.05)

    assert len(set(partner.heard)) == 1
    assert "answer_uncredited" not in appliance.log.read_text()
    partner.close()
