"""portico.hl7.jsonform: a message as JSON, and back."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import ContentInvalid, MessageError, NotHl7, TextUnencodable
from portico.hl7 import jsonform
from portico.hl7.view import MessageView

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
HEAD = b"MSH|^~\\&|A||||||ADT^A01|1|P|2.5\r"


def dumped(content, **more):
    return jsonform.dump(MessageView(content, **more))


def back(value):
    """Through a JSON text, as it travels."""
    return jsonform.load(json.loads(json.dumps(value)))


def test_its_shape_is_numbers_lists_and_texts(adt):
    """What docs and authors rely on."""
    value = dumped(adt)
    msh, _, pid, pv1, _, _, obx, zpi = value["segments"]
    assert set(value) == {"segments"}
    assert msh["fields"]["1"] == "|"
    assert msh["fields"]["2"] == "^~\\&"
    assert msh["fields"]["9"] == {"1": "ADT", "2": "A01", "3": "ADT_A01"}
    assert pid == {
        "segment": "PID",
        "fields": {
            "1": "1",
            "3": [{"1": "900001", "4": "HOSP", "5": "MR"}, {"1": "123", "4": "ST", "5": "SS"}],
            "5": {"1": "MUSTER", "2": "ERIKA", "3": "M"},
            "7": "19700101",
            "8": "F",
            "11": {"1": "1 MAIN ST", "3": "TOWN"},
        },
    }
    assert pv1["fields"]["5"] is None
    assert obx["fields"]["5"] == ["one", "two"]
    assert zpi["fields"] == {"1": "1", "2": {"1": "extra", "2": "stuff"}, "3": "more", "5": ""}


@pytest.mark.parametrize(
    "line",
    [
        b"PID|1||a&b^c~d&e&", b"PID|^^^|~~|&", b'PID|""|^""|"', b"PID|\\T\\|\\X26\\|\\F\\",
        b"PID|\\", b"PID|\\.br\\x\\H\\y\\N\\", b"PID|a\tb ", b"PID|\xff\xfe", b"PID", b"PID|",
        b"X|1", b"no segment",
        b"MSH", b"MSH|", b"MSH|^~\\&", b"MSH#^~", b"BHS|^~\\&|x", b"PID|\x00|\x1b$B#|\x1b(B",
        b"PID|1\n\n  \r\nNTE|2\r\x1c", b"PID|\\X41\\|\\Zx\\|\\E\\",
    ],
)  # fmt: skip
@pytest.mark.parametrize("charset", ["ascii", "UNICODE UTF-8", "8859/1", "ISO IR87"])
def test_any_segment_comes_back(line, charset):
    """E2: byte for byte, whatever is in it."""
    content = HEAD + line
    assert back(dumped(content, charset=charset)) == content


@given(st.binary(max_size=60), st.sampled_from([b"|^~\\&", b"#*!?@", b"|^~", b"|^~\\&#", b"a"]))
def test_any_bytes_behind_an_msh_come_back(rest, marks):
    """E2: for every message that a view takes."""
    content = b"MSH" + marks + marks[:1] + rest
    try:
        view = MessageView(content)
    except NotHl7:
        return
    assert back(jsonform.dump(view)) == content


def test_every_published_message_comes_back():
    """E2: whatever others sent, from raw bytes."""
    if not (CORPUS / "index.csv").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("the corpus is missing beside the project")
        pytest.skip("the corpus lies beside the project only in its own workshop")
    seen, wrong, whole = 0, [], 0
    for file in sorted((CORPUS / "v2").rglob("*.hl7")):
        content = file.read_bytes()
        try:
            value = dumped(content)
        except NotHl7:
            continue
        seen += 1
        whole += sum("line" in segment for segment in value["segments"])
        if back(value) != content:
            wrong.append(file.name)
    assert wrong == []
    assert seen > 1600
    assert whole < 10


def test_what_stands_around_comes_back():
    """M9: a byte order mark, white space, other line ends, blank lines, no last line end."""
    content = b"\xef\xbb\xbf \r\n" + HEAD.replace(b"\r", b"\r\n \r\n") + b"PID|\xc3\x89\nNTE|1"
    value = dumped(content)
    assert value["before"] == "\ufeff \r\n"
    assert value["charset"] == "UNICODE UTF-8"
    assert value["segments"][0]["end"] == "\r\n \r\n"
    assert value["segments"][2]["end"] == ""
    assert back(value) == content


def test_what_a_person_writes_is_escaped_for_the_message():
    """E6: no text can shift a field; the message's own delimiters are used."""
    value = dumped(HEAD.translate(bytes.maketrans(b"|", b"#")))
    value["segments"].append({"segment": "PID", "fields": {"5": {"1": "a#b^c", "2": "d|e"}}})
    content = back(value)
    assert content.endswith(b"PID#####a\\F\\b\\S\\c^d|e\r")
    assert MessageView(content).text("PID-5.1") == "a#b^c"


