"""The SOAP source: the CDC's interfaces with zeep as the client, faults, and hostile XML."""

import asyncio
import hmac
import time
from typing import Any

import httpx2
import pytest
import zeep
from lxml import etree
from zeep.wsse.username import UsernameToken

from listeners.wsdl import WSDL
from portico.clock import SystemClock
from portico.errors import ListenFailed
from portico.listeners.contract import Surroundings
from portico.listeners.soap import SOAP, SoapSource
from portico.model.receipt import Receipt, Told

NEW = "http://www.w3.org/2003/05/soap-envelope"
OLD = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGE = "MSH|^~\\&|EHR|CLINIC|IIS|STATE|20261101||VXU^V04^VXU_V04|1|P|2.5.1\rPID|1||7\r"
LOGIN = {"basic": {"user": "clinic", "password": "${env:KEY}"}}
CALL = """\
<submitSingleMessage xmlns="urn:cdc:iisb:2011"><username>clinic</username>\
<password>s3cret-key</password><facilityID>F1</facilityID><hl7Message>{}</hl7Message>\
</submitSingleMessage>"""
RESULT = '<result xmlns="urn:lab"><ward>3</ward><hl7>MSH|1</hl7></result>'


@pytest.fixture
async def serving(desk, tmp_path):
    """`await serving(profile=...)`: a started listener at `/iis`."""
    started = []
    around = Surroundings(None, SystemClock(), desk.emit, tmp_path, {"KEY": "s3cret-key"})

    async def start(**options: Any):
        content = options.pop("content", "hl7")
        source = SoapSource.model_validate({"listen": "127.0.0.1:0", "path": "/iis", **options})
        source = source.model_copy(update={"content": content})
        listener = SOAP.build("iis", source, desk.receive, around)
        await listener.start()
        started.append(listener)
        return listener

    yield start
    for listener in started:
        await listener.stop(0)


def address(listener: Any) -> str:
    """Where it answers."""
    return f"http://{listener.address}/iis"


async def call(listener: Any, operation: str, wsse: Any = None, **arguments: Any) -> Any:
    """zeep reads `?wsdl` from the listener and calls, in a thread."""

    def blocking() -> Any:
        client = zeep.Client(address(listener) + "?wsdl", wsse=wsse)
        return client.service[operation](**arguments)

    return await asyncio.to_thread(blocking)


def enveloped(body: str, version: str = NEW, header: str = "") -> bytes:
    """An envelope around this."""
    inner = f"<e:Header>{header}</e:Header><e:Body>{body}</e:Body>"
    return f'<e:Envelope xmlns:e="{version}">{inner}</e:Envelope>'.encode()


async def post(
    listener: Any, content: bytes, version: str = NEW, fields: dict[str, str] | None = None
) -> httpx2.Response:
    """The same by hand. fields: further headers."""
    kind = "application/soap+xml" if version == NEW else "text/xml"
    async with httpx2.AsyncClient(timeout=10) as client:
        return await client.post(
            address(listener), content=content, headers={"Content-Type": kind, **(fields or {})}
        )


def submission(password: str = "s3cret-key", message: str = MESSAGE) -> dict[str, str]:
    """Arguments of the 2011 interface."""
    return {
        "username": "clinic",
        "password": password,
        "facilityID": "F1",
        "hl7Message": message,
    }


def detail(response: httpx2.Response) -> str:
    """The local name of what a fault's detail holds."""
    root = etree.fromstring(response.content)
    found = root.find(f".//{{{NEW}}}Detail")
    return "" if found is None else etree.QName(found[0]).localname


async def test_the_line_is_tested(serving, desk):
    """I1: connectivityTest gives back its text, in both interfaces; nothing is journaled."""
    listener = await serving(profile="cdc-iis", auth=LOGIN)
    assert await call(listener, "connectivityTest", echoBack="a\r<b> é") == "a\r<b> é"
    newer = await serving(profile="cdc-iis-2014", auth=LOGIN)
    assert await call(newer, "ConnectivityTest", EchoBack="hello") == "hello"
    assert not desk.arrivals


