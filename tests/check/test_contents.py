"""portico.check.contents and spec.content: kinds of content, and the places that fit them."""

import os

import pytest

from portico.check import site as sites
from portico.check.case import read_cases
from portico.check.cases import run_cases
from portico.clock import SystemClock

SITE = """\
channel: in
source: {type: mllp, listen: "127.0.0.1:2575"}
content: %s
order_by: %s
---
agent: work
goal: To be tested
on: {channel: in, "%s": {exists: yes}}
steps:
  - map: {set: {"%s": x}}
  - send: lab
---
{destination: lab, type: log}
"""
XML = '{type: xml, namespaces: {o: "urn:o"}}'


def said(tmp_path, *parts):
    """(code, line, text) of the findings of a site of these parts."""
    (tmp_path / "channels").mkdir(exist_ok=True)
    (tmp_path / "channels/a.yaml").write_text(SITE % parts)
    _, findings = sites.examine(tmp_path, os.environ)
    return [(one.code, one.line, f"{one.text}; {one.hint}") for one in findings]


@pytest.mark.parametrize(
    ("content", "place"),
    [("json", "/a/b"), (XML, "/o:a/b[@c='d']/@e"), ("csv", "/name"), ("hl7", "PID-3.1"),
     ('{type: csv, header: no, separator: tab}', "/3"), ("{type: json}", "/items/0/~1")],
)  # fmt: skip
def test_places_that_fit_are_fine(tmp_path, content, place):
    """In order keys, conditions and steps."""
    assert said(tmp_path, content, place, place, place) == []


@pytest.mark.parametrize(
    ("place", "hint"),
    [("PDI-3.1", "did you mean PID?"), ("QQQ-1", "those of a site begin with Z")],
)
def test_a_segment_that_no_version_has_is_warned_of(tmp_path, place, hint):
    """It would be absent from every message, and nothing would ever say so."""
    found = said(tmp_path, "hl7", "PID-3.1", place, "ZPI-1")

    assert found == [
        ("site.segment", 8, f"no version of HL7 has a segment {place[:3]}; {hint}")
    ]


@pytest.mark.parametrize(
    ("content", "place", "text"),
    [
        ("json", "PID-3.1", "PID-3.1 is of HL7, the content is json; try '/id'"),
        ("hl7", "/a", "/a is of JSON, XML or CSV, the content is hl7; try 'PID-3.1'"),
        (XML, "/o:a/@*", "'/o:a/@*' is not a path of XML; try /child"),
        (XML, "/z:a", "/z:a: no namespace 'z'; add namespaces: {z: URI} to content"),
        ("csv", "/a/b", "/a/b is not a column; try '/name' or '/3'"),
        ("{type: csv, header: no}", "/a", "the content has no row of names; try '/1'"),
    ],
)
def test_a_place_that_no_content_has_is_found_with_its_line(tmp_path, content, place, text):
    """In the order key, in `on` and in a step, each at its own line."""
    found = said(tmp_path, content, place, place, place)
    assert [(code, line) for code, line, _ in found] == [
        ("site.place", 4), ("site.place", 8), ("site.place", 10),
    ]  # fmt: skip
    assert all(text in words for _, _, words in found)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{type: json, separator: ;}", "separator is of content csv, this is json"),
        ("{type: xml, depth: 999}", "less than or equal to 250"),
        ("{type: csv, separator: ab}", "'ab' is not a separator; one character"),
        ("fhir", "'fhir' is not a choice here; one of hl7, json, xml, csv, bytes"),
        ("{type: xml, namespaces: {'1': u}}", "'1' is not a prefix of names"),
        ("{type: xml, schema: u}", "there is no key 'schema' here"),
    ],
)
def test_what_cannot_be_a_content_says_what_would_be_right(tmp_path, content, text):
    """At line 3."""
    code, line, words = said(tmp_path, content, "channel", "type", "aside")[0]
    assert (code.partition(".")[0], line) == ("config", 3)
    assert text in words


CASE = """\
case: an order goes to the lab
channel: in
given: {text: '<o:a xmlns:o="urn:o"><b c="1">x</b></o:a>'}
set: {/o:a/b/@c: "2"}
expect: {verdict: deliver, deliveries: {lab: {type: a, "/o:a/b[@c='2']": x, /o:a/d: y}}}
"""


