"""portico.policy.members: files as the messages they hold."""

import tracemalloc

import pytest

from portico.errors import BatchInvalid
from portico.language.content import Content
from portico.policy.answer import BatchRules
from portico.policy.members import Member, Survey, members, survey

HL7, CSV = Content(), Content("csv")
RULES, LENIENT = BatchRules(), BatchRules("lenient")
LIMIT = 1 << 20
ONE = b"MSH|^~\\&|A|B|||2026||ADT^A01|1|P|2.5\rPID|1||7\r"
TWO = b"MSH|^~\\&|A|B|||2026||ORU^R01|2|P|2.5\rOBX|1\r"
BATCH = b"FHS|^~\\&|HIS\rBHS|^~\\&|HIS\r" + ONE + b"\r\n" + TWO + b"BTS|2\rFTS|1\r"


def pieces(content, size=7):
    """A file in small reads."""
    return (content[at : at + size] for at in range(0, len(content), size))


@pytest.mark.parametrize("content", [BATCH, ONE + TWO, b"\xef\xbb\xbf" + ONE + b"\n\n" + TWO])
def test_b1_a_file_gives_each_message_with_its_place(content):
    """With an envelope or without one; the offset finds the bytes in the file."""
    assert survey(pieces(content), HL7, RULES, LIMIT) == Survey(2)
    found = list(members(pieces(content), HL7, RULES, LIMIT))
    assert [member.number for member in found] == [1, 2]
    assert found[1].content == TWO
    for member in found:
        assert content[member.offset : member.offset + member.size] == member.content


def test_b2_a_wrong_count_refuses_the_file_before_its_first_message():
    """Lenient tells of it and goes on."""
    wrong = BATCH.replace(b"BTS|2", b"BTS|3")
    with pytest.raises(BatchInvalid, match="BTS-1 says 3, messages counted: 2"):
        survey(pieces(wrong), HL7, RULES, LIMIT)
    assert survey(pieces(wrong), HL7, LENIENT, LIMIT) == Survey(
        2, ("BTS-1 says 3, messages counted: 2",)
    )
    assert len(list(members(pieces(wrong), HL7, LENIENT, LIMIT))) == 2


def test_b3_a_batch_of_none_gives_none():
    """It is legal, and no error."""
    assert survey([b"FHS|^~\\&\rBHS|^~\\&\rBTS|0\rFTS|1\r"], HL7, RULES, LIMIT) == Survey(0)


@pytest.mark.parametrize("content", [b"hello", b"", b"PID|1\r" + ONE])
def test_a_file_that_is_no_hl7_is_refused_by_both(content):
    """Whatever the counts."""
    for ask in (survey, lambda *args: list(members(*args))):
        with pytest.raises(BatchInvalid):
            ask([content], HL7, LENIENT, LIMIT)


def test_b6_a_file_of_50_000_goes_on_behind_the_last_one_in_flat_memory():
    """Streamed: no more is held than a few reads, and none is given twice."""

    def chunks():
        yield b"FHS|^~\\&\rBHS|^~\\&\r"
        for number in range(50_000):
            yield ONE.replace(b"|1|P", b"|%d|P" % number)
        yield b"BTS|50000\rFTS|1\r"

    assert survey(chunks(), HL7, RULES, LIMIT) == Survey(50_000)
    tracemalloc.start()
    first = None
    for member in members(chunks(), HL7, RULES, LIMIT, after=49_000):
        first = first or member
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert first is not None and b"|49000|P" in first.content and first.number == 49_001
    assert member.number == 50_000
    assert peak < 1 << 20


def test_each_row_of_csv_is_a_message_below_the_names():
    """With `batch: no` the file is one."""
    content = b"id,name\r\n1,a\r\n\r\n2,b"
    found = list(members(pieces(content), CSV, RULES, LIMIT))
    assert found == [
        Member(b"id,name\r\n1,a\r\n", 1, 9, 5), Member(b"id,name\r\n2,b", 2, 16, 3),
    ]  # fmt: skip
    assert list(members(pieces(content), CSV, None, LIMIT)) == [Member(content, 1, 0, 19)]
    assert survey(pieces(content), CSV, RULES, LIMIT) == Survey(2)


@pytest.mark.parametrize("kind", ["json", "xml", "bytes"])
def test_other_contents_are_one_message_within_the_limit(kind):
    """A file past the limit is refused while it is read."""
    assert survey([b"{}"], Content(kind), RULES, 10) == Survey(1)
    assert list(members([], Content(kind), RULES, 10)) == []
    with pytest.raises(BatchInvalid, match="exceeds 10 bytes"):
        survey(pieces(b"x" * 11), Content(kind), RULES, 10)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_b1_a_file_in_utf_16_gives_messages_in_utf_16(codec):
    """Each with a byte order mark, so that it is read alone; the counts are checked."""
    text = BATCH.decode().replace("|7\r", "|Ü\r")
    content = ("\ufeff" + text).encode(codec)
    assert survey(pieces(content), HL7, RULES, LIMIT) == Survey(2)
    found = [member.content for member in members(pieces(content), HL7, RULES, LIMIT)]
    wide = ["\ufeff" + part.decode() for part in (ONE.replace(b"|7", "|Ü".encode()), TWO)]
    assert found == [part.encode(codec) for part in wide]
    with pytest.raises(BatchInvalid):
        survey(
            pieces(content.replace("BTS|2".encode(codec), "BTS|3".encode(codec))),
            HL7,
            RULES,
            LIMIT,
        )
