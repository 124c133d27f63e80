"""What a positive or negative answer is, by a channel's own policy: `reply`, `text`, codes."""

import itertools
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection

import pytest

from conformance.appliance import Appliance
from conformance.conftest import running
from conformance.words import END, START, fields, fresh, message
from ports import free_ports

CHANNELS = {
    "passed": "{when: delivered, reply: registry, timeout: 20s}",
    "made": "{when: processed, reply: result}",
    "strict": "{when: processed, on_refuse: AR}",
    "ours": "{when: processed, on_error: AR}",
    "shut": "{when: processed, on_error: close}",
    "told": "{when: processed, text: 'Seen {PID-5.1}'}",
}
CHANNEL = """\
channel: {name}
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
order_by: none
acknowledge: {told}
---
"""
AGENTS = """\
agent: report
goal: Report to the registry, whose word is the answer
on: {{channel: passed}}
steps:
  - filter: {{drop: {{PID-8: E}}}}
  - send: registry
---
agent: make
goal: Answer with what the last step leaves
on: {{channel: made}}
steps: [{{map: {{set: {{MSH-9.1: RSP, PID-5.1: "SEEN {{PID-5.1}}"}}}}}}]
---
agent: refuse
goal: Refuse
on: {{channel: [strict, told]}}
steps:
  - validate: {{values: {{PID-8: A}}}}
    on_error: {{refuse: {{ack: AE, text: Not this}}}}
---
agent: fail
goal: Park
on: {{channel: [ours, shut]}}
steps: [{{validate: {{values: {{PID-8: A}}}}, on_error: park}}]
---
channel: asked
source: {{type: https, listen: "127.0.0.1:{asked}", path: /asked}}
content: json
order_by: none
acknowledge: {{when: processed, reply: result}}
---
agent: look_up
goal: Answer a question
on: {{channel: asked}}
steps:
  - validate: {{values: {{/mrn: "9*"}}}}
    on_error: {{refuse: {{code: "204", text: No such patient}}}}
  - map: {{set: {{/ward: W3}}}}
---
destination: registry
type: mllp
address: 127.0.0.1:{registry}
answers: {{AE: done}}
"""


class Registry:
    """Answers by PID-8, each time differently. told: its answers, in their order."""

    def __init__(self, port: int) -> None:
        self.told: list[bytes] = []
        self._numbers = itertools.count(1)
        self._listening = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._listening.accept()
                got = bytearray()
                with line:
                    while piece := line.recv(65536):
                        got += piece
                        if got.endswith(END):
                            line.sendall(START + self._answer(bytes(got[1:-2])) + END)
                            got.clear()

    def _answer(self, content: bytes) -> bytes:
        control_id = fields(content, b"MSH")[10].decode()
        code = "AA" if fields(content, b"PID")[8] == b"A" else "AE"
        number = next(self._numbers)
        head = f"MSH|^~\\&|IIS|STATE|HIS|H|20260314||ACK^V04|R{number}|P|2.5.1"
        self.told.append(f"{head}\rMSA|{code}|{control_id}\rZXX|kept as {number}\r".encode())
        return self.told[-1]

    def close(self) -> None:
        """Refuse from now on."""
        self._listening.close()


@pytest.fixture(scope="module")
def site(memory_folder) -> Iterator[tuple[Appliance, Registry]]:
    """An appliance with a channel for each policy, and the registry it reports to."""
    names = (*CHANNELS, "registry", "asked")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    registry = Registry(ports["registry"])
    documents = "".join(
        CHANNEL.format(name=name, port=ports[name], told=told)
        for name, told in CHANNELS.items()
    ) + AGENTS.format(**ports)
    with running(memory_folder, lambda folder: Appliance(folder, documents, ports)) as made:
        yield made, registry
    registry.close()


@pytest.mark.parametrize("sex", ["A", "R"])
def test_a_destinations_answer_is_passed_on_verbatim(site, sex):
    """Its bytes, with segments of its own, positive or not; MSA-2 is the sender's MSH-10."""
    appliance, registry = site
    control_id = fresh()
    [told] = appliance.answers("passed", message(control_id, sex=sex))

    assert told == registry.told[-1]
    assert fields(told, b"MSA")[2] == control_id.encode()