async def test_a_submitted_message_is_handed_up_and_its_ack_comes_back(serving, desk):
    """I1, W6: the argument bit for bit, its returns too; no password beside it."""
    listener = await serving(profile="cdc-iis", auth=LOGIN)
    told = await call(listener, "submitSingleMessage", **submission())
    assert told == "ACK:" + MESSAGE
    (arrival,) = desk.arrivals
    assert arrival.content == MESSAGE.encode()
    assert arrival.about["header"]["facilityid"] == "F1"
    assert "s3cret" not in repr(arrival.about)


async def test_the_interface_of_2014_is_served_too(serving, desk):
    """Other names, the same message."""
    listener = await serving(profile="cdc-iis-2014", auth=LOGIN)
    arguments = {"Username": "clinic", "Password": "s3cret-key", "Hl7Message": MESSAGE}
    told = await call(listener, "SubmitSingleMessage", **arguments)
    assert told == "ACK:" + MESSAGE
    assert desk.arrivals[0].content == MESSAGE.encode()


async def test_an_error_in_the_message_is_an_ack_and_no_fault(serving, desk):
    """I5: what is wrong with the HL7 stands in `return`."""
    desk.at_once = False
    listener = await serving(profile="cdc-iis")
    asked = asyncio.ensure_future(call(listener, "submitSingleMessage", **submission()))
    await desk.got(1)
    desk.arrivals[0].answer(Receipt(Told.REFUSED, (b"MSH|\rMSA|AE|1\r",), code="AE"))
    assert await asked == "MSH|\rMSA|AE|1\r"


UNSAID = [
    (Receipt(Told.SILENT, close=True, text="it could not be stored"), 500, "Receiver"),
    (Receipt(Told.FAILED, code="failed", text="kept"), 500, "Receiver"),
    (Receipt(Told.REFUSED, code="message.not_hl7", text="no MSH"), 400, "Sender"),
]


@pytest.mark.parametrize(("receipt", "status", "side"), UNSAID)
async def test_what_has_no_ack_is_a_fault_of_the_right_side(
    serving, desk, receipt, status, side
):
    """P1, P7, W3: nothing positive for what is not stored."""
    desk.at_once = False
    listener = await serving(profile="cdc-iis")
    asked = asyncio.ensure_future(post(listener, enveloped(CALL.format("MSH|"))))
    await desk.got(1)
    desk.arrivals[0].answer(receipt)
    told = await asked
    assert told.status_code == status
    assert f"soap:{side}" in told.text
    assert detail(told) == "fault"


async def test_wrong_credentials_are_a_security_fault(serving, desk):
    """I2, I4: typed, nothing handed up, the password in no event."""
    listener = await serving(profile="cdc-iis", auth=LOGIN)
    with pytest.raises(zeep.exceptions.Fault) as caught:
        await call(listener, "submitSingleMessage", **submission("s3cret-guess"))
    assert caught.value.detail[0].tag == "{urn:cdc:iisb:2011}SecurityFault"
    assert not desk.arrivals
    assert "s3cret" not in repr(desk.events)
    assert (len(desk.named("LoginRefused")), desk.named("RequestRefused")) == (1, [])


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (
            CALL.format(MESSAGE.replace("\r", "&#13;") + MESSAGE.replace("\r", "\n")),
            "MessageTooLargeFault",
        ),
        (CALL.format("MSH|" + "x" * 3000), "MessageTooLargeFault"),
        ('<deleteAll xmlns="urn:cdc:iisb:2011"/>', "UnsupportedOperationFault"),
        ('<submitSingleMessage xmlns="urn:cdc:iisb:2011"><x/></submitSingleMessage>', "fault"),
        (CALL.format(""), "fault"),
    ],
    ids=["two messages", "too large", "no such operation", "off the schema", "no message"],
)
async def test_each_fault_of_the_interface_is_typed(serving, desk, body, name):
    """I2, I3: distinct, as the WSDL declares them."""
    listener = await serving(profile="cdc-iis", limit="2KiB")
    told = await post(listener, enveloped(body.replace("&|", "&amp;|")))
    assert (told.status_code, detail(told)) == (400, name)
    assert not desk.arrivals


