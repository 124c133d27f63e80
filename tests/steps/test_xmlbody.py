"""portico.steps.xmlbody: the verbs of the language over XML."""

import pytest

from portico.language.content import Content

FORM = Content("xml", (("o", "urn:orders"),)).plain()
ORDER = (
    b'<?xml version="1.0" encoding="ISO-8859-1"?>\n'
    b'<o:order xmlns:o="urn:orders" id="7">\n'
    b"  <name>M\xfcller</name><born>19800131</born><ward/>\n"
    b'  <item use="a"><code>X1</code></item>\n'
    b'  <item use="b"><code>X2</code></item>\n'
    b"</o:order>\n"
)


def out(trial, *steps, given=ORDER):
    """What the steps and a last `send` let out."""
    return trial.out(*steps, given=given, content=FORM)


def test_an_untouched_document_leaves_as_it_came(trial):
    """Read by a condition, and not one byte changed."""
    kept = {"filter": {"keep": {"/o:order/item[@use='b']/code": "X2"}}}
    assert out(trial, kept) is ORDER


def test_map_writes_in_the_documents_own_encoding(trial):
    """set, copy with structure, default, remove and format; nothing else moves."""
    lines = {
        "set": {"/o:order/@id": "{/o:order/item/code}-<&>"},
        "copy": {"/o:order/last": "/o:order/item[2]"},
        "default": {"/o:order/ward": "W1", "/o:order/born": "never"},
        "remove": "/o:order/item[@use='a']",
        "format": {"/o:order/name": "upper", "/o:order/born": {"date": "%d.%m.%Y"}},
    }
    assert out(trial, {"map": lines}) == (
        b'<?xml version="1.0" encoding="ISO-8859-1"?>\n'
        b'<o:order xmlns:o="urn:orders" id="X1-&lt;&amp;&gt;">\n'
        b"  <name>M\xdcLLER</name><born>31.01.1980</born><ward>W1</ward>\n"
        b"  \n"
        b'  <item use="b"><code>X2</code></item>\n'
        b'<last use="b"><code>X2</code></last></o:order>\n'
    )


def test_a_part_of_a_split_is_a_document_of_its_own(trial):
    """With the declaration of the whole; its places begin at the element."""
    steps = [
        {"filter": {"keep": {"/item/@use": "b"}}},
        {"map": {"set": {"/item/code": "{/item/code}-{part}"}}},
        {"send": "lab"},
    ]
    result = trial.run(
        {"split": {"at": "/o:order/item", "steps": steps}}, given=ORDER, content=FORM
    )
    assert [one.content for one in result.outputs] == [
        b'<?xml version="1.0" encoding="ISO-8859-1"?>\n<item use="b"><code>X2-2</code></item>'
    ]


def test_a_later_copy_does_not_change_an_earlier_one(trial):
    """`set` of a send is on that copy alone, also after a map."""
    result = trial.run(
        {"map": {"set": {"/o:order/ward": "W1"}}},
        {"send": {"to": "a", "set": {"/o:order/ward": "W2"}}},
        {"send": "b"},
        given=ORDER,
        content=FORM,
    )
    wards = [one.content.partition(b"<ward>")[2][:2] for one in result.outputs]
    assert wards == [b"W2", b"W1"]


def test_validate_lookup_and_templates_read_it(trial):
    """The place is named, no value is."""
    trial.table("codes", "code,text\nX1,Blood\n")
    found = out(trial, {"lookup": {"table": "codes", "key": "/o:order/item/code"}})
    assert b"<code>Blood</code>" in found
    result = trial.run({"validate": {"require": "/o:order/ward"}}, given=ORDER, content=FORM)
    assert (result.refusal.text, result.refusal.code) == ("/o:order/ward is missing", "101")
    result = trial.run(
        {"validate": {"formats": {"/o:order/name": "number"}}}, given=ORDER, content=FORM
    )
    assert result.refusal.text == "/o:order/name is not a number"


def test_xml_becomes_json_and_a_part_is_sent_alone(trial):
    """`map: {new: json}` reads the document; `body` sends an element's XML."""
    made = out(trial, {"map": {"new": "json", "set": {"/id": "{/o:order/@id}"}}})
    assert made == b'{"id":"7"}'
    result = trial.run(
        {"send": {"to": "lab", "body": "/o:order/item[2]"}}, given=ORDER, content=FORM
    )
    assert result.outputs[0].content == (
        b'<item xmlns:o="urn:orders" use="b"><code>X2</code></item>'
    )


def test_a_transform_is_given_bytes_and_gives_bytes_of_the_same_kind(trial):
    """The namespaces of the content hold for what it returns."""
    name = trial.module('def mend(content: bytes): return content.replace(b"X1", b"X9")\n')
    kept = {"filter": {"keep": {"/o:order/item/code": "X9"}}}
    assert out(trial, {"python": f"{name}:mend"}, kept) == ORDER.replace(b"X1", b"X9")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"<!DOCTYPE a><a/>", "document type declaration"),
        (b"<a>secret", "line 1, column"),
        (b"not xml", "not XML"),
    ],
)
def test_what_is_no_xml_is_a_fault_that_quotes_nothing(trial, given, said):
    """Whatever step reads it first."""
    result = trial.run({"filter": {"keep": {"/a": "x"}}}, given=given, content="xml")
    assert result.failure.code == "message.content_invalid"
    assert said in result.failure.text and "secret" not in result.failure.text


def test_a_place_that_cannot_be_written_is_named(trial):
    """HL7 places, missing namespaces, text in the way."""
    for place, said in (
        ("PID-5.1", "cannot be written in xml content"),
        ("/z:order/a", "not among content.namespaces"),
        ("/o:order/name/first", "a text is in the way"),
    ):
        result = trial.run({"map": {"set": {place: "x"}}}, given=ORDER, content=FORM)
        assert said in result.failure.text
