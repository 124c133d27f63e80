"""portico.hl7.ack: which code, which bytes, and what a peer's answer says."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from portico.errors import (
    CharsetUnknown,
    MessageError,
    NotHl7,
    RequiredMissing,
    TextUndecodable,
)
from portico.hl7 import ack, header
from portico.hl7.ack import AckError
from portico.hl7.view import MessageView
from portico.wire import mllp

AT = 1_741_080_000_123_456_789  # 2025-03-04 09:20:00 UTC
CONDITIONS = ("", "AL", "NE", "ER", "SU")
OUTCOMES = {"success": ("CA", "AA"), "error": ("CE", "AE"), "reject": ("CR", "AR")}


def inbound(version="2.5.1", accept="", application="", kind="ADT^A01^ADT_A01", charset=""):
    return header.read(
        f"MSH|^~\\&|HIS^1.2^ISO|HOSP|LAB|B|2025||{kind}|M1|P|{version}|||{accept}|{application}"
        f"||{charset}".encode()
    )


def wanted(condition, outcome):
    """A3, told once more in plain words."""
    if condition == "AL":
        return True
    if condition == "ER":
        return outcome != "success"
    return condition == "SU" and outcome == "success"


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("application", CONDITIONS)
@pytest.mark.parametrize("accept", CONDITIONS)
def test_every_condition_of_both_phases_with_every_outcome(accept, application, outcome):
    """A1, A2, A3, A4: all 5 x 5 x 3, in the mode that the message asks for."""
    told = ack.decide(inbound(accept=accept, application=application), "auto", outcome)
    accept_code, application_code = OUTCOMES[outcome]
    if not accept and not application:
        assert told == (None, application_code)
    else:
        assert told.accept == (accept_code if wanted(accept, outcome) else None)
        assert told.application == (application_code if wanted(application, outcome) else None)


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("application", CONDITIONS)
@pytest.mark.parametrize("accept", CONDITIONS)
def test_a_channel_may_override_the_mode(accept, application, outcome):
    """A1: original ignores MSH-15/16, none is silent, enhanced reads empty as AL/AL."""
    head = inbound(accept=accept, application=application)
    accept_code, application_code = OUTCOMES[outcome]
    assert ack.decide(head, "original", outcome) == (None, application_code)
    assert ack.decide(head, "none", outcome) == (None, None)
    if accept or application:
        assert ack.decide(head, "enhanced", outcome) == ack.decide(head, "auto", outcome)
    else:
        assert ack.decide(head, "enhanced", outcome) == (accept_code, application_code)


def test_a_condition_that_the_table_does_not_know_is_always():
    """A2: better an answer too many than a sender that waits."""
    assert ack.decide(inbound(accept="??"), "auto", "success") == ("CA", None)


@pytest.mark.parametrize(("accept", "application"), [('""', '""'), ("", '""'), ('""', "")])
def test_the_null_of_hl7_asks_for_nothing(accept, application):
    """A1: original mode; a CA would be taken for the answer to the next message."""
    header = inbound(accept=accept, application=application)
    assert ack.decide(header, "auto", "success") == (None, "AA")


def test_an_acknowledgement_is_not_answered():
    """A9: no loops; only the accept code that MSH-15 of a deferred answer asks for."""
    for mode in ("auto", "original", "enhanced"):
        assert ack.decide(inbound(kind="ACK^A01^ACK"), mode, "success") == (None, None)
    deferred = inbound(kind="ACK^A01^ACK", accept="AL", application="AL")
    assert ack.decide(deferred, "auto", "success") == ("CA", None)


@pytest.mark.parametrize(("mode", "outcome"), [("loud", "success"), ("auto", "perhaps")])
def test_an_unknown_mode_or_outcome_is_our_own_mistake(mode, outcome):
    """ValueError, not a wrong answer."""
    with pytest.raises(ValueError, match="is not a valid"):
        ack.decide(inbound(), mode, outcome)


def build(head, code="AA", **options):
    return ack.build(head, code=code, control_id="P1", at_ns=AT, **options)


def test_a_positive_answer_to_the_letter():
    """A6, A7: identity swapped with its components, MSH-11 and MSH-12 echoed, MSH-18 told."""
    head = inbound(charset="UNICODE UTF-8")
    assert build(head) == (
        b"MSH|^~\\&|LAB|B|HIS^1.2^ISO|HOSP|20250304092000+0000||ACK^A01^ACK|P1|P|2.5.1"
        b"||||||UNICODE UTF-8\rMSA|AA|M1\r"
    )


@pytest.mark.parametrize(
    ("version", "kind", "expected"),
    [
        ("2.1", "ADT^A01", b"ACK"),
        ("2.3", "ADT^A01", b"ACK"),
        ("2.3.1", "ADT^A01", b"ACK^A01^ACK"),
        ("2.4", "ADT^A01^ADT_A01", b"ACK^A01^ACK"),
        ("2.8.2", "ORU^R01", b"ACK^R01^ACK"),
        ("2.5^DEU", "ORU^R01", b"ACK^R01^ACK"),
        ("2.10", "ORU^R01", b"ACK^R01^ACK"),
        ("2.5", "ADT", b"ACK"),
        ("", "ADT^A01", b"ACK"),
        ("garbage", "ADT^A01", b"ACK"),
    ],
)
def test_the_type_of_the_answer_follows_the_version(version, kind, expected):
    """A7: `ACK^event^ACK` from 2.3.1 on, else `ACK`."""
    assert build(inbound(version, kind=kind)).split(b"|")[8] == expected


@pytest.mark.parametrize(
    "control_id", [b"M1", b"", b"A^B&C~D", b"\\F\\|x".split(b"|")[0], b"\xc3\xa9\xff", b" 7 "]
)
def test_msa_2_is_the_control_id_byte_for_byte(control_id):
    """A6: components, escapes and bytes of any character set included."""
    head = header.read(b"MSH|^~\\&|A|B|C|D|||ADT^A01|" + control_id + b"|P|2.5\r")
    answer = build(head)
    assert answer.split(b"\r")[1] == b"MSA|AA|" + control_id
    assert ack.read(answer).control_id == control_id


def test_the_answer_uses_the_senders_delimiters():
    """A7, E1: separators, composites and escapes of the text."""
    head = header.read(b"MSH#$%*@#A$x#B#C#D#2025##ADT$A01#7#P#2.5")
    assert build(head, "AE", text="a#b|c") == (
        b"MSH#$%*@#C#D#A$x#B#20250304092000+0000##ACK$A01$ACK#P1#P#2.5\r"
        b"MSA#AE#7\r"
        b"ERR###207$Application internal error$HL70357#E####a*F*b|c\r"
    )


def test_old_versions_are_told_in_msa_3():
    """A8: text in MSA-3 and no ERR before 2.5."""
    answer = build(inbound("2.4"), "AE", error=AckError("101", "PID-3", "PID-3 is missing"))
    assert answer.split(b"\r")[1:] == [b"MSA|AE|M1|PID-3 is missing", b""]


@pytest.mark.parametrize(
    ("location", "erl"),
    [
        ("PID-3", b"PID^1^3"),
        ("PID-5.1", b"PID^1^5^1^1"),
        ("OBX[3]-5[2].4.1", b"OBX^3^5^2^4^1"),
        ("PID-3[2]", b"PID^1^3^2"),
        ("ZPI", b"ZPI^1"),
        ("OBX[*]-5", b"OBX^^5"),
        ("PID-3[5=MR].1", b"PID^1^3^^1"),
        ("/order/id", b""),
        ("", b""),
    ],
)
def test_newer_versions_get_an_err_segment(location, erl):
    """A8: location, code of table 0357, severity and user text; MSA-3 stays empty."""
    error = AckError("101", location, "needed")
    lines = build(inbound("2.5"), "AE", error=error).split(b"\r")
    assert lines[1] == b"MSA|AE|M1"
    assert lines[2] == b"ERR||" + erl + b"|101^Required field missing^HL70357|E||||needed"


def test_a_text_of_success_stands_in_msa_3():
    """The channel's `text:`, in every version; there is no ERR to success."""
    for version in ("2.3", "2.5.1"):
        assert build(inbound(version), text="stored").endswith(b"MSA|AA|M1|stored\r")