def test_a_repeat_gets_the_destinations_answer_again(site):
    """A13: from the journal; the destination is not asked twice."""
    appliance, registry = site
    sent = message()
    [first] = appliance.answers("passed", sent)
    asked = len(registry.told)
    [again] = appliance.answers("passed", sent)

    assert again == first
    assert len(registry.told) == asked


def test_a_message_that_went_to_no_destination_is_answered_by_us(site):
    """It was dropped by a named rule: that is success."""
    appliance, _ = site
    [told] = appliance.answers("passed", message(sex="E"))

    assert fields(told, b"MSA")[1] == b"AA"
    assert fields(told, b"MSH")[3] == b"PORTICO"


def test_what_an_agent_made_is_the_answer_also_to_a_repeat(site):
    """reply: result; the value is journaled, so a repeat runs nothing and gets it again."""
    appliance, _ = site
    sent = message()
    [first] = appliance.answers("made", sent)
    [again] = appliance.answers("made", sent)

    assert fields(first, b"MSH")[9] == b"RSP^A01^ADT_A01"
    assert fields(first, b"PID")[5] == b"SEEN EXAMPLE^ADA"
    assert again == first


def test_both_phases_hold_where_the_answer_is_not_ours(site):
    """A2: CA first, and nothing more for a sender that wants no application answer."""
    appliance, _ = site
    both = appliance.answers("made", message(accept="AL", application="AL"))
    one = appliance.answers("made", message(accept="AL", application="NE"))

    assert fields(both[0], b"MSA")[1] == b"CA"
    assert fields(both[1], b"PID")[5] == b"SEEN EXAMPLE^ADA"
    assert [fields(each, b"MSA")[1] for each in one] == [b"CA"]


@pytest.mark.parametrize(
    ("channel", "code"), [("strict", b"AR"), ("ours", b"AR"), ("told", b"AE")]
)
def test_a_channel_makes_its_negative_answers_harder(site, channel, code):
    """on_refuse and on_error: AR for a sender that would repeat an AE for ever."""
    appliance, _ = site
    [told] = appliance.answers(channel, message(sex="E"))

    assert fields(told, b"MSA")[1] == code


def test_a_channel_may_close_instead_of_an_error(site):
    """on_error: close, for a sender that drops a message on AE."""
    appliance, _ = site

    assert appliance.answers("shut", message(sex="E")) == []


def test_the_text_of_a_positive_answer_is_the_channels(site):
    """MSA-3 by template, from the message itself."""
    appliance, _ = site
    [told] = appliance.answers("told", message())

    assert fields(told, b"MSA")[3] == b"Seen EXAMPLE"


def asked(appliance: Appliance, body: bytes) -> tuple[int, str, bytes]:
    """A question over HTTP: status, type and body of the answer."""
    line = HTTPConnection("127.0.0.1", appliance.ports["asked"], timeout=20)
    with closing(line):
        line.request("POST", "/asked", body, {"Content-Type": "application/json"})
        got = line.getresponse()
        return got.status, got.getheader("Content-Type", ""), got.read()


def test_a_question_over_http_is_answered_with_what_the_agent_made(site):
    """reply: result of JSON is the body of the response."""
    appliance, _ = site
    status, kind, body = asked(appliance, b'{"mrn":"900001"}')

    assert (status, json.loads(body)) == (200, {"mrn": "900001", "ward": "W3"})
    assert kind.startswith("application/json")


def test_a_refusal_over_http_says_what_the_agent_said(site):
    """422, with the agent's code and text and the Signal's id, in problem details."""
    appliance, _ = site
    status, kind, body = asked(appliance, b'{"mrn":"1"}')
    problem = json.loads(body)

    assert (status, kind) == (422, "application/problem+json")
    assert (problem["code"], problem["detail"]) == ("204", "No such patient")
    assert problem["signal"]
