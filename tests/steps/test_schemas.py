"""portico.steps.jsonrules and .xmlrules: `validate: {schema: file}`."""

import json

import pytest

from portico.errors import ConfigError
from portico.language.content import Content

SCHEMA = {
    "type": "object",
    "required": ["mrn", "name"],
    "properties": {
        "mrn": {"type": "string", "pattern": "^[0-9]+$"},
        "name": {"$ref": "#/$defs/name"},
        "sex": {"enum": ["M", "F"]},
        "visits": {"type": "array", "items": {"type": "integer", "maximum": 9}},
        "dose": {"type": "number", "multipleOf": 0.01},
        "born": {"format": "date"},
        "by_id": {"additionalProperties": {"type": "string"}},
    },
    "additionalProperties": False,
    "$defs": {"name": {"type": "object", "required": ["family"], "properties": {"family": {}}}},
}
XSD = """<?xml version="1.0"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:o" xmlns="urn:o"
           elementFormDefault="qualified">
  <xs:include schemaLocation="codes.xsd"/>
  <xs:element name="order"><xs:complexType><xs:sequence>
    <xs:element name="code" type="code" maxOccurs="3"/>
    <xs:element name="born" type="xs:date"/>
  </xs:sequence><xs:attribute name="id" use="required"/></xs:complexType></xs:element>
</xs:schema>
"""
CODES = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:simpleType name="code"><xs:restriction base="xs:string">
    <xs:enumeration value="X1"/></xs:restriction></xs:simpleType>
</xs:schema>
"""
GOOD = {"mrn": "12", "name": {"family": "M"}, "visits": [1, 2.0], "born": "1980-01-31"}


@pytest.fixture
def site(trial):
    """A site with both schemas."""
    (trial.root / "patient.json").write_text(json.dumps(SCHEMA))
    (trial.root / "order.xsd").write_text(XSD)
    (trial.root / "codes.xsd").write_text(CODES)
    return trial


def refused(site, given, schema, kind):
    """(text, location, code) of the refusal, None when it is valid."""
    step = {"validate": {"schema": schema}}
    result = site.run(step, given=given, content=kind)
    assert result.failure is None
    told = result.refusal
    return told and (told.text, told.location, told.code)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"dose": 2.10}, None),
        ({"mrn": None}, ("/mrn does not fit the schema (type)", "/mrn", "102")),
        ({"mrn": "SECRET"}, ("/mrn does not fit the schema (pattern)", "/mrn", "102")),
        ({"sex": "SECRET"}, ("/sex does not fit the schema (enum)", "/sex", "103")),
        ({"name": {}}, ("/name/family is missing", "/name/family", "101")),
        ({"visits": [1, 99]},
         ("/visits/1 does not fit the schema (maximum)", "/visits/1", "102")),
        ({"visits": [1.5]}, ("/visits/0 does not fit the schema (type)", "/visits/0", "102")),
        ({"dose": 2.105}, ("/dose does not fit the schema (multipleOf)", "/dose", "102")),
        ({"born": "SECRET"}, ("/born does not fit the schema (format)", "/born", "102")),
        ({"SECRET": 1}, ("/ does not fit the schema (additionalProperties)", "/", "102")),
        ({"by_id": {"SECRET": 1}},
         ("/by_id/* does not fit the schema (type)", "/by_id/*", "102")),
    ],
)  # fmt: skip
def test_json_is_refused_by_pointer_and_keyword(site, change, told):
    """No value, and no name that the schema does not know; numbers as they were typed."""
    given = json.dumps({**GOOD, **change}).encode()
    assert refused(site, given, "patient.json", "json") == told


@pytest.mark.parametrize(
    ("dose", "fits"),
    [("1e30", True), ("12345678901234567890123456789.015", False), ("1e400", True)],
)
def test_multiples_are_exact_whatever_the_size(site, dose, fits):
    """A number with more digits than Python's decimals usually keep is no fault."""
    given = b'{"mrn": "1", "name": {"family": 1}, "dose": %b}' % dose.encode()
    told = refused(site, given, "patient.json", "json")

    text = "/dose does not fit the schema (multipleOf)"
    assert told == (None if fits else (text, "/dose", "102"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (b'<order xmlns="urn:o" id="1"><code>X1</code><born>1980-01-31</born></order>', None),
        (
            b'<o:order xmlns:o="urn:o" id="1"><o:code>X1</o:code><o:code>SECRET</o:code>'
            b"</o:order>",
            ("/order/code[2] is not one of the values that the schema has",
             "/order/code[2]", "103"),
        ),
        (
            b'<order xmlns="urn:o"><code>X1</code><born>1980-01-31</born></order>',
            ("/order lacks an attribute that the schema requires", "/order", "101"),
        ),
        (
            b'<order xmlns="urn:o" id="1"><code>X1</code><born>SECRET</born></order>',
            ("/order/born does not fit its type in the schema", "/order/born", "102"),
        ),
        (
            b'<order xmlns="urn:o" id="1"><code>X1</code></order>',
            ("/order is not an element, or lacks one, of the schema", "/order", "101"),
        ),
        (b"<SECRET/>", ("/* is no root of the schema", "/*", "102")),
    ],
)  # fmt: skip
def test_xml_is_refused_by_path(site, given, told):
    """No value, and no name that the schema does not know."""
    assert refused(site, given, "order.xsd", "xml") == told