async def test_a_run_of_empty_lines_costs_no_more_than_its_length(serving, desk):
    """P10: the search for a second message is linear; it has the interpreter for itself."""
    listener = await serving(profile="cdc-iis")
    before = time.process_time()
    told = await post(listener, enveloped(CALL.format("MSH|1" + "\n" * 100_000 + "PID|")))
    assert told.status_code == 200
    assert time.process_time() - before < 2
    told = await post(listener, enveloped(CALL.format("MSH|1\n\n \n\t MSH|2")))
    assert detail(told) == "MessageTooLargeFault"


async def test_a_request_too_large_to_read_is_the_same_fault(serving, desk):
    """On its length alone."""
    listener = await serving(profile="cdc-iis", limit="1KiB")
    told = await post(listener, enveloped(CALL.format("x" * 200_000)))
    assert (told.status_code, detail(told)) == (400, "MessageTooLargeFault")


HOSTILE = {
    "entities": b'<!DOCTYPE a [<!ENTITY b "%s"><!ENTITY c "&b;&b;&b;">]>' % (b"x" * 1000),
    "external": b'<!DOCTYPE a SYSTEM "file:///etc/passwd">',
    "hidden": b'<!-- <a> --><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("version", [NEW, OLD])
async def test_a_document_type_is_a_fault(serving, desk, name, version):
    """W4: whatever it declares, and however it hides."""
    listener = await serving(profile="cdc-iis")
    content = HOSTILE[name] + enveloped(CALL.format("&x;"), version)
    told = await post(listener, content, version)
    assert told.status_code == (400 if version == NEW else 500)
    assert b"document type" in told.content
    assert not desk.arrivals


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"<a" * 5000, 400),
        (b"<e>" * 5000 + b"</e>" * 5000, 400),
        (enveloped(CALL.format("<a>" * 300 + "</a>" * 300)), 400),
        (enveloped(CALL.format("MSH|&nothing;")), 400),
        (enveloped(""), 400),
        (enveloped(CALL.format("a"))[:-20], 400),
        (enveloped(CALL.format("a")).decode().encode("utf-16"), 400),
        (b"", 400),
        (b"<e:Envelope xmlns:e='urn:x'/>", 500),
    ],
)
async def test_xml_that_is_no_soap_is_a_fault(serving, desk, content, status):
    """In bounded depth, nothing handed up."""
    listener = await serving(profile="cdc-iis")
    told = await post(listener, content)
    assert told.status_code == status
    assert b"Fault" in told.content
    assert not desk.arrivals


async def test_a_message_may_be_as_large_as_the_limit(serving, desk):
    """`limit` is 16 MiB by default, of which one text, a document, may be nearly all."""
    listener = await serving(profile="cdc-iis")
    told = await post(listener, enveloped(CALL.format("MSH|" + "x" * 12_000_000)))
    assert told.status_code == 200
    assert len(desk.arrivals[0].content) == 12_000_004


@pytest.mark.parametrize("piece", ["<b/>", "<b a=\"\" c= ''/>"])
async def test_a_request_of_nothing_but_elements_is_refused_before_it_fills_memory(
    serving, desk, piece
):
    """They cost fifty times their bytes, before anybody has shown who it is. What
    looks like one in each line of a message is far from as many."""
    listener = await serving(profile="cdc-iis", auth=LOGIN, limit="2MiB")

    told = await post(listener, enveloped(piece * 140_000))

    assert told.status_code == 400
    assert b"more than 131072 elements and attributes" in told.content
    text = CALL.format("<![CDATA[" + MESSAGE + "OBX|1|NM|1||1||<5||||F\r" * 20_000 + "]]>")
    assert (await post(listener, enveloped(text))).status_code == 200


