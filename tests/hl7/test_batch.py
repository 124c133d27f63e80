"""portico.hl7.batch: files of many messages, and what answers them."""

import os
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import BatchInvalid
from portico.hl7 import batch
from portico.hl7.batch import (
    BatchEnd,
    BatchReader,
    BatchStart,
    Envelope,
    Fault,
    FileEnd,
    FileStart,
    Member,
    Reply,
)

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
ONE = b"MSH|^~\\&|A|B|||2026||ADT^A01|1|P|2.5\rPID|1||7\r"
TWO = b"MSH|^~\\&|A|B|||2026||ORU^R01|2|P|2.5\rOBX|1\r\rOBX|2\r"
ODD = b"MSH#*~\\&#A#B###2026##ADT*A01#3#P#2.5\r"
FHS = b"FHS|^~\\&|HIS|HOSP|LAB|L2|2026||file.hl7||F1\r"
BHS = b"BHS|^~\\&|HIS^1|HOSP|LAB|L2|2026||||B1\r"
AT = 1_790_000_000_000_000_000


def read(content, size=None, limit=batch.LIMIT):
    """The events of a content that comes in pieces of that size."""
    size = size or max(len(content), 1)
    chunks = (content[at : at + size] for at in range(0, len(content), size))
    return list(batch.events(chunks, limit))


def members(events):
    return [event.content for event in events if isinstance(event, Member)]


def faults(events):
    return [event for event in events if isinstance(event, Fault)]


def test_a_whole_envelope_nests():
    """B1: file, batches and messages, each with what leads and ends it; types are mixed."""
    content = FHS + BHS + ONE + TWO + b"BTS|2\r" + BHS + ODD + b"BTS|1\rFTS|2\r"
    line = [Envelope(text[:-1]) for text in (FHS, BHS, b"BTS|2\r", b"BTS|1\r", b"FTS|2\r")]

    assert read(content) == [
        FileStart(line[0]),
        BatchStart(line[1], 1),
        Member(ONE, 1, 1, content.index(ONE)),
        Member(TWO, 1, 2, content.index(TWO)),
        BatchEnd(line[2], 2),
        BatchStart(line[1], 2),
        Member(ODD, 2, 1, content.index(ODD)),
        BatchEnd(line[3], 1),
        FileEnd(line[4], 2),
    ]


@pytest.mark.parametrize(
    "content",
    [
        ONE + TWO,
        BHS + ONE + TWO,
        BHS + ONE + TWO + b"BTS|2\r",
        FHS + ONE + TWO,
        FHS + ONE + TWO + b"FTS|1\r",
        FHS + BHS + ONE + TWO + b"FTS|1",
        ONE + TWO + b"BTS|2",
        ONE + TWO + b"BTS\rFTS",
        b"\xef\xbb\xbf" + FHS + ONE + TWO,
        b"\r\n\r\n" + BHS + ONE + TWO,
    ],
    ids=range(10),
)
def test_every_part_of_the_envelope_is_optional(content):
    """B1: the same messages, and starts and ends that nest all the same."""
    events = read(content)

    assert members(events) == [ONE, TWO]
    assert faults(events) == []
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["FileStart", "BatchStart", "Member", "Member", "BatchEnd", "FileEnd"]


def test_what_an_envelope_says_is_read_with_its_own_delimiters():
    """B4: not with those of the messages."""
    header, trailer = b"BHS#*~\\&#A#B#C#D#####B7\r", b"BTS#2#a|b\r"
    events = read(header + ONE + TWO + trailer)

    start, end = events[1], events[-2]
    assert (start.header.name, start.header.field(1), start.header.field(2)) == (
        "BHS",
        b"#",
        b"*~\\&",
    )
    assert (start.header.field(11), start.header.field(12)) == (b"B7", b"")
    assert (end.trailer.field(1), end.trailer.field(2)) == (b"2", b"a|b")
    assert faults(events) == []


