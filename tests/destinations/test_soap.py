"""The SOAP destination against a service that is not ours: http.server and plain lxml."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from lxml import etree

from listeners.wsdl import WSDL
from portico.clock import SystemClock
from portico.destinations.contract import Surroundings
from portico.destinations.soap import SOAP, SoapTarget
from portico.model.delivery import Answered, Delivery
from portico.policy import retry

NEW = "http://www.w3.org/2003/05/soap-envelope"
OLD = "http://schemas.xmlsoap.org/soap/envelope/"
WSA = "http://www.w3.org/2005/08/addressing"
CDC = "urn:cdc:iisb:2011"
MESSAGE = b"MSH|^~\\&|EHR|CLINIC|IIS|ST|20261101||VXU^V04^VXU_V04|42|P|2.5.1\rPID|1||7\r"
LOGIN = {"user": "HOSP1", "password": "${env:KEY}"}


@pytest.fixture
async def target(tmp_path, server):
    """`target(profile=...)`: a destination of the server; all are stopped at the end."""
    started = []

    def make(**options: Any):
        spec = SimpleNamespace(
            options=SoapTarget.model_validate({"address": server.url + "/iis", **options}),
            timeout=5.0,
            connect=5.0,
            idle=60.0,
            connections=1,
        )
        around = Surroundings(
            None, SystemClock(), lambda _: None, tmp_path, {"KEY": "s3cret-key"}
        )
        destination = SOAP.build("iis", spec, around)
        started.append(destination)
        return destination

    yield make
    for destination in started:
        await destination.stop(1)


async def send(destination: Any, content: bytes = MESSAGE) -> Any:
    """Deliver once; the Attempt."""
    ended = asyncio.get_running_loop().create_future()
    destination.deliver(Delivery(bytes(16), 1, 1, "iis", "", content), ended.set_result)
    return await asyncio.wait_for(ended, 20)


def answer(text: str, tag: str = "return", root: str = "submitSingleMessageResponse") -> Any:
    """A script's entry: this text in the answer's element, SOAP 1.2."""
    whole = etree.Element(f"{{{NEW}}}Envelope")
    body = etree.SubElement(whole, f"{{{NEW}}}Body")
    outer = etree.SubElement(body, f"{{{CDC}}}{root}")
    etree.SubElement(outer, f"{{{CDC}}}{tag}").text = text
    return 200, {"Content-Type": "application/soap+xml"}, etree.tostring(whole)


def ack(code: str, control_id: str = "42") -> str:
    """An ACK as registries send it."""
    return f"MSH|^~\\&|IIS|ST|EHR|CLINIC|1||ACK|9|P|2.5.1\rMSA|{code}|{control_id}\r"


async def test_a_message_is_submitted_as_the_interface_says(server, target):
    """I1: arguments by profile, `with` and login; returns kept; the ACK is the answer."""
    server.script = [answer(ack("AA"))]
    destination = target(
        profile="cdc-iis", auth={"basic": LOGIN}, **{"with": {"facilityID": "{MSH-4.1}"}}
    )
    attempt = await send(destination)
    assert (attempt.answered, attempt.code) == (Answered.ANSWERED, "AA")
    assert attempt.answer == ack("AA").encode()
    ((line, fields, body),) = server.seen
    assert line == "POST /iis"
    assert "authorization" not in fields
    assert fields["content-type"].startswith("application/soap+xml")
    asked = etree.fromstring(body).find(f".//{{{CDC}}}submitSingleMessage")
    said = {etree.QName(one).localname: one.text for one in asked}
    assert said == {
        "username": "HOSP1",
        "password": "s3cret-key",
        "facilityID": "CLINIC",
        "hl7Message": MESSAGE.decode(),
    }


async def test_the_interface_of_2014_bears_its_addressing_headers(server, target):
    """As its policy wants; the message id is the same at each try."""
    server.script = [answer(ack("AA"), "Hl7Message", "SubmitSingleMessageResponse")]
    destination = target(profile="cdc-iis-2014")
    assert (await send(destination)).code == "AA"
    await send(destination)
    roots = [etree.fromstring(body) for _, _, body in server.seen]
    ids = [root.findtext(f".//{{{WSA}}}MessageID") for root in roots]
    assert ids[0] == ids[1]
    assert roots[0].findtext(f".//{{{WSA}}}To") == server.url + "/iis"


@pytest.mark.parametrize(
    ("text", "answered", "code"),
    [
        (ack("AE"), Answered.ANSWERED, "AE"),
        (ack("AR"), Answered.ANSWERED, "AR"),
        (ack("AA", "41"), Answered.UNCLEAR, "wrong_id"),
        (ack("AA").replace("\r", "\n"), Answered.ANSWERED, "AA"),
        ("thank you", Answered.ANSWERED, "200"),
    ],
)
async def test_hl7_in_the_answer_is_an_ack(server, target, text, answered, code):
    """I5, A11, W6: by its code and our control id, whatever its line ends became."""
    server.script = [answer(text)]
    attempt = await send(target(profile="cdc-iis"))
    assert (attempt.answered, attempt.code) == (answered, code)


def fault(version: str, code: str, detail: str = "") -> Any:
    """A script's entry: a fault by hand."""
    if version == NEW:
        inner = f"<e:Code><e:Value>e:{code}</e:Value></e:Code><e:Detail>{detail}</e:Detail>"
        media = "application/soap+xml"
    else:
        inner = f"<faultcode>e:{code}</faultcode><detail>{detail}</detail>"
        media = "text/xml"
    text = f'<e:Envelope xmlns:e="{version}"><e:Body><e:Fault>{inner}</e:Fault></e:Body>'
    return 500, {"Content-Type": media}, f"{text}</e:Envelope>".encode()