async def test_text_beside_the_operation_harms_nothing(serving, desk):
    """It is no part of the message, and ends no connection."""
    listener = await serving(profile="cdc-iis")
    told = await post(listener, enveloped(CALL.format("MSH|") + "and more"))
    assert (told.status_code, listener.owed) == (200, 0)


@pytest.mark.parametrize("encoding", ["UTF-7", "US-ASCII", "utf-8"])
async def test_no_large_request_may_hide_an_entity(serving, desk, encoding):
    """W4: what we cannot look through beforehand stays under the parser's own bounds."""
    bomb = b'+ADwAIQ-DOCTYPE a [+ADwAIQ-ENTITY b "%s">]>' % (b"x" * 1000)
    content = b'<?xml version="1.0" encoding="%s"?>' % encoding.encode()
    content += bomb if encoding == "UTF-7" else b""
    content += enveloped(CALL.format("x" * 10_500_000))
    listener = await serving(profile="cdc-iis")
    told = await post(listener, content)
    assert told.status_code == (200 if encoding == "utf-8" else 400)


async def test_versions_are_told_apart(serving, desk):
    """W1: both are answered in their own; a mix is a VersionMismatch, other types are 415."""
    listener = await serving(profile="cdc-iis")
    body = CALL.format("MSH|")
    for version in (NEW, OLD):
        told = await post(listener, enveloped(body, version), version)
        assert told.status_code == 200
        assert version.encode() in told.content
    mixed = await post(listener, enveloped(body, OLD), NEW)
    assert b"VersionMismatch" in mixed.content
    async with httpx2.AsyncClient() as client:
        told = await client.post(address(listener), content=enveloped(body))
    assert told.status_code == 415


async def test_a_header_that_must_be_understood_is(serving, desk):
    """W2, W7: an unknown one is a fault without effect; WS-Security is never ignored."""
    listener = await serving(profile="cdc-iis")
    body = CALL.format("MSH|")
    for version, mark in ((NEW, "true"), (OLD, "1")):
        insisted = f'<x:T xmlns:x="urn:x" e:mustUnderstand="{mark}"/>'
        told = await post(listener, enveloped(body, version, insisted), version)
        assert (told.status_code, b"MustUnderstand" in told.content) == (500, True)
    wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    told = await post(listener, enveloped(body, NEW, f'<s:Security xmlns:s="{wsse}"/>'))
    assert told.status_code == 400
    assert not desk.arrivals
    told = await post(listener, enveloped(body, NEW, '<x:T xmlns:x="urn:x"/>'))
    assert told.status_code == 200


async def test_the_wsdl_is_served_with_what_it_imports(serving):
    """W5: stable, with our address; nothing else can be read that way."""
    listener = await serving(profile="cdc-iis-2014")
    async with httpx2.AsyncClient() as client:
        one = await client.get(address(listener) + "?wsdl")
        two = await client.get(address(listener) + "?WSDL")
        assert one.content == two.content
        assert address(listener).encode() in one.content
        found = await client.get(address(listener) + "?xsd=cdc-iis-2014.xsd")
        assert etree.fromstring(found.content).get("targetNamespace") == "urn:cdc:iisb:2014"
        for name in ("?xsd=../service.py", "?xsd=/etc/passwd", "?xsd=cdc-iis-2011.xsd", "?x"):
            assert (await client.get(address(listener) + name)).status_code == 404