@pytest.mark.parametrize(
    ("content", "said", "location"),
    [
        (BHS + ONE + b"BTS|2\r", "BTS-1 says 2, messages counted: 1", "BTS-1"),
        (BHS + b"BTS|1\r", "BTS-1 says 1, messages counted: 0", "BTS-1"),
        (FHS + ONE + b"FTS|2\r", "FTS-1 says 2, batches counted: 1", "FTS-1"),
        (BHS + ONE + b"BTS|one\r", "BTS-1 is not a number", "BTS-1"),
        (BHS + ONE + b"BTS|" + b"9" * 5000, "BTS-1 is not a number", "BTS-1"),
    ],
)
def test_a_wrong_count_is_an_error_or_a_note(content, said, location):
    """B2: strict refuses the file, lenient tells and goes on; empty counts are not checked."""
    assert faults(read(content)) == [Fault(said, location, counts=True)]
    with pytest.raises(BatchInvalid, match=said) as caught:
        batch.survey([content])
    assert caught.value.location == location
    assert batch.survey([content], counts="lenient").faults == (
        Fault(said, location, counts=True),
    )


def test_counts_that_are_not_valued_are_not_checked():
    """B2: `BTS` and `BTS||3` say nothing."""
    for trailer in (b"BTS\r", b"BTS|\r", b"BTS||3\r", b"BTS| \r"):
        assert faults(read(BHS + ONE + trailer + b"FTS||x")) == []


@pytest.mark.parametrize("content", [FHS + BHS + b"BTS|0\rFTS|1\r", FHS + b"FTS|0\r", BHS])
def test_a_batch_of_none_is_legal(content):
    """B3: an answer to nothing, or a day without results."""
    found = batch.survey([content])
    assert (found.messages, found.faults) == (0, ())


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("blank", [b"", b"  ", b"\t", b"\x1c"])
def test_blank_lines_never_split_or_join(end, blank):
    """B4: between messages they belong to nobody, inside one they stay where they are."""
    one, two = ONE.replace(b"\r", end), TWO.replace(b"\r", end)
    gap = (blank + end) * 3
    inside = two.replace(b"OBX|1" + end, b"OBX|1" + end + gap)
    content = gap + BHS.replace(b"\r", end) + gap + one + gap + inside + gap + b"BTS|2" + gap

    events = read(content)
    assert members(events) == [one, inside]
    assert faults(events) == []


def test_trailing_white_space_of_a_last_field_is_the_messages():
    """B4: only whole blank lines are taken away."""
    content = ONE[:-1] + b"  \r\n \r\n" + TWO[:-1] + b"  "
    assert members(read(content)) == [ONE[:-1] + b"  \r\n", TWO[:-1] + b"  "]


def test_mllp_blocks_in_a_file_are_messages():
    """Files written by a simple-minded tap of a line."""
    content = b"\x0b" + ONE + b"\x1c\r\x0b" + TWO + b"\x1c\r"
    assert members(read(content[1:])) == [ONE, TWO]


@pytest.mark.parametrize("size", [1, 50, None])
def test_the_end_of_a_block_is_no_part_of_a_message_that_ends_without_a_line_end(size):
    """The carriage return behind it is the block's; one inside of a line stays."""
    odd = ONE[:-1].replace(b"||7", b"||7\x1c8 ")
    content = (
        b"".join(b"\x0b%b\x1c\r" % one for one in (ONE[:-1], odd, ONE))
        + b"\x0b%b\x1c" % ONE[:-1]
    )
    assert members(read(content, size)) == [ONE[:-1], odd, ONE, ONE[:-1]]


@pytest.mark.parametrize("blank", [b" ", b"\t", b"\x0b ", b" \x0b"])
def test_blanks_before_its_first_message_hide_no_batch(blank):
    """A single message may have them; of several the first is never read with the others in
    it: such a batch is refused."""
    assert not batch.is_batch(blank + ONE)
    assert batch.is_batch(blank + ONE + TWO)
    with pytest.raises(BatchInvalid, match="something that is no message stands first"):
        batch.survey([blank + ONE + TWO])