@pytest.mark.parametrize(
    ("entry", "code", "verdict"),
    [
        (
            fault(NEW, "Sender", f'<SecurityFault xmlns="{CDC}"/>'),
            "SecurityFault",
            retry.REJECTED,
        ),
        (
            fault(NEW, "Sender", f'<MessageTooLargeFault xmlns="{CDC}"/>'),
            "MessageTooLargeFault",
            retry.REJECTED,
        ),
        (fault(NEW, "Sender"), "Sender", retry.REJECTED),
        (fault(NEW, "Receiver"), "Receiver", retry.RETRY),
        (fault(OLD, "Client.Authentication"), "Client", retry.REJECTED),
        (fault(OLD, "Server"), "Server", retry.RETRY),
        ((503, {}, b"busy"), "503", retry.RETRY),
        ((404, {}, b""), "404", retry.REJECTED),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), "302", retry.REJECTED),
    ],
)
async def test_each_fault_means_what_the_table_says(server, target, entry, code, verdict):
    """I2: by its typed name, else by whose fault it is; what is no SOAP by its status."""
    server.script = [entry]
    attempt = await send(target(profile="cdc-iis"))
    assert (attempt.answered, attempt.code) == (Answered.ANSWERED, code)
    assert retry.judge(retry.HL7_ANSWERS, attempt, 1) == verdict


HOSTILE = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


async def test_an_answer_with_a_document_type_is_not_read(server, target):
    """W4 on the way back: its status counts, nothing of it is expanded."""
    _, headers, body = answer("&x;")
    server.script = [(200, headers, HOSTILE + body.replace(b"&amp;x;", b"&x;"))]
    attempt = await send(target(profile="cdc-iis"))
    assert attempt.code == "200"
    assert b"root:" not in attempt.answer


