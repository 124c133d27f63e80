"""portico.language.template: text with places."""

import pytest

from portico.errors import ContentInvalid, PathInvalid
from portico.language.template import Template, file_name


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{PID-5.1}", "MUSTER"),
        ("{PID-5.1}, {PID-5.2}", "MUSTER, MAX"),
        ("{PID-7:%d.%m.%Y}", "31.01.1980"),
        ("{MSH-7:%H:%M}", "12:00"),
        ("{received:%Y%m%d%H%M%S}", "20260921141320"),
        ("{part:08}", "00000003"),
        ("{PID-3.1:04}", "0123"),
        ("{{{PID-8}}", "{M}"),
        ('{{"mrn": "{PID-3.1}"}', '{"mrn": "123"}'),
        ("[{PID-99}][{PID-10}]", "[][]"),
        ("[{PID-99:%Y}]", "[]"),
        ("{OBX[*]-2}", "NM\nED\nTX"),
        ("{PID-3[5=SS].1}", "9"),
        ("{finding/code}", "X1"),
        ("$5 {PID-8}", "$5 M"),
    ],
)
def test_it_renders(context, source, text):
    """Every form of the site reference."""
    assert Template.parse(source).render(context) == text


def test_only_what_places_give_is_escaped(context):
    """The author's own text is meant as it stands."""
    template = Template.parse("a^{PID-5}")

    assert template.render(context, lambda text: text.replace("^", "\\S\\")) == (
        "a^MUSTER\\S\\MAX"
    )


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("{PID-5", "without its"),
        ("{}", "names no place"),
        ("{pid-5}", "PID-5"),
        ("{PID-7:%Q}", "%Y %m %d"),
        ("{PID-7:abc}", "HL7 path"),
        ("{now}", "received"),
        ("${env:HOME}", "secrets"),
    ],
)
def test_a_wrong_template_says_what_would_be_right(source, hint):
    """There is no clock and no secret in a template."""
    with pytest.raises((ValueError, PathInvalid), match=hint):
        Template.parse(source)


@pytest.mark.parametrize(
    ("source", "said"),
    [("{PID-5.1:%Y}", "PID-5.1 is not a date"), ("{PID-7:%H}", "PID-7: the date has no hour")],
)
def test_a_date_is_never_made_up(context, source, said):
    """What is no date, or lacks the part asked for, is an error that quotes no value."""
    with pytest.raises(ContentInvalid) as caught:
        Template.parse(source).render(context)
    assert str(caught.value) == said
    assert caught.value.location == source[1:].partition(":")[0]


def test_stars_are_read_side_by_side(context):
    """For `[*]` on both sides of `map`: the n-th text reads the n-th segment."""
    template = Template.parse("{OBX[*]-3}={OBX[*]-5.5}{PV1-2}")

    assert template.count(context) == 3
    assert template.each(context, 4) == ["WBC=I", "PDF=JVBERg==I", "NOTE=I", "=I"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("123_F1_2.pdf", "123_F1_2.pdf"),
        ("../../etc/passwd", "_._.._etc_passwd"),
        ("..", "_."),
        ("Müller & Söhne", "M_ller___S_hne"),
        ("", "_"),
        ("a/b\0c", "a_b_c"),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_file_name_is_one_plain_name(text, name):
    """No separator, no hidden file, no way up, short enough for every file system."""
    assert file_name(text) == name