@pytest.mark.parametrize(
    ("charset", "text", "raw"),
    [
        ("UNICODE UTF-8", "Grün", "Grün".encode()),
        ("8859/1", "Grün", "Grün".encode("latin-1")),
        ("8859/1", "漢", rb"\E\u6f22"),
        ("", "Grün", rb"Gr\E\xfcn"),
        ("~ISO IR87", "漢字", "漢字".encode("iso2022_jp")),
        ("KLINGON", "Grün", rb"Gr\E\xfcn"),
    ],
)
def test_the_text_is_in_the_set_that_the_answer_names(charset, text, raw):
    """A7, C4: spelled out where it cannot be carried; a set we do not know is not claimed."""
    answer = build(inbound(charset=charset), text=text)
    assert answer.endswith(b"MSA|AA|M1|" + raw + b"\r")
    named = header.read(answer).charset
    assert named == (() if charset in ("", "KLINGON") else tuple(charset.split("~")))


@pytest.mark.parametrize("code", ["AA", "CA", "AE"])
@pytest.mark.parametrize("version", ["2.3", "2.5.1", "2.5.1\x1c"])
def test_an_id_that_ends_in_an_end_mark_can_be_answered(code, version):
    """A6: MSA-2 is MSH-10 byte for byte, and no `1C 0D` stands inside the answer's frame."""
    content = f"MSH|^~\\&|HIS|H|LAB|L|2025||ADT^A01|M1\x1c|P|{version}".encode()
    for text in ("", "no"):
        answer = ack.build(
            header.read(content), code=code, control_id="A1", at_ns=AT, text=text
        )

        assert mllp.encode(answer)
        assert ack.read(answer).control_id == b"M1\x1c"