async def test_any_wsdl_takes_a_user_token(serving, desk, tmp_path):
    """W7: SOAP 1.1, the first argument that is HL7; tokens as text and as digest, each once."""
    (tmp_path / "lab.wsdl").write_text(WSDL)
    listener = await serving(wsdl="lab.wsdl", auth={"token": LOGIN["basic"]})
    for digest in (False, True):
        token = UsernameToken("clinic", "s3cret-key", use_digest=digest)
        told = await call(listener, "result", token, ward=3, hl7="MSH|1\r")
        assert told == "ACK:MSH|1\r"
    broken = UsernameToken("clinic", "s3cret-key", use_digest=True, nonce="bm9uY2Ux")
    plain = broken.apply
    broken.apply = lambda *one: _broken_lines(*plain(*one))
    assert await call(listener, "result", broken, ward=3, hl7="MSH|1\r") == "ACK:MSH|1\r"
    again = UsernameToken("clinic", "s3cret-key", use_digest=True, nonce="bm9uY2U=")
    await call(listener, "result", again, ward=3, hl7="MSH|2\r")
    for wrong in (again, UsernameToken("clinic", "no"), UsernameToken("x", "s3cret-key"), None):
        with pytest.raises(zeep.exceptions.Fault):
            await call(listener, "result", wrong, ward=3, hl7="MSH|3\r")
    assert len(desk.arrivals) == 4


def _broken_lines(envelope: Any, headers: Any) -> Any:
    """Base64 in lines, as xs:base64Binary may come."""
    for name in ("Nonce", "Password"):
        one = next(envelope.iter(f"{{*}}{name}"))
        one.text = f"\n {one.text[:4]}\n {one.text[4:]}\n"
    return envelope, headers


SECOND = """\
<xsd:schema targetNamespace="urn:codes" elementFormDefault="qualified">
  <xsd:simpleType name="Ward"><xsd:restriction base="xsd:int"><xsd:maxInclusive value="9"/>
  </xsd:restriction></xsd:simpleType></xsd:schema>
 <xsd:schema targetNamespace="urn:lab" xmlns:c="urn:codes" elementFormDefault="qualified">
  <xsd:import namespace="urn:codes"/>"""


async def test_a_signed_request_is_taken_once_and_an_unsigned_one_never(serving, desk):
    """`auth: hmac` signs the whole envelope; another body under the signature is refused."""
    listener = await serving(profile="cdc-iis", auth={"hmac": "${env:KEY}"})
    body = enveloped(CALL.format("MSH|1"))
    now = str(int(time.time()))
    signed = hmac.new(b"s3cret-key", f"{now}\nPOST /iis\n".encode() + body, "sha256")
    fields = {"X-Timestamp": now, "X-Signature": signed.hexdigest()}
    other = enveloped(CALL.format("MSH|2"))

    assert (await post(listener, other, fields=fields)).status_code == 401
    assert (await post(listener, body, fields={"X-Timestamp": now})).status_code == 401
    assert (await post(listener, body, fields=fields)).status_code == 200
    assert (await post(listener, body, fields=fields)).status_code == 401
    assert [arrival.content for arrival in desk.arrivals] == [b"MSH|1"]
    assert (len(desk.named("LoginRefused")), desk.named("RequestRefused")) == (3, [])


async def test_a_channel_of_xml_takes_the_operation_whole(serving, desk, tmp_path):
    """And answers with the answer's element, where the agent made one; else with a text in it.
    What does not fit the schema is a fault all the same."""
    (tmp_path / "lab.wsdl").write_text(WSDL)
    listener = await serving(wsdl="lab.wsdl", content="xml")
    whole = '<resultResponse xmlns="urn:lab"><ack>fine &amp; well</ack></resultResponse>'
    desk.at_once = False
    for answer, said in ((whole, "fine & well"), ("stored", "stored")):
        desk.arrivals.clear()
        asked = asyncio.ensure_future(call(listener, "result", ward=3, hl7="any & text"))
        (content,) = await desk.got(1)
        root = etree.fromstring(content)
        assert (root.tag, root.findtext("{urn:lab}hl7")) == ("{urn:lab}result", "any & text")
        assert b"Envelope" not in content
        desk.arrivals[0].answer(Receipt(Told.ACCEPTED, (answer.encode(),)))
        assert await asked == said
    with pytest.raises(zeep.exceptions.Fault, match="does not fit the WSDL"):
        await call(listener, "result", ward="many", hl7="x")


