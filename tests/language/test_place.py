"""portico.language.place: every shape of the site reference, section 2."""

import pytest

from portico.errors import ContentInvalid, PathInvalid
from portico.hl7.reading import DELETED
from portico.language.content import open_content
from portico.language.context import Context
from portico.language.place import Place, aside_name


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("PID-5", "MUSTER^MAX"),
        ("PID-5.2", "MAX"),
        ("PID-3[2].1", "9"),
        ("PID-3.4.2", "1.2"),
        ("OBX[3]-5", "urgent finding here"),
        ("PID-3[5=SS].1", "9"),
        ("OBX[3.1=WBC]-5", "5.5"),
        ("OBX[*2=ED]-5.5", "JVBERg=="),
        ("OBX[*]-2", "NM"),
        ("PID-11", "A&B"),
        ("PID-99", None),
        ("ZZZ-1", None),
        ("PID-10", DELETED),
        ("channel", "lab_in"),
        ("type", "ORU^R01"),
        ("file", "a.hl7"),
        ("peer", "10.1.2.3:4711"),
        ("user", "sender"),
        ("size", "512"),
        ("part", "3"),
        ("received", "2026-09-21T14:13:20.123Z"),
        ("flags", "replay\nchanged"),
        ("header/X-Trace", "abc"),
        ("query/Site", "north"),
        ("query/other", None),
        ("id", "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        ("signal", None),
        ("finding/code", "X1"),
        ("finding/urgent", "true"),
        ("finding/confidence", "0.5"),
        ("finding/tags/1", "b"),
        ("finding/tags", '["a","b"]'),
        ("nothing", None),
        ("/order/id", None),
    ],
)
def test_each_shape_reads_its_value_as_text(context, place, text):
    """Absent is None, HL7's two quotes are DELETED, all else is unescaped text."""
    assert Place.parse(place).text(context) == text


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("/order/id", "7"),
        ("/order/price", "2.10"),
        ("/order/paid", "false"),
        ("/order/note", None),
        ("/order/by", None),
        ("/a~1b/~0", "tilde"),
        ("/items/1/n", "two"),
        ("/items/2/n", None),
        ("/text/0", None),
        ("PID-5", None),
    ],
)
def test_a_pointer_reads_json_scalars_as_they_were_typed(json_context, place, text):
    """Numbers keep their digits; null and the empty text are absent."""
    assert Place.parse(place).text(json_context) == text


def test_a_star_gives_every_value_and_knows_where_there_is_none(context):
    """texts leaves absent ones out, slots does not."""
    place = Place.parse("OBX[*]-5.5")

    assert place.many
    assert place.texts(context) == ["JVBERg=="]
    assert place.slots(context) == [None, "JVBERg==", None]
    assert Place.parse("OBX[*2=ED]").texts(context) != []


def test_flags_are_several_values(context):
    """A test on flags asks for one that fits."""
    assert Place.parse("flags").texts(context) == ["replay", "changed"]


def test_a_value_keeps_its_json_kind(context, json_context):
    """`value` gives lists and numbers, and None for a deleted place."""
    assert Place.parse("finding").value(context)["tags"] == ["a", "b"]
    assert Place.parse("/items/0").value(json_context) == {"n": "one"}
    assert Place.parse("PID-10").value(context) is None


def test_json_is_parsed_only_when_a_place_reads_it():
    """A condition on the channel costs no parsing, and broken JSON shows where it is read."""
    context = Context(open_content("json", b"{broken"), {"channel": "a"})

    assert Place.parse("channel").text(context) == "a"
    with pytest.raises(ContentInvalid):
        Place.parse("/a").text(context)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("pid-5", "PID-5"),
        ("PID.5.1", "PID-5.1"),
        ("PID-5-1", "PID-5.1"),
        ("Channel", "channel"),
        ("header", "header/x"),
        ("channel/x", "channel"),
        ("", "PID-5.1"),
        ("/a~2", "~0"),
    ],
)
def test_a_text_that_is_no_place_says_what_would_be(wrong, hint):
    """The error names the likely wish."""
    with pytest.raises((ValueError, PathInvalid), match=hint):
        Place.parse(wrong)


def test_a_put_aside_name_is_no_word_of_the_envelope():
    """`into: type` would hide the envelope's own."""
    assert aside_name("finding") == "finding"
    with pytest.raises(ValueError, match="envelope"):
        aside_name("type")
    with pytest.raises(ValueError, match="not a name"):
        aside_name("Finding")


def test_places_are_equal_by_their_text_and_show_no_value():
    """They are keys of mappings, and their repr is the site's text."""
    assert Place.parse("PID-5") == Place.parse("PID-5")
    assert {Place.parse("PID-5"): 1}[Place.parse("PID-5")] == 1
    assert repr(Place.parse("PID-5")) == "Hl7Place('PID-5')"
    assert str(Place.parse("finding/code")) == "finding/code"
