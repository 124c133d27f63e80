"""What a channel reads before it journals: never an exception, whatever comes (P10)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.language.content import Content
from portico.language.place import Place
from portico.policy import routing
from portico.policy.routing import Rules
from portico.spec.channel import Duplicates

ADT = b"MSH|^~\\&|HIS|ST|LAB|ST|1||ADT^A01|M1|P|2.5\rPID|||4711||MUSTER\r"
STANDARD = Rules("adt", repeat_by=Duplicates().key, standard_repeat=True)


def route(content=ADT, peer="10.0.0.1:4000", **rules):
    """Read it by these rules."""
    return routing.route(Rules("adt", **rules), content, peer, 3)


def test_identity_is_read_for_search():
    """Type, control id, sender and patient."""
    read = route()

    assert (read.type, read.control_id, read.sender) == ("ADT^A01", "M1", "HIS|ST")
    assert read.patient == "4711"
    assert read.fault is None


@pytest.mark.parametrize(
    ("order_by", "key"),
    [(("sender",), "HIS|ST"), (("connection",), "connection 3"), (("channel",), "channel"),
     (("none",), ""), ((Place.parse("PID-3.1"),), "4711"),
     ((Place.parse("PID-4"), Place.parse("PID-5.1")), "MUSTER"),
     ((Place.parse("PID-4"),), "HIS|ST"), ((Place.parse("PID-4"), "none"), "")],
)  # fmt: skip
def test_the_first_valued_source_is_the_order_key(order_by, key):
    """None valued: the sender."""
    assert route(order_by=order_by).order_key == key


def test_a_nameless_sender_is_known_by_its_address():
    """MSH-3 and MSH-4 empty: the peer without its port."""
    assert route(ADT.replace(b"HIS|ST", b"|")).order_key == "10.0.0.1"


@pytest.mark.parametrize(
    ("content", "code"),
    [(ADT.replace(b"ADT^A01", b""), "message.required_missing"),
     (ADT.replace(b"M1", b""), "message.required_missing"),
     (ADT + ADT, "message.not_hl7"),
     (b"EVN|A01\r", "message.not_hl7"),
     (ADT.replace(b"MUSTER", b"M\xfcSTER"), "message.text_undecodable")],
)  # fmt: skip
def test_what_is_refused_says_why(content, code):
    """And keeps the fields read before."""
    assert route(content).fault.code == code


def test_a_byte_outside_the_character_set_is_flagged_where_it_is_taken():
    """charset: {on_error: replace}."""
    read = route(ADT.replace(b"MUSTER", b"M\xfcSTER"), on_charset_error="replace")

    assert (read.fault, read.flags) == (None, ("bad_charset",))


def test_the_repeat_key_is_of_channel_sender_and_control_id():
    """Each of them makes another; none of the rest does."""
    keys = {
        routing.route(rules, content, "p:1", 1).repeat_key
        for rules in (STANDARD, Rules("oru", repeat_by=Duplicates().key, standard_repeat=True))
        for content in (ADT, ADT.replace(b"M1", b"M2"), ADT.replace(b"HIS", b"LIS"))
    }

    assert len(keys) == 6
    other = ADT.replace(b"MUSTER", b"OTHER")
    assert routing.route(STANDARD, other, "q:2", 9).repeat_key in keys


def test_numbers_that_follow_each_other_lie_together():
    """A thousand in two places of an index, and no two alike; signed 64 bits."""
    keys = {
        routing.route(STANDARD, ADT.replace(b"M1", b"M%07d" % number), "p:1", 1).repeat_key
        for number in range(4_999_500, 5_000_500)
    }

    assert len(keys) == 1_000
    assert len({key >> 44 for key in keys}) == 2
    assert all(-(1 << 63) <= key < 1 << 63 for key in keys)


@pytest.mark.parametrize("part", [b"M1", b"4711"])
def test_a_field_for_search_fits_an_index(part):
    """PostgreSQL refuses an index entry beyond 2.7 kB: 70,000 characters are cut."""
    read = route(ADT.replace(part, b"X" * 70_000))

    assert read.fault is None
    assert len(read.control_id) <= 200
    assert len(read.patient) <= 200


@pytest.mark.parametrize("content", ["hl7", "json", "xml", "csv", "bytes", "auto"])
@given(data=st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=60).map(b"MSH".__add__),
    st.text(max_size=60).map(lambda t: ADT + t.encode()),
    st.text("{}[]\"<>/?!,:0e-", max_size=60).map(str.encode),
))  # fmt: skip
def test_nothing_that_a_peer_sends_raises(content, data):
    """Random bytes, bytes after MSH, bytes after a message, nonsense that looks like JSON."""
    keys = (Place.parse("PID-3.1"),)
    read = routing.route(
        Rules("adt", Content(content), order_by=keys, repeat_by=keys), data, "p:1", 1
    )
    routing.envelope(read, "adt", 1, "p:1", len(data))
