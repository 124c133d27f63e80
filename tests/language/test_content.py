"""portico.language.content and .pointer: what places read from."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import ContentInvalid, NotHl7
from portico.language import content, pointer
from portico.language.content import Content, encode_json, open_content, parse_json, sniff

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


def test_a_kind_travels_to_a_worker_as_its_plain_form():
    """Its name alone where all is default; else what differs, and it comes back the same."""
    assert Content("json").plain() == "json"
    xml = Content("xml", (("f", "http://hl7.org/fhir"),), depth=9)
    assert Content.of(json.loads(json.dumps(xml.plain()))) == xml
    assert Content.of(Content("csv", separator=";").plain()).separator == ";"


def test_what_came_out_of_a_content_is_of_its_kind_or_of_what_it_looks_like():
    """CSV cannot be told by its first bytes, so a CSV channel's bytes are CSV."""
    csv = Content("csv", separator=";")
    assert csv.like(b"a;b\n1;2\n") is csv
    assert csv.like(b'{"a": 1}') == Content("json")
    xml = Content("xml", (("f", "urn:f"),))
    assert xml.like(b"<a/>") is xml
    assert xml.like(b"plain") == Content("bytes")


def test_an_unknown_kind_names_the_known_ones():
    """A site that slipped past `check` is told what there is."""
    with pytest.raises(ContentInvalid, match="hl7, json, xml, csv, bytes"):
        open_content("fhir", b"")


def test_hl7_is_opened_at_once():
    """Content without MSH has no view."""
    with pytest.raises(NotHl7):
        open_content("hl7", b"hello")
    assert open_content("bytes", b"\xff") is None


@pytest.mark.parametrize(
    ("head", "kind"),
    [(b"MSH|", "hl7"), (b"\xef\xbb\xbf\r\nMSH|", "hl7"), (b' {"a"', "json"), (b"[1]", "json"),
     (b'"text"', "json"), (b"<a/>", "xml"), ("\ufeff<a/>".encode("utf-16-le"), "xml"),
     (b"%PDF", "bytes"), (b"", "bytes")],
)  # fmt: skip
def test_a_signal_of_an_agent_is_known_by_its_first_bytes(head, kind):
    """HL7, JSON, or anything."""
    assert sniff(head) == kind


def test_json_is_bounded_in_depth_and_size(monkeypatch):
    """Neither a deep nor a huge text costs more than its refusal."""
    deep = b"[" * content.DEPTH + b"]" * content.DEPTH
    assert parse_json(deep)
    for hostile in (b"[" + deep + b"]", b"[" * 1_000_000):
        with pytest.raises(ContentInvalid, match="nested"):
            parse_json(hostile)
    monkeypatch.setattr(content, "SIZE", 10)
    with pytest.raises(ContentInvalid, match="larger"):
        parse_json(b'"01234567890"')


@pytest.mark.parametrize("wrong", [b"", b"{", b"{'a': 1}", b'"\xff"', b"NaN"])
def test_what_is_no_json_is_refused_without_quoting_it(wrong):
    """The error holds no part of the content."""
    with pytest.raises(ContentInvalid, match=r"^the content is not JSON in UTF-8$"):
        parse_json(wrong)


def test_numbers_come_back_as_they_were_typed():
    """`2.10` is not 2.1 to a laboratory."""
    assert encode_json(parse_json(b'{"a":2.10,"b":-0.0}')) == b'{"a":2.10,"b":-0.0}'


def test_what_json_cannot_carry_is_refused():
    """A transform may return anything."""
    with pytest.raises(ContentInvalid):
        encode_json({"a": object()})


@given(JSON, st.lists(st.text(max_size=3), min_size=1, max_size=3))
def test_what_is_put_is_there(value, tokens):
    """put then get gives it back, or says what is in the way."""
    where = tuple(tokens)
    try:
        changed = pointer.put(value, where, "new")
    except ValueError:
        return
    if "-" not in where:
        assert pointer.get(changed, where) == "new"


@given(st.lists(st.text(), max_size=4))
def test_every_key_can_be_pointed_at(tokens):
    """`/` and `~` are written `~1` and `~0` (RFC 6901)."""
    text = "".join("/" + t.replace("~", "~0").replace("/", "~1") for t in tokens)

    assert pointer.parse(text) == tuple(tokens)


def test_a_list_grows_at_its_end_only():
    """An index beyond it would leave holes."""
    assert pointer.put({"a": ["x"]}, ("a", "1"), "y") == {"a": ["x", "y"]}
    assert pointer.put({"a": ["x"]}, ("a", "-"), "y") == {"a": ["x", "y"]}
    with pytest.raises(ValueError, match="no item 5"):
        pointer.put({"a": ["x"]}, ("a", "5"), "y")
    with pytest.raises(ValueError, match="below a text"):
        pointer.put({"a": "x"}, ("a", "b"), "y")


def test_dropping_what_is_not_there_does_nothing():
    """`remove` is about the state after it."""
    value = {"a": [1, 2], "b": {"c": 1}}
    for tokens in (("a", "0"), ("a", "9"), ("b", "c"), ("x", "y"), ()):
        pointer.drop(value, tokens)
    assert value == {"a": [2], "b": {}}


@pytest.mark.parametrize(
    "number", ["1e999999", "1e-999999", "0e999999", "1e" + "9" * 1000, "1." + "0" * 100_000]
)
def test_a_number_that_nobody_can_compute_with_is_refused(number):
    """As an integer `1e999999` is a million digits; beyond that Python gives up."""
    with pytest.raises(ContentInvalid, match="a number out of range"):
        parse_json(f'{{"a": {number}}}'.encode())


def test_an_object_read_as_text_keeps_the_digits_of_its_numbers():
    """As a scalar does; what no UTF-8 carries is left to whoever writes the text."""
    value = parse_json(b'{"a":[2.10,1.0,12345678901234567.89],"b":{"c":"\xc3\xa4"}}')

    assert pointer.text_of(value) == '{"a":[2.10,1.0,12345678901234567.89],"b":{"c":"\xe4"}}'
    assert pointer.text_of(["\ud800"]) == '["\ud800"]'


@pytest.mark.parametrize("number", ["2.10", "1e300", "-1.5E-7", "0.0"])
def test_a_decimal_is_what_was_typed(number):
    """To the digit."""
    value = open_content("json", number.encode()).value
    assert value == Decimal(number)
    assert value.as_tuple() == Decimal(number).as_tuple()