def test_text_for_people_cannot_shift_a_field_or_end_a_frame():
    """E6: whatever an error text holds."""
    answer = build(inbound(), "AE", text="a|b^c\rMSA|AA|M1\x1c\r")
    assert MessageView(answer).names == ("MSH", "MSA", "ERR")
    assert ack.read(answer).text == "a|b^c\rMSA|AA|M1\x1c\r"


@pytest.mark.parametrize(
    "content",
    [
        b"MSH|^~\\&",
        b"MSH|^~\\&|||||||||",
        b"MSH|^&&^|A|B|C|D|||ADT^A01|1|P|2.5",
        b"MSH|^^^|A|B|C|D|||ADT|1|P|2.5||||||8859/1",
        b"MSH|^~\\|A|B|C|D|||ADT^\xff\xfe|1|P|2.5||||||\xff",
        b"MSH|^~\\&|A|B|C|D|||ADT^A\\F\\1|1|P|99999.5",
        b"MSH!$r?@!LIP!LIP!LB!LB!2011!!R01$X!1!P!2.5",
    ],
)
def test_a_message_that_is_hardly_one_is_still_answered(content):
    """A10: delimiters known, so a NACK can be made; never an exception, never an AA."""
    head = header.read(content)
    error = AckError("100", "MSH-9", "MSH-9 | is ~ missing é")
    answer = ack.build(head, code="AR", control_id="P1", at_ns=AT, error=error)
    told = ack.read(answer)
    assert (told.code, told.control_id) == ("AR", head.control_id)