@given(st.text(max_size=20))
def test_any_text_is_read_back_as_it_was_written(text):
    """E6: in a character set that can carry it."""
    value = dumped(HEAD[:-1] + b"||||||UNICODE UTF-8\r")
    value["segments"].append({"segment": "PID", "fields": {"5": {"1": text, "2": "x"}}})
    view = MessageView(back(value))
    assert view.text("PID-5.1") == (text or None) or text == '""' or set(text) <= set("^~&")
    assert view.text("PID-5.2") == "x"


def test_a_text_that_the_message_cannot_carry_names_its_place():
    """C4: never a question mark."""
    value = dumped(HEAD)
    value["segments"].append({"segment": "PID", "fields": {"5": {"1": "É"}}})
    with pytest.raises(TextUnencodable) as caught:
        back(value)
    assert caught.value.location == "PID-5.1"


@pytest.mark.parametrize(
    "value",
    [
        None, [], {}, "x", {"segments": []}, {"segments": "MSH"}, {"segments": [1]},
        {"segments": [{"segment": "PID"}]}, {"segments": [{"line": "no"}]},
        {"segments": [{"line": 5}]}, {"charset": 1, "segments": [{"line": "MSH|^~\\&"}]},
        *({"segments": [{"line": "MSH|^~\\&"}, wrong]} for wrong in [
            {}, {"segment": 5}, {"segment": "PID", "fields": []},
            {"segment": "PID", "fields": {"x": "1"}}, {"segment": "PID", "fields": {"0": "1"}},
            {"segment": "PID", "fields": {"99999": "1"}},
            {"segment": "PID", "fields": {"1": 5}},
            {"segment": "PID", "fields": {"1" * 5000: "1"}},
            {"segment": "PID", "fields": {"1": {"1": {"1": {"1": "x"}}}}},
            {"segment": "PID", "fields": {"1": {"1": ["x"]}}},
            {"segment": "PID", "fields": {"1": {"raw": "a\rb"}}},
            {"segment": "PID", "fields": {"1": {"bytes": "zz"}}},
            {"segment": "PID", "fields": {"1": {"bytes": "0d"}}},
            {"line": "a\nb"}, {"line": {"bytes": 1}}, {"line": "x", "end": 1},
        ]),
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused_with_a_reason(value):
    """Never another exception than a MessageError."""
    with pytest.raises((ContentInvalid, NotHl7)):
        back(value)


@given(st.recursive(
    st.none() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["segments", "segment", "fields", "line", "raw", "bytes", "1", "2"]),
        inner,
        max_size=3,
    ),
    max_leaves=12,
))  # fmt: skip
def test_any_json_ends_in_a_message_or_a_typed_error(value):
    """P10: what comes from outside may be anything."""
    try:
        jsonform.load({"segments": [{"line": "MSH|^~\\&"}, value]})
        jsonform.load(value)
    except MessageError:
        pass
