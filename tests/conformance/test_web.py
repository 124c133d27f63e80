"""HTTPS and SOAP through the running appliance, with peers that are not ours: curl, zeep,
http.server, raw sockets."""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import time

import pytest
import zeep

from conformance.appliance import Appliance
from conformance.conftest import running
from destinations.web import Server
from ports import free_ports

SITE = """\
channel: adt
source: {{type: https, listen: "127.0.0.1:{web}", path: /adt, timeout: 1s}}
---
channel: slow
source: {{type: https, listen: "127.0.0.1:{web}", path: /slow, timeout: 1s}}
acknowledge: {{when: delivered, timeout: 20s}}
---
channel: portal
source: {{type: https, listen: "127.0.0.1:{web}", path: /portal, timeout: 1s,
  idempotency: Idempotency-Key}}
content: json
acknowledge: {{when: processed}}
---
channel: iis
source: {{type: soap, listen: "127.0.0.1:{web}", path: /iis, timeout: 1s,
  profile: cdc-iis}}
---
channel: canary
source: {{type: mllp, listen: "127.0.0.1:{canary}"}}
---
agent: forward
goal: Send everything on
on: {{channel: [adt, slow]}}
steps: [{{send: his}}]
---
agent: vaccinations
goal: Send vaccinations on
on: {{channel: iis}}
steps: [{{send: registry}}]
---
agent: patients
goal: Take patients with a record number
on: {{channel: portal}}
steps: [{{validate: {{require: [/mrn]}}}}, {{send: his}}]
---
agent: keep
goal: Keep canaries
on: {{channel: canary}}
steps: [{{filter: {{keep: {{MSH-9: {{exists: yes}}}}}}}}]
---
{{destination: his, type: https, address: "{his}/in", timeout: 5s,
 retry: {{first: 50ms, most: 50ms}}}}
---
{{destination: registry, type: soap, profile: cdc-iis, address: "{registry}/iis"}}
"""
NUMBERS = itertools.count(1)


class Web(Appliance):
    """With its two destinations on http.server."""

    def __init__(self, folder):
        self.his, self.registry = Server(), Server()
        web, canary = free_ports(2)
        documents = SITE.format(
            web=web, canary=canary, his=self.his.url, registry=self.registry.url
        )
        super().__init__(folder, documents, {"canary": canary})
        self.port, self.url = web, f"http://127.0.0.1:{web}"

    def post(self, path, content, *headers):
        """By curl: status and body."""
        curl = shutil.which("curl")
        if curl is None:
            if os.environ.get("CI") == "true":
                pytest.fail("curl is missing")
            pytest.skip("curl is not on this machine; .ci/run installs it")
        fields = [word for header in headers for word in ("-H", header)]
        said = subprocess.run(
            [
                curl,
                "-s",
                "-w",
                "\n%{http_code}",
                "--data-binary",
                "@-",
                *fields,
                self.url + path,
            ],
            input=content,
            capture_output=True,
            timeout=30,
            check=True,
        ).stdout
        body, _, status = said.rpartition(b"\n")
        return int(status), body

    def arrived(self, content, count=1):
        """Wait until the HIS has so many requests with this body; they are given back."""
        limit = time.monotonic() + 20
        while True:
            found = [one for one in self.his.seen if one[2] == content]
            if len(found) >= count:
                return found
            assert time.monotonic() < limit, len(self.his.seen)
            time.sleep(0.02)


@pytest.fixture(scope="module")
def web(memory_folder):
    """The appliance of this file."""
    with running(memory_folder, Web) as appliance:
        yield appliance


def message(kind="ADT^A01"):
    """A new HL7 message."""
    number = next(NUMBERS)
    return (
        f"MSH|^~\\&|EHR|CLINIC|HIS|H|20261101||{kind}|W{number}|P|2.5.1\r"
        f"PID|1||{number}^^^H^MR||MUSTER^ERIKA\r"
    ).encode()


HL7 = "Content-Type: application/hl7-v2"
JSON = "Content-Type: application/json"


def test_curl_sends_hl7_and_reads_the_ack(web):
    """P1, P5: 200 and AA for what is stored; the same bytes leave by HTTP."""
    sent = message()
    status, body = web.post("/adt", sent, HL7)
    assert (status, b"MSA|AA|W" in body) == (200, True)
    (line, fields, _) = web.arrived(sent)[0]
    assert line == "POST /in"
    assert fields["content-type"] == "application/hl7-v2"