@given(
    st.text("^~\\&#!r2", min_size=3, max_size=6),
    st.binary(max_size=60),
    st.text(max_size=20),
    st.sampled_from(("AA", "AE", "CR")),
)
def test_any_header_that_can_be_read_can_be_answered(marks, junk, text, code):
    """P10, A10: no bytes in MSH and no text end in anything but an answer."""
    assume(not marks[0].isalnum())
    fields = b"|".join(
        (
            b"",
            marks.encode(),
            junk,
            b"B",
            b"C",
            b"D",
            b"2025",
            b"",
            b"A" + marks[:1].encode() + b"B",
            b"1",
            b"P",
        )
    )
    head = header.read(b"MSH" + fields + b"|2.5||||||8859/1" + marks[1:2].encode() + junk)
    answer = build(head, code, text=text)
    assert ack.read(answer).code == code
    assert header.read(answer).control_id == b"P1"


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        (b"MSA|AA|M1", ack.Ack("AA", b"M1")),
        (b"MSA|CA|M1", ack.Ack("CA", b"M1")),
        (b"MSA|AAX|M1", ack.Ack("AAX", b"M1")),
        (b"MSA|aa|M1", ack.Ack("aa", b"M1")),
        (b"MSA||M1", ack.Ack("", b"M1")),
        (b"MSA", ack.Ack("", b"")),
        (b'MSA|""|M1', ack.Ack("", b"M1")),
        (rb"MSA|AE|M\F\1^x|no \T\ no", ack.Ack("AE", rb"M\F\1^x", "no & no")),
        (b"MSA|AE|M1\rERR|||101^X^HL70357|E", ack.Ack("AE", b"M1", "", "101", "")),
        (
            b"MSA|AR|M1\rERR||PID^2^5^3^1^4|103|E||||bad code",
            ack.Ack("AR", b"M1", "bad code", "103", "PID[2]-5[3].1.4"),
        ),
        (b"MSA|AE|M1\rERR||PID^1^5|103", ack.Ack("AE", b"M1", "", "103", "PID[1]-5")),
        (b"MSA|AE|M1\rERR||who knows|103", ack.Ack("AE", b"M1", "", "103", "")),
        (b"MSA|AE|M1|caf\xe9", ack.Ack("AE", b"M1", "caf�")),
    ],
)
def test_a_peers_answer_is_read_as_it_stands(segments, expected):
    """A11: the code is what was sent, `AAX` is not AA; MSA-2 stays raw; ERR is told."""
    for end in (b"\r", b"\n"):
        content = (b"MSH|^~\\&|A|B|C|D|||ACK|9|P|2.5\r" + segments).replace(b"\r", end)
        assert ack.read(content) == expected


def test_what_is_no_answer_is_refused():
    """A11: without MSA or without MSH nothing was acknowledged."""
    with pytest.raises(MessageError, match="no MSA"):
        ack.read(b"MSH|^~\\&|A|B|C|D|||ADT^A01|9|P|2.5\rPID|1")
    with pytest.raises(NotHl7):
        ack.read(b"MSA|AA|M1")


def test_what_we_read_is_what_was_built():
    """A8: code, control id, text, error code and location go round."""
    error = AckError("102", "PID[1]-7[1].1", "not | a date")
    assert ack.read(build(inbound(), "AE", error=error)) == ack.Ack(
        "AE", b"M1", "not | a date", "102", "PID[1]-7[1].1"
    )


@pytest.mark.parametrize(
    ("error", "code", "location"),
    [
        (RequiredMissing("empty", "MSH-10"), "101", "MSH-10"),
        (CharsetUnknown("which?", "MSH-18"), "103", "MSH-18"),
        (TextUndecodable("a byte", "PID-5"), "102", "PID-5"),
        (MessageError("hm"), "207", ""),
    ],
)
def test_errors_of_the_engine_have_a_code_of_table_0357(error, code, location):
    """A5: each goes out with code, location and its own text."""
    assert ack.error_of(error) == AckError(code, location, str(error))