ACK = '<xsd:element name="ack" type="xsd:string"/>'
ANSWERS = {
    "more that it must hold": (ACK, f'<xsd:element name="code" type="xsd:int"/>{ACK}'),
    "a simple type": (
        WSDL[WSDL.index('<xsd:element name="resultR') : WSDL.index("\n </xsd:sc")],
        '<xsd:element name="resultResponse" type="xsd:string"/>',
    ),
    "anything": (ACK, "<xsd:any/>"),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_message_that_is_stored_is_answered_whatever_the_answer_must_hold(
    serving, desk, tmp_path, name
):
    """P1: the ACK is the first text of the answer; what we do not know is left out."""
    (tmp_path / "lab.wsdl").write_text(WSDL.replace(*ANSWERS[name]))
    listener = await serving(wsdl="lab.wsdl")
    told = await post(listener, enveloped(RESULT, OLD), OLD)
    root = etree.fromstring(told.content)
    assert (told.status_code, "".join(root.itertext())) == (200, "ACK:MSH|1")
    assert root.find(".//{urn:lab}code") is None


async def test_an_argument_that_comes_twice_is_refused(serving, desk, tmp_path):
    """P2: of several messages in one request none is taken, so that none is lost."""
    hl7 = '<xsd:element name="hl7" type="xsd:string"'
    (tmp_path / "lab.wsdl").write_text(WSDL.replace(hl7, hl7 + ' maxOccurs="9"'))
    listener = await serving(wsdl="lab.wsdl")
    twice = RESULT.replace("<hl7>MSH|1</hl7>", "<hl7>MSH|1</hl7><hl7>MSH|2</hl7>")
    for body, status in ((twice, 500), (RESULT, 200)):
        told = await post(listener, enveloped(body, OLD), OLD)
        assert told.status_code == status
    assert await desk.got(1) == [b"MSH|1"]


async def test_an_operation_without_an_answer_is_taken(serving, desk, tmp_path):
    """202 and no envelope, as HTTP has it for one way; only a fault can say no."""
    text = WSDL.replace('<output message="t:out"/>', "")
    one_way = text.replace('<output><soap:body use="literal"/></output>', "")
    (tmp_path / "lab.wsdl").write_text(one_way)
    listener = await serving(wsdl="lab.wsdl")
    told = await post(listener, enveloped(RESULT, OLD), OLD)
    assert (told.status_code, told.content) == (202, b"")
    desk.at_once = False
    asked = asyncio.ensure_future(post(listener, enveloped(RESULT, OLD), OLD))
    await desk.got(2)
    refused = Receipt(Told.REFUSED, (b"MSH|\rMSA|AE|1\r",), code="AE", text="no\x0bbed")
    desk.arrivals[1].answer(refused)
    told = await asked
    assert (told.status_code, b"no\xef\xbf\xbdbed" in told.content) == (500, True)


async def test_a_wsdl_may_hold_several_schemas(serving, desk, tmp_path):
    """They import each other by namespace, and all of them count."""
    one = '<xsd:schema targetNamespace="urn:lab" elementFormDefault="qualified">'
    text = WSDL.replace(one, SECOND).replace('"ward" type="xsd:int"', '"ward" type="c:Ward"')
    (tmp_path / "lab.wsdl").write_text(text)
    listener = await serving(wsdl="lab.wsdl")

    assert await call(listener, "result", ward=9, hl7="MSH|1\r") == "ACK:MSH|1\r"
    with pytest.raises(zeep.exceptions.Fault, match="does not fit the WSDL"):
        await call(listener, "result", ward=10, hl7="MSH|2\r")
    assert len(desk.arrivals) == 1


TYPES = WSDL[WSDL.index("<types>") : WSDL.index("</types>") + 8]
CODES = SECOND[: SECOND.index("</xsd:schema>") + 13].replace("<xsd:schema", "<xsd:schema {}", 1)
XSD = 'xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
LAB = TYPES[7:-8].replace("<xsd:schema", f'<xsd:schema {XSD} xmlns:c="urn:codes"', 1)
FROM = '<xsd:import namespace="urn:lab" schemaLocation="{}"/>'
FROM = f"<types><xsd:schema>{FROM}</xsd:schema></types>"
BELOW = {
    "lab.wsdl": WSDL.replace(TYPES, FROM.format("./xsd/the%20lab.xsd")),
    "xsd/the lab.xsd": LAB.replace(
        '<xsd:element name="result">',
        '<xsd:import namespace="urn:codes" schemaLocation="../codes.xsd"/>'
        '<xsd:element name="result">',
    ).replace('"ward" type="xsd:int"', '"ward" type="c:Ward"'),
    "codes.xsd": CODES.format(XSD),
}
LINK = '<import namespace="urn:lab" location="abstract/lab.wsdl"/>'
SPLIT = {
    "lab.wsdl": WSDL[: WSDL.index("<types>")] + LINK + WSDL[WSDL.index("<binding") :],
    "abstract/lab.wsdl": WSDL[: WSDL.index("<binding")] + "</definitions>",
}


@pytest.mark.parametrize("files", [BELOW, SPLIT], ids=["folders", "two WSDLs"])
async def test_all_that_a_wsdl_imports_can_be_had_from_us(serving, desk, tmp_path, files):
    """W5: from folders, from each other, and a WSDL from a WSDL, whose schemas count too; as
    it was when the source was opened."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    listener = await serving(wsdl="lab.wsdl")
    for name in files:
        (tmp_path / name).write_text("<")

    assert await call(listener, "result", ward=9, hl7="MSH|1\r") == "ACK:MSH|1\r"
    with pytest.raises(zeep.exceptions.Fault, match="does not fit the WSDL"):
        await call(listener, "result", ward="x", hl7="MSH|2\r")
    assert len(desk.arrivals) == 1


@pytest.mark.parametrize("name", ["lab.wsdl", "codes.xsd"])
async def test_a_wsdl_with_a_document_type_is_not_served(serving, tmp_path, name):
    """Nor one that imports such a schema: nothing in it is ever expanded."""
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    first = '<xsd:element name="result">'
    reach = '<xsd:import namespace="urn:codes" schemaLocation="codes.xsd"/>'
    files = {
        "lab.wsdl": WSDL.replace(first, reach + first),
        "codes.xsd": '<schema xmlns="http://www.w3.org/2001/XMLSchema" '
        'targetNamespace="urn:codes"/>',
    }
    for each, text in files.items():
        (tmp_path / each).write_text(bomb + text if each == name else text)

    with pytest.raises(ListenFailed, match=r"document type|DTDForbidden"):
        await serving(wsdl="lab.wsdl")


async def test_a_wsdl_that_reaches_out_is_not_served(serving, tmp_path):
    """Imports from the network or from outside its folder: the channel says so."""
    (tmp_path / "in").mkdir()
    (tmp_path / "x.xsd").write_text("<schema/>")
    first = '<xsd:element name="result">'
    for where in ("http://127.0.0.1:9/x.xsd", "../x.xsd"):
        reach = f'<xsd:import namespace="urn:x" schemaLocation="{where}"/>'
        (tmp_path / "in/lab.wsdl").write_text(WSDL.replace(first, reach + first))
        with pytest.raises(ListenFailed, match=r"network|outside"):
            await serving(wsdl="in/lab.wsdl")
    with pytest.raises(ListenFailed, match="No such file"):
        await serving(wsdl="in/gone.wsdl")