def test_hl7_that_cannot_be_taken_is_refused_with_its_ack(web):
    """422 with AE, or problem details where there is nothing to acknowledge."""
    status, body = web.post("/adt", message().replace(b"|W", b"||"), HL7)
    assert (status, b"MSA|AE|" in body) == (422, True)
    status, body = web.post("/adt", b"nonsense", HL7)
    assert status == 422
    assert json.loads(body)["code"] == "message.not_hl7"


def test_json_is_answered_with_the_verdict_of_its_agent(web):
    """200 and the Signal's id, 422 with the place."""
    status, body = web.post("/portal", b'{"mrn": "7"}', JSON)
    assert (status, list(json.loads(body))) == (200, ["signal"])
    status, body = web.post("/portal", b'{"name": "x"}', JSON)
    assert (status, json.loads(body)["status"]) == (422, 422)
    assert web.post("/portal", b"{", JSON)[0] == 422


def test_a_request_that_comes_again_under_its_key_runs_once(web):
    """The same answer, one delivery; without the key both run."""
    content, key = b'{"mrn": "k1"}', "Idempotency-Key: one"
    first = web.post("/portal", content, JSON, key)
    again = web.post("/portal", content, JSON, key)
    assert first == again
    assert first[0] == 200
    web.post("/portal", content, JSON, "Idempotency-Key: two")
    assert len(web.arrived(content, 2)) == 2


def test_zeep_submits_a_message_and_it_goes_on_to_a_registry(web):
    """I1, W5: by the WSDL that the appliance serves, CR for CR, and out by SOAP again."""
    sent = message("VXU^V04^VXU_V04")
    client = zeep.Client(f"{web.url}/iis?wsdl")
    assert client.service.connectivityTest(echoBack="hello") == "hello"
    said = client.service.submitSingleMessage(hl7Message=sent.decode(), facilityID="F")
    assert "\rMSA|AA|W" in said
    limit = time.monotonic() + 20
    while not web.registry.seen:
        assert time.monotonic() < limit
        time.sleep(0.02)
    assert sent.replace(b"\r", b"&#13;").replace(b"&|", b"&amp;|") in web.registry.seen[0][2]


def test_killed_between_the_commit_and_the_answer_nothing_is_lost_or_promised(web):
    """M8, P1: the client was told nothing; its repeat is known, and runs no second time."""
    sent = message()
    gate = []

    def stuck(handler):
        gate.append(True)
        with contextlib.suppress(OSError):
            handler.connection.recv(1)
        handler.close_connection = True

    web.his.script = [stuck, (200, {}, b"ok")]
    with socket.create_connection(("127.0.0.1", web.port), 20) as peer:
        head = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Type: application/hl7-v2\r\n"
        peer.sendall(head + b"Content-Length: %d\r\n\r\n" % len(sent) + sent)
        limit = time.monotonic() + 20
        while not gate:
            assert time.monotonic() < limit
            time.sleep(0.02)
        web.process.kill()
        web.process.wait(10)
        assert peer.recv(100) == b""
    web.start()
    status, body = web.post("/slow", sent, HL7)
    assert (status, b"MSA|AA|" in body) == (200, True)
    assert len(web.arrived(sent, 2)) == 2  # the one that was cut off, and one more


ENTITIES = b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><a>&d;</a>'
HOSTILE = [
    b"POST /adt HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /adt HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 200_000,
    b"POST /adt HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 5000,
    b"POST /iis HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"
    % len(ENTITIES)
    + ENTITIES,
    b"POST /adt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"POST /adt HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nbegun",
    b"POST /adt HTTP/1.1\r\nHos",
]


async def test_hostile_requests_disturb_no_canary(web):
    """P6, P10: forty at a time, slow ones among them; each is closed, every canary answered."""

    async def hostile(data):
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
            said = await asyncio.wait_for(reader.read(), 60)
            assert said[:9] in (b"HTTP/1.1 ", b"")
            assert b" 200 " not in said[:20]
        writer.close()

    for _ in range(3):  # a machine that is busy elsewhere is not always as busy
        attack = asyncio.gather(*(hostile(data) for data in HOSTILE * 5))
        slowest, count = 0.0, 0
        while not attack.done() or count < 20:
            began = time.monotonic()
            (said,) = await asyncio.to_thread(web.answers, "canary", message())
            slowest, count = max(slowest, time.monotonic() - began), count + 1
            assert b"MSA|AA|" in said
        await attack
        if slowest < 2.0:
            return

    pytest.fail(f"a canary waited for {slowest:.1f} s each time")
