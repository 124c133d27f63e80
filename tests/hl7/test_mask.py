"""portico.hl7.mask: a message without what could tell a patient."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.hl7 import mask


def test_structure_stays_and_content_goes(adt):
    """Names, numbers and free text are veiled; header, set ids, types and codes are not."""
    assert mask.mask(adt).splitlines() == [
        "MSH|^~\\&|HIS|HOSP|PORTICO|LAB|20250304101112+0100||ADT^A01^ADT_A01|MSG00001|P|2.5.1",
        "EVN|A01|99999999999999",
        "PID|1||999999^^^xxxx^xx~999^^^xx^xx||xxxxxx^xxxxx^x||99999999|x|||9 xxxx xx^^xxxx",
        'PV1|1|I|x9^999^x||""||||||xxx',
        "OBX|1|NM|8302-2^HEIGHT^LN||999|cm|||||F",
        "OBX|2|ED|PDF^REPORT^L||^xxxxxxxxxxx^xxx^xxxx99^xxxx||||||F",
        "OBX|3|TX|GDT^NOTE^L||xxx~xxx||||||F",
        "ZPI|9|xxxxx^xxxxx|xxxx||",
    ]


def test_letters_of_every_script_are_veiled():
    """Not only ASCII, whatever MSH-18 says of it."""
    content = (
        "MSH|^~\\&|A|B|C|D|||ADT|1|P|2.5||||||UNICODE UTF-8\rPID|||٤٢||Łódź^山田\r".encode()
    )
    assert mask.mask(content).splitlines()[1] == "PID|||99||xxxx^xx"


def test_what_is_no_message_or_no_segment_is_veiled_whole():
    """Safe by default."""
    assert mask.mask(b"MUSTER,ERIKA,1970") == "xxxxxx,xxxxx,9999"
    assert mask.mask(b"MSH|^~\\&|A\rwrapped MUSTER|1").splitlines()[1] == "xxxxxxx xxxxxx|9"
    assert mask.mask(b"MSH|^~\\&|A\rpid|1|x").splitlines()[1] == "xxx|9|x"


@pytest.mark.parametrize(
    "end", ["\x0c", "\x1c", "\x85", "\u2028", "\\r", "\\n", "<CR>", "|", " "]
)
def test_a_message_whose_segments_are_parted_wrongly_shows_no_name(end):
    """It is one long header, whose open fields would be the patient's."""
    parts = ("MSH|^~\\&|A|B|C|D|||ADT|1|P|2.5", "EVN|A01", "PID|||7^^^H||MUSTER|||F|||STREET")
    shown = mask.mask(end.join(parts).encode())

    assert not re.search("MUSTER|STREET|7", shown), shown


@pytest.mark.parametrize("end", ["\x0c", "\x1c", "\\r"])
def test_no_segment_takes_another_one_into_its_open_fields(end):
    """OBX-3 is a code, unless it is the next segment's name."""
    shown = mask.mask(f"MSH|^~\\&|A\rOBX|1{end}NK1|1|MUSTER\r".encode())

    assert "MUSTER" not in shown


def test_the_security_field_is_veiled():
    """MSH-8 may hold a password."""
    assert mask.mask(b"MSH|^~\\&|A|B|C|D|2025|s3cret") == "MSH|^~\\&|A|B|C|D|2025|x9xxxx"


def test_odd_delimiters_are_kept_and_veil_the_same():
    """E1: the allow list counts by the message's own separator."""
    assert mask.mask(b"MSH#$%*@#A\rPID#1##X$Y").splitlines()[1] == "PID#1##x$x"


def test_one_field_can_be_masked_alone():
    """For who shows a message field by field."""
    assert mask.field("PID", 5, "MUSTER^ERIKA") == "xxxxxx^xxxxx"
    assert mask.field("OBX", 3, "8302-2^HEIGHT") == "8302-2^HEIGHT"
    assert mask.field("ZZZ", 1, "12") == "99"


@given(st.text(max_size=40), st.from_regex(r"[A-Z][A-Z0-9]{2}", fullmatch=True))
def test_no_letter_or_digit_of_a_field_that_is_not_listed_is_shown(text, name):
    """Whatever the segment and the text, unless its field 5 is listed."""
    if 5 not in mask.OPEN.get(name, ()):
        assert not re.search(r"[^\W_x9]", mask.field(name, 5, text))
