"""portico.language.jsonskim: JSON at the door."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import ContentInvalid
from portico.language.content import JsonView
from portico.language.jsonskim import JsonSkim

KEYS = st.sampled_from(["a", "b", "0", "1", "~", "/", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
PLACES = st.lists(KEYS, min_size=1, max_size=4).map(
    lambda tokens: "".join("/" + t.replace("~", "~0").replace("/", "~1") for t in tokens)
)


@given(JSON, PLACES, st.sampled_from([None, 1]))
def test_it_answers_as_the_whole_parse_does(value, place, indent):
    """For any value and place, text and value alike."""
    content = b"\xef\xbb\xbf " + json.dumps(value, indent=indent).encode()
    skim, whole = JsonSkim(content), JsonView(content)
    assert skim.check() == "application/json"
    assert skim.value_at(place) == whole.value_at(place)
    assert skim.text_at(place) == whole.text_at(place)


@pytest.mark.parametrize(
    "wrong",
    [b"", b"{", b"{'a': 1}", b'"\xff"', b"NaN", b'{"a":1,}', b"01", b"1 2", b"[" * 1_000_000,
     b'{"a":' * 1_000_000, b'"\x00"', b"\xff\xfe{\x00}\x00"],
)  # fmt: skip
def test_what_is_no_json_is_refused_without_quoting_it(wrong):
    """In time, whatever it is."""
    begun = time.process_time()
    with pytest.raises(ContentInvalid, match=r"^the content is not JSON in UTF-8$|too deep"):
        JsonSkim(wrong).check()
    assert time.process_time() - begun < 1


def test_a_large_text_costs_its_reading_and_not_its_values():
    """12 MB of a million values: a place of it in a tenth of the time of a parse, or less."""
    items = [{"id": n, "name": "somebody", "v": [1, 2.5, {"a": "b"}]} for n in range(150_000)]
    content = json.dumps({"mrn": "7", "items": items}).encode()
    begun = time.process_time()
    skim = JsonSkim(content)
    skim.check()
    assert skim.text_at("/mrn") == "7"
    skimmed, begun = time.process_time() - begun, time.process_time()
    assert JsonView(content).text_at("/mrn") == "7"
    assert skimmed < (time.process_time() - begun) / 4
