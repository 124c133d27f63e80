"""portico.hl7.escape: HL7 v2.5.1 chapter 2, section 2.7."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import TextUnencodable
from portico.hl7.delimiters import Delimiters
from portico.hl7.escape import escape, unescape

USUAL = Delimiters()
ODD = Delimiters(b"!", b"$", b"r", b"?", b"@")
SETS = st.sampled_from((USUAL, ODD, Delimiters.of(b"MSH|@~^&|"), Delimiters.of(b"MSH#$%*@#")))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"\F\ \S\ \R\ \E\ \T\\"[:-1], "| ^ ~ \\ &"),
        (r"A\X41\B", "AAB"),
        (r"\X0D0A\x", "\r\nx"),
        (r"one\.br\two", "one\ntwo"),
        (r"100\P\ ", "100# "),
    ],
)
def test_sequences_for_characters_are_decoded(raw, text):
    """E4: `\\F\\ \\S\\ \\T\\ \\R\\ \\E\\`, hex and line breaks are their characters."""
    assert unescape(raw, USUAL) == text


@pytest.mark.parametrize(
    "raw",
    [
        r"\H\bold\N\ plain",
        r"\.sp3\ \.in+2\ \.ce\ ",
        r"\C2842\ \M244200\ \Zxx\ ",
        r"C:\temp and \ alone",
        r"ends with \\"[:-1],
        r"\X4\ \XGG\ \X\ ",
        r"\f\ \s\ ",
        "",
    ],
)
def test_what_stands_for_no_character_is_kept_verbatim(raw):
    """E4: highlighting, formatting, character set switches and a lone backslash stay."""
    assert unescape(raw, USUAL) == raw


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"\E\F\E\ ", r"\F\ "),
        (r"\X5C\F\ ", r"\F\ "),
        (r"\E\X41\E\ ", r"\X41\ "),
        (r"\X5C5C\ ", r"\\ "),
    ],
)
def test_nothing_is_decoded_twice(raw, text):
    """E4: what decoding brought forth is not read again as an escape."""
    assert unescape(raw, USUAL) == text


def test_hex_bytes_are_of_the_messages_character_set():
    """E4: `\\XC3A9\\` is one letter in UTF-8, and kept where it is none."""
    assert unescape(rb"caf\XC3A9\ ", USUAL, "utf-8") == "café "
    assert unescape(r"caf\XE9\ ", USUAL, "iso8859-1") == "café "
    assert unescape(r"caf\XE9\ ", USUAL, "utf-8") == r"caf\XE9\ "


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("A|B^C~D\\E&F", r"A\F\B\S\C\R\D\E\E\T\F"),
        ("one\ntwo", r"one\.br\two"),
        ("a\r\x1c\x0bb\tc", "a\\X0D\\\\X1C\\\\X0B\\b\tc"),
        ("plain é 漢", "plain é 漢"),
    ],
)
def test_text_is_escaped_for_separators_line_ends_and_controls(text, raw):
    """E6: nothing in a text can end a field, a segment or a frame."""
    assert escape(text, USUAL) == raw


def test_the_messages_own_delimiters_are_the_ones_escaped():
    """E1, E6: an odd set makes other characters special, and `|^~&` ordinary."""
    assert escape("|^~&\\", ODD) == "|^~&\\"
    assert escape("a!b$c", ODD) == "a?F?b?S?c"


def test_a_message_without_an_escape_character_refuses_text_that_needs_one():
    """E6: refused rather than shifted."""
    marks = Delimiters.of(b"MSH|^&&^|A")
    assert escape("plain~", marks) == "plain~"
    with pytest.raises(TextUnencodable):
        escape("a^b", marks)


@given(st.text(), SETS)
def test_escaped_text_reads_back_and_holds_no_separator(text, marks):
    """E4, E6: for any text and any delimiters."""
    raw = escape(text, marks)
    separators = b"".join((marks.field, marks.component, marks.repetition, marks.subcomponent))
    assert unescape(raw, marks) == text
    assert not set(raw) & set(separators.decode() + "\r\n\x1c\x0b")


def test_a_letter_as_delimiter_is_kept_out_of_the_sequences():
    """E6: with `r` between repetitions a line break is written by number, not as `.br`."""
    assert escape("a\nb", ODD) == "a?X0A?b"
    with pytest.raises(TextUnencodable):
        escape("a|b", Delimiters(b"|", b"F", b"X"))
