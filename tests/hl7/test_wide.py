"""portico.hl7.wide: UTF-16 messages, read as the same message in UTF-8."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.hl7 import transcode, wide
from portico.hl7.view import MessageView
from portico.language.content import Content, open_content, sniff
from portico.policy import routing
from portico.policy.routing import Rules
from portico.policy.settings import rules_of
from portico.spec.channel import Channel
from portico.spec.content import carries_any
from portico.spec.framing import Frame
from portico.steps.body import open_body

HEAD = "MSH|^~\\&|HIS|ST|||2026||ADT^A01|1|P|2.5||||||%s\r"
TEXT = HEAD % "UNICODE UTF-16" + "PID|||1||Müller^\u1c0d\u0d1c漢字||\r"
ENCODINGS = [
    ("utf-16-le", True),
    ("utf-16-be", True),
    ("utf-16-le", False),
    ("utf-16-be", False),
]


@pytest.mark.parametrize(("codec", "mark"), ENCODINGS)
def test_c1_a_utf_16_message_is_routed_and_worked_on_as_utf_8(codec, mark):
    """At the door, in views and in bodies; with a byte order mark or by the M of MSH."""
    content = (("\ufeff" if mark else "") + TEXT).encode(codec)
    routed = routing.route(Rules("in", wide=True), content, "p:1", 1)
    assert routed.fault is None
    assert (routed.type, routed.control_id, routed.patient) == ("ADT^A01", "1", "1")
    for view in (open_content("hl7", content), open_body(Content("auto"), content).reading):
        assert view.text("PID-5.2") == "\u1c0d\u0d1c漢字"
        assert view.text("MSH-18") == "UNICODE UTF-8"
    assert sniff(content) == "hl7"


def test_an_empty_msh_18_is_utf_8_by_the_mark():
    """And any other name stands as it was."""
    content = wide.narrowed((HEAD.replace("%s", "") + "PID|||1||Ü\r").encode("utf-16"))
    assert MessageView(content).text("PID-5") == "Ü"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\ufeff")))
def test_there_and_back_is_the_same_text(text):
    """What was written in UTF-16 reads the same."""
    content = transcode.transcoded(
        MessageView((HEAD % "UNICODE UTF-8" + f"ZZZ|{text}|x\r").encode()), transcode.UTF16
    )
    assert (
        wide.narrowed(content).decode("utf-8-sig") == HEAD % "UNICODE UTF-8" + f"ZZZ|{text}|x\r"
    )


def test_where_the_framing_cannot_carry_it_utf_16_is_refused():
    """1C 0D inside of a character ends an MLLP frame, and half a message looks whole."""
    half = ("\ufeff" + TEXT).encode("utf-16-le")
    half = half[: half.index(b"\x1c\x0d")]
    fault = routing.route(Rules("in"), half, "p:1", 1).fault
    assert fault is not None and "UTF-16" in str(fault)
    for kind, carried in (("mllp", False), ("folder", True), ("https", True), ("tcp", False)):
        source = {"type": kind}
        channel = Channel.model_validate({"channel": "a", "source": source})
        assert rules_of(channel).wide is carried
    for frame, carried in ({"length": "4"}, True), ("close", True), ({"end": "|"}, False):
        options = SimpleNamespace(frame=Frame.model_validate(frame))
        assert carries_any("tcp", options) is carried


@given(st.binary(max_size=60), st.sampled_from([b"\xff\xfe", b"\xfe\xff", b"M\x00", b"\x00M"]))
def test_any_bytes_behind_a_mark_are_a_message_or_refused(content, head):
    """No other exception."""
    routing.route(Rules("in", wide=True), head + content, "p:1", 1)