async def test_a_message_that_is_the_operations_element_is_sent_whole(server, target, tmp_path):
    """Nothing is put around it but the envelope; other XML is a text in an argument."""
    (tmp_path / "lab.wsdl").write_text(WSDL)
    destination = target(wsdl="lab.wsdl")
    whole = '<l:result xmlns:l="urn:lab"><l:ward>3</l:ward><l:hl7>a &amp; b</l:hl7></l:result>'
    await send(destination, f'<?xml version="1.0"?>{whole}'.encode())
    await send(target(wsdl="lab.wsdl", **{"with": {"ward": "3"}}), b"<other/>")
    first, second = (etree.fromstring(body) for _, _, body in server.seen)

    assert etree.tostring(first[0][0], method="c14n") == etree.tostring(
        etree.fromstring(whole), method="c14n"
    ).replace(b'xmlns:l="urn:lab"', b'xmlns:l="urn:lab" xmlns:soap="%b"' % OLD.encode())
    assert second.findtext(".//{urn:lab}hl7") == "<other/>"


async def test_any_wsdl_is_asked_with_a_user_token(server, target, tmp_path):
    """SOAP 1.1 with its action; the free argument is the message; nothing is fetched."""
    (tmp_path / "lab.wsdl").write_text(WSDL)
    destination = target(wsdl="lab.wsdl", auth={"token": LOGIN}, **{"with": {"ward": "3"}})
    await send(destination)
    ((_, fields, body),) = server.seen
    assert fields["soapaction"] == '"urn:lab:result"'
    assert fields["content-type"].startswith("text/xml")
    root = etree.fromstring(body)
    assert root.findtext(".//{urn:lab}hl7") == MESSAGE.decode()
    assert root.findtext(".//{*}UsernameToken/{*}Username") == "HOSP1"


@pytest.mark.parametrize(
    ("options", "content", "answered", "code"),
    [
        ({"wsdl": "gone.wsdl"}, MESSAGE, Answered.NO_CONNECTION, "no_connection"),
        (
            {"profile": "cdc-iis", "operation": "nope"},
            MESSAGE,
            Answered.NO_CONNECTION,
            "no_connection",
        ),
        (
            {"profile": "cdc-iis", "with": {"nope": "x"}},
            MESSAGE,
            Answered.ANSWERED,
            "unsendable",
        ),
        ({"profile": "cdc-iis"}, MESSAGE + b"\xff", Answered.ANSWERED, "unsendable"),
        ({"wsdl": "lab.wsdl"}, MESSAGE, Answered.ANSWERED, "unsendable"),
    ],
)
async def test_what_cannot_be_asked_is_not_sent(
    server, target, tmp_path, options, content, answered, code
):
    """With the reason, and no byte on the wire: not as one that may have arrived."""
    (tmp_path / "lab.wsdl").write_text(WSDL)
    attempt = await send(target(**options), content)
    assert (attempt.answered, attempt.code) == (answered, code)
    assert not server.seen


async def test_a_reload_while_the_interface_is_read_counts(server, target):
    """The first message waited for the old one: it goes by the new one, as all after it."""
    server.script = [answer(ack("AA"), "Hl7Message", "SubmitSingleMessageResponse")] * 2
    destination, new = target(profile="cdc-iis"), target(profile="cdc-iis-2014")
    first = asyncio.ensure_future(send(destination))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert destination._flying and destination._service is None
    assert destination.adopt(new._spec)

    assert [(await first).code, (await send(destination)).code] == ["AA", "AA"]
    roots = [etree.fromstring(body) for _, _, body in server.seen]
    assert all(root.findtext(f".//{{{WSA}}}To") for root in roots)


async def test_an_address_that_cannot_be_sent_is_the_messages_fault(server, target):
    """It is parked, and holds nobody up: the service was never asked."""
    destination = target(profile="cdc-iis", address=server.url + "/{PID-3.1}")
    attempt = await send(destination, MESSAGE.replace(b"||7", b"||" + b"7" * 70_000))
    assert (attempt.answered, attempt.code) == (Answered.ANSWERED, "unsendable")
    assert not server.seen
