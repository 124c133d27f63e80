"""portico.hl7.charset: MSH-18 to codec, and bytes that only look like separators."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import CharsetUnknown
from portico.hl7 import charset


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("ASCII", "ascii"),
        ("8859/1", "iso8859-1"),
        ("8859/2", "iso8859-2"),
        ("8859/5", "iso8859-5"),
        ("8859/9", "iso8859-9"),
        ("8859/15", "iso8859-15"),
        ("ISO IR14", "iso2022_jp_ext"),
        ("ISO IR87", "iso2022_jp"),
        ("ISO IR159", "iso2022_jp_1"),
        ("GB 18030-2000", "gb18030"),
        ("KS X 1001", "euc_kr"),
        ("BIG-5", "big5"),
        ("UNICODE", "utf-8"),
        ("UNICODE UTF-8", "utf-8"),
        ("utf-8", "utf-8"),
        ("ISO-8859-1", "iso8859-1"),
        ("ISO_IR 100", "iso8859-1"),
        ("ISOIR87", "iso2022_jp"),
    ],
)
def test_table_0211_and_its_field_spellings_have_codecs(name, codec):
    """C1: each name that we take has a codec that this Python has."""
    assert charset.codec_of((name,), "ascii") == codec
    assert codecs.lookup(codec)


@pytest.mark.parametrize(
    ("names", "default", "codec"),
    [
        ((), "ascii", "ascii"),
        ((), "8859/1", "iso8859-1"),
        (("",), "UNICODE UTF-8", "utf-8"),
        (("", "ISO IR87"), "ascii", "iso2022_jp"),
        (("ASCII", "ISO IR87", "ISO IR159"), "ascii", "iso2022_jp_1"),
        (("ISO IR14", "ISO IR87"), "ascii", "iso2022_jp_ext"),
        (("UNICODE UTF-8", "UNICODE"), "ascii", "utf-8"),
        (("8859/1", "ASCII"), "ascii", "iso8859-1"),
    ],
)
def test_repetitions_and_the_default_are_resolved(names, default, codec):
    """C2, C3: an empty MSH-18 is the channel's set; ISO 2022 sets combine."""
    assert charset.codec_of(names, default) == codec


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("ISO IR 999",), "not in table 0211"),
        (("UNICODE UTF-16",), "send UNICODE UTF-8"),
        (("UNICODE UTF-32",), "send UNICODE UTF-8"),
        (("CNS 11643-1992",), "send BIG-5"),
        (("8859/1", "ISO IR87"), "switching"),
        (("ASCII", "8859/1"), "switching"),
        (("zip",), "not in table 0211"),
        (("utf-7",), "not in table 0211"),
    ],
)
def test_what_we_cannot_read_is_refused_clearly(names, why):
    """C3: refused, with what would be right and the location MSH-18."""
    with pytest.raises(CharsetUnknown, match=why) as refused:
        charset.codec_of(names, "ascii")
    assert refused.value.location == "MSH-18"


def encodes(char, codec):
    try:
        char.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


CODECS = ("iso2022_jp", "iso2022_jp_1", "iso2022_jp_ext", "gb18030", "big5")
WIDE = {
    codec: [chr(c) for c in range(0x4E00, 0x9FA0, 7) if encodes(chr(c), codec)]
    for codec in CODECS
}


@pytest.mark.parametrize("codec", CODECS)
@given(data=st.data())
def test_no_separator_shows_inside_a_wide_character(codec, data):
    """C3: separators in the shield are the separators of the characters, at their offsets."""
    text = data.draw(st.text([*WIDE[codec], *"|^~\\&A\r"], max_size=40))
    content = b"\r".join(line.encode(codec) for line in text.split("\r"))

    shielded = charset.shield(content, codec)

    assert len(shielded) == len(content)
    for separator in b"|^~\\&\r":
        found = [n for n, byte in enumerate(shielded) if byte == separator]
        assert len(found) == text.count(chr(separator))
        assert all(content[at] == separator for at in found)


@pytest.mark.parametrize("codec", CODECS)
def test_the_bytes_of_wide_characters_do_look_like_separators(codec):
    """C3: what the shield is for; without it these characters would divide a field."""
    found = {byte for char in WIDE[codec] for byte in char.encode(codec)}
    assert found & set(b"|^~\\&")


def test_other_sets_are_not_copied():
    """A message without wide characters is its own shield."""
    content = "MSH|Grüße".encode()
    assert charset.shield(content, "utf-8") is content