def test_a_schema_of_another_content_is_a_fault(site):
    """HL7 has structures and profiles instead."""
    told = refused(site, b"<a/>", "patient.json", "xml")
    assert told[0] == "xml content has no JSON Schema"
    told = refused(site, b"{}", "order.xsd", "json")
    assert told[0] == "json content has no XML Schema"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.json", None, "No such file"),
        ("a.json", "{", "not JSON in UTF-8"),
        ("a.json", "[1]", "a JSON Schema is an object"),
        ("a.json", '{"type": "strin"}', r"no JSON Schema: /type"),
        ("a.json", '{"$ref": "https://evil/x.json"}', "leads out of the file"),
        ("a.json", '{"$ref": "#/$defs/x"}', "leads nowhere"),
        ("a.xsd", "<a/>", "no XML Schema"),
        ("a.xsd", "<!DOCTYPE a><a/>", "document type declaration"),
        ("a.xsd", XSD.replace("codes.xsd", "http://evil/x.xsd"), "not beside the schema"),
        ("a.xsd", XSD.replace("codes.xsd", "../../../etc/x.xsd"), "leads out of the site"),
        ("a.xsd", XSD.replace("codes.xsd", "nobody.xsd"), "nobody.xsd: No such file"),
        ("a.xsd", XSD.replace('type="code"', 'type="zz"'), "no XML Schema"),
        ("../a.json", None, "not below the site's folder"),
    ],
)
def test_a_schema_that_cannot_be_used_is_said_when_it_is_compiled(site, name, text, said):
    """`check` and the worker say the same; nothing is ever fetched."""
    if text is not None:
        (site.root / name).write_text(text)
    with pytest.raises(ConfigError, match=said):
        site.plan({"validate": {"schema": name}}, content="json")


def test_a_changed_schema_makes_another_version(site):
    """Also one that is only included."""
    versions = [site.plan({"validate": {"schema": "order.xsd"}}, content="xml").version]
    (site.root / "codes.xsd").write_text(CODES.replace("X1", "X2"))
    versions.append(site.plan({"validate": {"schema": "order.xsd"}}, content="xml").version)
    assert versions[0] != versions[1]


def test_a_namespace_prefix_of_the_content_does_not_matter(site):
    """The schema goes by names, whatever `content.namespaces` says."""
    given = (
        b'<x:order xmlns:x="urn:o" id="1"><x:code>X1</x:code>'
        b"<x:born>1980-01-31</x:born></x:order>"
    )
    form = Content("xml", (("o", "urn:o"),)).plain()
    assert refused(site, given, "order.xsd", form) is None
