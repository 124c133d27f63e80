"""portico.hl7.delimiters: MSH-1 and MSH-2 say which byte separates what."""

import pytest

from portico.errors import NotHl7
from portico.hl7.delimiters import Delimiters


def test_the_usual_set_is_read():
    """E1: each of the five is one byte."""
    assert Delimiters.of(b"MSH|^~\\&|A") == (b"|", b"^", b"~", b"\\", b"&", b"")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"MSH!$r?@!LIP", b"!$r?@"),
        (b"MSH#!@%*#SENDER", b"#!@%*"),
        (b"MSH@~&#\\@APP", b"@~&#\\"),
        (b"MSH|^~\\&\rPID|1", b"|^~\\&"),
        (b"MSH|^~\\&\nPID|1", b"|^~\\&"),
        (b"MSH|^~\\&", b"|^~\\&"),
    ],
)
def test_odd_sets_are_read_from_each_message(head, expected):
    """E1: any punctuation separates, and MSH may end behind MSH-2."""
    assert b"".join(Delimiters.of(head)) == expected


def test_the_truncation_character_is_told_apart():
    """E1: the fifth character of MSH-2 (v2.7) separates nothing."""
    marks = Delimiters.of(b"MSH|^~\\&#|A")
    assert (marks.subcomponent, marks.truncation) == (b"&", b"#")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"MSH|^~\\|A", (b"|", b"^", b"~", b"\\", b"", b"")),
        (b"MSH|^~\\\\&|A", (b"|", b"^", b"~", b"\\", b"&", b"")),
        (b"MSH|^&&^|A", (b"|", b"^", b"&", b"", b"", b"")),
        (b"MSH|^~\\&#!|A", (b"|", b"^", b"~", b"\\", b"&", b"#")),
    ],
)
def test_short_long_and_doubled_sets_are_tolerated(head, expected):
    """E1: three characters do, a sixth is passed over, what stands twice counts once."""
    assert Delimiters.of(head) == expected


@pytest.mark.parametrize(
    "lead", [b"\xef\xbb\xbf", b" \t", b"\r\n\r\n", b"\x0b", b"\xef\xbb\xbf\n"]
)
def test_a_byte_order_mark_and_white_space_are_passed_over(lead):
    """M9: what editors and frames leave before MSH does not matter."""
    assert Delimiters.of(lead + b"MSH|^~\\&|A") == Delimiters()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"M",
        b"MSH",
        b"MSH|",
        b"MSH|A",
        b"MSH|^~|A",
        b"MSH|||",
        b"MSH\r^~\\&",
        b"MSHA^~\\&A",
        b"MSH ^~\\& A",
        b"MSH\x00^~\\&\x00A",
        b"MSH|blah|foo",
        b"MSH^~\\&|SOMEWHERE^X",
        b"MSH|^~\\\xe9|A",
        b"PID|1||2",
        b"FHS|^~\\&|A",
        b"\xff\xfeM\x00S\x00H\x00",
        b"M\x00S\x00H\x00",
        b"msh|^~\\&|A",
    ],
)
def test_an_unusable_header_is_refused(content):
    """A10: with no delimiters nothing can be answered: NotHl7, so that intake closes."""
    with pytest.raises(NotHl7):
        Delimiters.of(content)