def test_text_that_looks_like_a_segment_inside_a_line_is_text():
    """Only the start of a line starts something, and only with a separator."""
    content = ONE + b"NTE|1||MSH|^~\\&| BTS|7\rMSHX|1\rBTSA|1\rMSH\r"
    assert members(read(content)) == [content]


@given(st.data())
def test_any_cut_gives_the_same_events(data):
    """B1: a file arrives in pieces of any size."""
    parts = st.sampled_from([
        ONE, TWO, ODD, FHS, BHS, b"BTS|1\r", b"BTS", b"FTS|1\n", b"FTS\r", b"\r", b"\n",
        b" \r", b"\x0b", b"\xef\xbb\xbf", b"NTE|x\r", b"MSH", b"M",
    ])  # fmt: skip
    content = b"".join(data.draw(st.lists(parts, max_size=12)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=8)))
    pieces = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]

    assert list(batch.events(pieces)) == read(content)


def test_every_split_point_gives_the_same_events():
    """B1: also between two bytes of a name or of a line end."""
    content = (
        b"\xef\xbb\xbf" + FHS + BHS + ONE.replace(b"\r", b"\r\n") + b"\n" + TWO + b"BTS\rFTS|1"
    )
    expected = read(content)
    for at in range(len(content)):
        assert list(batch.events([content[:at], content[at:]])) == expected
    assert read(content, size=1) == expected


@given(st.lists(st.binary(max_size=30)))
def test_any_bytes_end_in_events(chunks):
    """P10: no file ends the reader with another exception, and starts and ends nest."""
    depth = 0
    for event in batch.events([b"MSH|^~\\&|\r", *chunks]):
        depth += isinstance(event, FileStart | BatchStart)
        depth -= isinstance(event, FileEnd | BatchEnd)
        assert depth == 2 or not isinstance(event, Member)
    assert depth == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no message"),
        (b" \r\n\r\n", "no message"),
        (b"id,name\r\n1,x\r\n", "stands first"),
        (b"PID|1\r" + ONE, "stands first"),
        (BHS + b"ZZZ|1\r" + ONE, "outside of any message"),
    ],
)
def test_what_is_no_batch_is_said_so(content, said):
    """B4: an error under both options; a message behind it is found all the same."""
    events = read(content)
    assert any(said in fault.text and not fault.counts for fault in faults(events))
    assert members(events) == ([ONE] if ONE in content else [])
    with pytest.raises(BatchInvalid, match=said):
        batch.survey([content], counts="lenient")


def test_a_message_past_the_limit_refuses_the_file():
    """M3: in one piece or in many, and before it is all in memory."""
    content = BHS + ONE + b"MSH|^~\\&|" + b"x" * 5000
    for size in (None, 100):
        with pytest.raises(BatchInvalid, match="exceeds 2000 bytes"):
            read(content, size, limit=2000)
    assert members(read(BHS + ONE * 100, limit=len(ONE))) == [ONE] * 100


def test_fifty_thousand_messages_pass_in_the_memory_of_a_few():
    """B6: a file is never held whole."""
    count, block = 50_000, ONE * 100
    reader = BatchReader()
    seen = 0
    tracemalloc.start()
    for _ in range(count // 100):
        seen += len(members(reader.feed(block)))
    seen += len(members(reader.feed(b"BTS|%d\r" % count)))
    rest = reader.end()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert seen + len(members(rest)) == count
    assert faults(rest) == []
    assert peak < 1 << 20


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (ONE, False),
        (b"\r\n" + ONE, False),
        (b"\xef\xbb\xbf" + ONE, False),
        (ONE + b"NTE|1||BTS FTS MSH|\r", False),
        (b"no HL7", False),
        (b"", False),
        (ONE + TWO, True),
        (ONE + b"\r\n" + ODD, True),
        (BHS + ONE, True),
        (FHS, True),
        (ONE + b"BTS|1", True),
    ],
    ids=range(11),
)
def test_a_frame_that_holds_more_than_one_message_is_told(content, told):
    """No batch in a frame is ever answered by one AA for its first message."""
    assert batch.is_batch(content) is told


