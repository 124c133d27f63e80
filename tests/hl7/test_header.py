"""portico.hl7.header: MSH without the rest of the message."""

import pytest

from portico.errors import NotHl7
from portico.hl7 import header

FULL = (
    b"MSH|^~\\&|HIS^1.2^ISO|HOSP|PORTICO^^|LAB|20250304|s3cr3t|ADT^A01^ADT_A01|M\\F\\1^x|P^T"
    b"|2.5.1^DEU|||AL|SU||UNICODE UTF-8~8859/1"
)


@pytest.mark.parametrize("rest", [b"", b"\r", b"\nPID|1", b"\r\nPID|1||2"])
def test_each_field_is_read_with_its_components(rest):
    """A6, A7: what an answer echoes is raw; what routing compares is text."""
    head = header.read(FULL + rest)
    assert (head.sending_application, head.sending_facility) == (b"HIS^1.2^ISO", b"HOSP")
    assert (head.receiving_application, head.receiving_facility) == (b"PORTICO^^", b"LAB")
    assert (head.message_code, head.trigger, head.structure) == ("ADT", "A01", "ADT_A01")
    assert (head.type, head.datetime, head.version) == ("ADT^A01", "20250304", "2.5.1")
    assert (head.control_id, head.processing_id) == (b"M\\F\\1^x", b"P^T")
    assert head.version_id == b"2.5.1^DEU"
    assert (head.accept_ack, head.application_ack) == ("AL", "SU")
    assert head.charset == ("UNICODE UTF-8", "8859/1")


@pytest.mark.parametrize(
    ("field", "kind"),
    [(b"ADT^A01", "ADT^A01"), (b"ACK", "ACK"), (b"QBP^", "QBP"), (b"", ""), (b"^A01", "^A01")],
)
def test_the_type_is_code_and_event(field, kind):
    """`ADT^A01`, or the code alone."""
    assert header.read(b"MSH|^~\\&|||||||" + field).type == kind


def test_the_type_reads_the_same_with_odd_delimiters():
    """E1: a site's `type: ADT^A01` does not know the sender's separators."""
    assert header.read(b"MSH#$%*@#A#F#A#F#2025##ADT$A01$X#1#P#2.3").type == "ADT^A01"


@pytest.mark.parametrize("content", [b"MSH|^~\\&", b"MSH|^~\\&|", b"MSH|^~\\&\rPID|1"])
def test_a_header_that_says_nothing_can_still_be_answered(content):
    """A10: the delimiters are known, so every other field is empty and none is an error."""
    head = header.read(content)
    assert (head.type, head.control_id, head.version, head.charset) == ("", b"", "", ())


def test_no_usable_header_is_not_hl7():
    """A10: then nobody can be answered."""
    with pytest.raises(NotHl7):
        header.read(b"PID|1")


@pytest.mark.parametrize(
    ("name", "codec"), [("~ISO IR87", "iso2022_jp"), ("GB 18030-2000", "gb18030")]
)
def test_wide_characters_in_the_header_shift_no_field(name, codec):
    """C3: a facility name whose bytes hold `|` leaves MSH-9 where it is."""
    facility = wide_with_bar(codec)
    content = b"MSH|^~\\&|A|" + facility + f"|C|D|2025||ADT^A01|7|P|2.5||||||{name}\r".encode()
    head = header.read(content)
    assert (head.type, head.control_id, head.sending_facility) == ("ADT^A01", b"7", facility)


def wide_with_bar(codec):
    """Bytes of a character that hold a byte like `|`."""
    for point in range(0x4E00, 0x9FA0):
        try:
            raw = chr(point).encode(codec)
        except UnicodeEncodeError:
            continue
        if b"|" in raw:
            return raw
    raise LookupError(codec)


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("rest", [b"", b"|P|2.5"])
def test_a_control_id_ends_where_its_segment_does(end, rest):
    """A11: answers are compared with it; a line feed ends it though a CR stands behind."""
    content = b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|X1" + rest + end + b"PID|1\r"

    assert header.control_id(content) == header.read(content).control_id == b"X1"