async def test_a_case_reads_xml_with_the_namespaces_of_its_channel(tmp_path):
    """`given`, `set` and what is expected of a delivery."""
    said(tmp_path, XML, "/o:a/b", "/o:a/b", "/o:a/d")
    (tmp_path / "channels/a.test.yaml").write_text(CASE)
    site = sites.load_site(tmp_path, os.environ)
    found, findings = read_cases(tmp_path)
    assert findings == []
    [result] = await run_cases(site, found, SystemClock(), False)
    assert result.differences == (
        "delivery to lab type: wanted 'a', found nothing",
        "delivery to lab /o:a/d: wanted 'y', found 'x'",
    )


SCHEMED = """\
channel: in
source: {type: mllp, listen: "127.0.0.1:2575"}
content: %s
order_by: channel
---
agent: work
goal: To be tested
on: {channel: in}
steps:
  - validate:
      schema: %s
  - send: lab
---
{destination: lab, type: log}
"""


@pytest.mark.parametrize(
    ("content", "schema", "text"),
    [("json", "a.json", None), ("xml", "a.xsd", None),
     ("hl7", "a.json", "no schema for hl7 content; see structure and profile"),
     ("xml", "a.json", "no schema for xml content; use an XML Schema"),
     ("csv", "a.xsd", "no schema for csv content; use require and values"),
     ("json", "b.json", "schema b.json: No such file or directory")],
)  # fmt: skip
def test_a_schema_is_compiled_and_must_be_of_the_channels_content(
    tmp_path, content, schema, text
):
    """At the line that names it."""
    (tmp_path / "channels").mkdir()
    (tmp_path / "a.json").write_text('{"type": "object"}')
    (tmp_path / "a.xsd").write_text('<s:schema xmlns:s="http://www.w3.org/2001/XMLSchema"/>')
    (tmp_path / "channels/a.yaml").write_text(SCHEMED % (content, schema))
    found = [f"{one.text}; {one.hint}" for one in sites.examine(tmp_path, os.environ)[1]]
    assert [text in words for words in found] == ([True] if text else [])


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [("8859/1", "mllp, address: 'x:1'", None),
     ("UNICODE UTF-16", "folder, path: out", None),
     ("UTF-16", "mllp, address: 'x:1'", "mllp cannot carry UTF-16 in its frames"),
     ("KLINGON", "log", "character set 'KLINGON': it is not in table 0211")],
)  # fmt: skip
def test_c4_a_destinations_character_set_is_one_that_its_frames_carry(
    tmp_path, name, kind, text
):
    """And the agents that send there know it as MSH-18 will say it."""
    (tmp_path / "channels").mkdir()
    site = SCHEMED.replace("  - validate:\n      schema: %s\n", "") % "hl7"
    site = site.replace("type: log}", f"type: {kind}, charset: {name}}}")
    (tmp_path / "channels/a.yaml").write_text(site)
    loaded, findings = sites.examine(tmp_path, os.environ)
    if text is not None:
        [finding] = findings
        assert (finding.code, finding.text, finding.line) == ("config.charset", text, 12)
        return
    assert loaded is not None, findings
    document = loaded.agents["work"].plain()
    assert document["charsets"] == {"lab": name}


EMITS = """\
channel: orders
source: {type: folder, path: in}
content: csv
---
agent: one
goal: Rows
on: {channel: orders}
steps: [{emit: {signal: row, content: %s}}]
---
agent: two
goal: Rows too
on: {channel: orders}
steps: [{emit: {signal: row, content: csv}}]
---
agent: reads
goal: Reads both
on: {signal: row}
steps: [{filter: {keep: {/n: "1"}}}]
"""


@pytest.mark.parametrize(("content", "codes"), [("csv", []), ("json", ["site.emit"])])
def test_emits_of_a_signal_say_the_same_content(tmp_path, content, codes):
    """Who answers it reads it so; a case that begins with the signal does, too."""
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels/a.yaml").write_text(EMITS % content)
    site, findings = sites.examine(tmp_path, os.environ)
    assert [one.code for one in findings] == codes
    if site is not None:
        assert site.agents["reads"].plain()["contents"] == {"signal:row": "csv"}
        assert (site.form("signal:row").type, site.form("signal:else").type) == ("csv", "auto")