def answered(content, *, errors_only=False):
    """The reply to a content: message 2 has an error."""
    reply, made = Reply("R1", AT, errors_only=errors_only), []
    for event in read(content):
        if isinstance(event, Member):
            number = b"%d" % event.number
            ack = b"MSH|^~\\&|||||||ACK\rMSA|%b|%b\r" % (
                b"AE" if event.number == 2 else b"AA",
                number,
            )
            made.append(reply.answer(ack, positive=event.number != 2))
        made.append(reply.feed(event))
    return b"".join(made)


def test_the_reply_refers_to_the_batch_it_answers():
    """B5: BHS-11 and FHS-11 come back in BHS-12 and FHS-12; sender and receiver swap."""
    reply = answered(FHS + BHS + ONE + TWO + b"BTS|2\r" + BHS + b"BTS|0\rFTS|2\r")
    events = read(reply)

    file, first = events[0].header, events[1].header
    assert (file.field(11), file.field(12)) == (b"R1", b"F1")
    assert (first.field(11), first.field(12)) == (b"R1.1", b"B1")
    assert [first.field(n) for n in (3, 4, 5, 6)] == [b"LAB", b"L2", b"HIS^1", b"HOSP"]
    assert re.fullmatch(rb"\d{14}\+0000", first.field(7))
    assert len(members(events)) == 2
    assert faults(events) == []
    assert reply.endswith(
        b"BTS|2\rBHS|^~\\&|LAB|L2|HIS^1|HOSP|20260921141320+0000||||R1.2|B1\rBTS|0\rFTS|2\r"
    )


def test_the_reply_may_hold_the_errors_alone():
    """B5: a batch of successes is answered by a batch of none."""
    reply = answered(BHS + ONE + TWO + ONE + b"BTS|3\r", errors_only=True)
    assert reply.count(b"MSA|AE|2") == reply.count(b"MSA") == 1
    assert reply.endswith(b"BTS|1\r")
    assert answered(BHS + ONE, errors_only=True).endswith(b"|R1.1|B1\rBTS|0\r")


def test_the_reply_has_the_delimiters_and_levels_of_what_it_answers():
    """B5: no envelope, no envelope; an odd one, the same odd one."""
    assert answered(ONE) == b"MSH|^~\\&|||||||ACK\rMSA|AA|1\r"
    reply = answered(b"BHS#*~\\&#A#B#C#D#####B7\r" + ONE)
    assert reply.startswith(b"BHS#*~\\&#C#D#A#B#")
    assert reply.endswith(
        b"##R1.1#B7\r".replace(b"##R1.1", b"#R1.1") + b"MSH|^~\\&|||||||ACK\rMSA|AA|1\rBTS#1\r"
    )


def test_published_batches_fall_apart_into_their_messages():
    """B1: as many as the corpus' index counts, all bytes of each where they were."""
    if not (CORPUS / "index.csv").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("the corpus is missing beside the project")
        pytest.skip("the corpus lies beside the project only in its own workshop")
    seen = 0
    for file in sorted((CORPUS / "v2").rglob("*.hl7")):
        content = file.read_bytes()
        events = read(content)
        lines = [
            line for line in re.split(rb"[\r\n\x0b]", content.removeprefix(b"\xef\xbb\xbf"))
        ]
        starts = [n for n in lines if re.match(rb"MSH[^A-Za-z0-9\s]", n)]
        assert len(members(events)) == len(starts), file.name
        for event in events:
            if isinstance(event, Member):
                assert content.startswith(event.content, event.offset), file.name
        seen += any(isinstance(e, BatchStart) and e.header for e in events)
        assert events == read(content, size=997), file.name
    assert seen > 5
