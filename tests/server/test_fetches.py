"""XML from strangers and partners: a listening socket waits for a fetch that never comes."""

import socket

import pytest

from portico.errors import HttpBroken, PorticoError
from portico.language import xmltext, xmlview
from portico.soap import service
from portico.soap import xml as soap
from portico.steps.xmlrules import XmlRules

SCHEMA = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{}</xs:schema>'
PATIENT = '<xs:element name="patient" type="xs:anyType"/>'
HOSTILE = [
    '<!DOCTYPE a SYSTEM "{web}/a.dtd"><a/>',
    '<!DOCTYPE a [<!ENTITY b SYSTEM "{web}/b">]><a>&b;</a>',
    '<!DOCTYPE a [<!ENTITY % b SYSTEM "{web}/b"> %b;]><a/>',
    '<?xml-stylesheet href="{web}/style.xsl"?><a/>',
    '<a xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="{web}/a" parse="text"/></a>',
    '<a xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="/etc/passwd" '
    'parse="text"/></a>',
    '<patient xmlns:x="http://www.w3.org/2001/XMLSchema-instance" '
    'x:noNamespaceSchemaLocation="{web}/a.xsd" x:schemaLocation="urn:a {web}/b.xsd"/>',
]


@pytest.fixture
def web():
    """A socket that listens on the loopback: its address, and how many have knocked."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    yield listening, f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.close()


def knocked(listening):
    """Whether somebody has connected."""
    try:
        listening.accept()
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("text", HOSTILE)
def test_no_message_makes_us_fetch_anything(web, tmp_path, text):
    """As content, as a SOAP envelope, and validated: refused, or read as it is."""
    listening, address = web
    content = text.format(web=address).encode()
    (tmp_path / "patient.xsd").write_text(SCHEMA.format(PATIENT))
    rules = XmlRules(tmp_path / "patient.xsd", tmp_path)
    for read in (
        lambda: rules.broken(xmlview.parse(xmltext.read(content).body, 50).getroot()),
        lambda: soap.parse(content),
    ):
        try:
            found = read()
        except (PorticoError, HttpBroken):
            continue
        assert "root:" not in str(found)
    assert not knocked(listening)


@pytest.mark.parametrize(
    "part",
    [
        '<xs:import namespace="urn:a" schemaLocation="{web}/a.xsd"/>',
        '<xs:include schemaLocation="{web}/a.xsd"/>',
        '<xs:redefine schemaLocation="//127.0.0.1/a.xsd"/>',
        '<xs:include schemaLocation="../outside.xsd"/>',
        '<xs:include schemaLocation="file:///etc/passwd"/>',
    ],
)
def test_no_schema_of_a_partner_is_fetched(web, tmp_path, part):
    """An XSD may include what lies beside it, and a WSDL too; all else is an error."""
    listening, address = web
    (tmp_path / "outside.xsd").write_text(SCHEMA.format(PATIENT))
    site = tmp_path / "site"
    site.mkdir()
    schema = SCHEMA.format(part.format(web=address) + PATIENT)
    (site / "a.xsd").write_text(schema)
    wsdl = (
        '<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" targetNamespace="urn:a">'
        f"<types>{schema}</types></definitions>"
    )
    (site / "a.wsdl").write_text(wsdl)

    with pytest.raises(ValueError):
        XmlRules(site / "a.xsd", site)
    with pytest.raises(PorticoError):
        service.load(site / "a.wsdl")
    assert not knocked(listening)


def test_an_entity_in_a_wsdl_opens_no_file(tmp_path):
    """A WSDL comes from a partner: it has no document type."""
    (tmp_path / "a.wsdl").write_text(
        '<!DOCTYPE d [<!ENTITY e SYSTEM "/etc/passwd">]>'
        '<definitions xmlns="http://schemas.xmlsoap.org/wsdl/"><documentation>&e;'
        "</documentation></definitions>"
    )
    with pytest.raises(PorticoError):
        service.load(tmp_path / "a.wsdl")
