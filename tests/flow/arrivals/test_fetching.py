"""portico.flow.arrivals.fetching: how a file falls apart into messages."""

import io
from types import SimpleNamespace

import pytest

from portico.clock import SystemClock
from portico.errors import MessageError
from portico.flow.arrivals.desk import Policy
from portico.flow.arrivals.fetching import Fetch
from portico.ids import IdMaker
from portico.language.content import Content
from portico.policy.answer import Answering, BatchRules
from portico.policy.routing import Rules

ONE = b"MSH|^~\\&|A|B|||2026||ADT^A01|1|P|2.5\rPID|1||7\r"
BATCH = b"BHS|^~\\&\r" + ONE + ONE + b"BTS|2\r"
CSV = b"id;name\r\n1;a\r\n\r\n2;\"b\r\nc\"\r\n"  # fmt: skip


def cut(content, kind, batch=BatchRules()):  # noqa: B008 -- frozen
    """The messages of a file, each with why it is refused."""
    policy = Policy(Rules("in", kind), Answering(), batch=batch)
    intake = SimpleNamespace(policy=policy, name="in")
    fetch = Fetch(intake, None, lambda: 0)
    return [
        (one, fault and str(fault))
        for one, fault in fetch.cut(io.BytesIO(content), len(content))
    ]


def replied(content, answers, batch=BatchRules(), kind=Content()):  # noqa: B008 -- frozen
    """The file that answers a file."""
    policy = Policy(Rules("in", kind), Answering(), batch=batch)
    world = SimpleNamespace(ids=IdMaker(SystemClock()), clock=SystemClock())
    fetch = Fetch(SimpleNamespace(policy=policy, name="in", world=world), None, lambda: 0)
    return b"".join(fetch.reply(io.BytesIO(content), answers)).split(b"\r")


WHOLE = b"FHS|^~\\&|A|B|C|D|2026||||F7\r" + BATCH.replace(b"BHS|^~\\&", b"BHS|^~\\&|||||||||B7")
TOLD = [(True, b"MSH|1\rMSA|AA|1\r"), (False, b"MSH|2\rMSA|AE|2\r")]


def test_b5_a_batch_file_is_answered_by_a_batch_of_its_answers():
    """It refers to the file and the batch, swaps sender and receiver, and counts."""
    got = replied(WHOLE + b"FTS|1\r", TOLD)
    head, batch, *rest = got
    assert head.split(b"|")[2:6] == [b"C", b"D", b"A", b"B"]
    assert (head.split(b"|")[11], batch.split(b"|")[11]) == (b"F7", b"B7")
    assert rest == [b"MSH|1", b"MSA|AA|1", b"MSH|2", b"MSA|AE|2", b"BTS|2", b"FTS|1", b""]


def test_b5_errors_alone_or_no_envelope_where_the_channel_says_so():
    """Silence is not counted, and a file of other content has no answer."""
    file = WHOLE + b"FTS|1\r"
    assert replied(file, TOLD, BatchRules(reply="errors"))[2:5] == [
        b"MSH|2", b"MSA|AE|2", b"BTS|1",
    ]  # fmt: skip
    alone = b"".join(said for _, said in TOLD).split(b"\r")
    assert replied(file, TOLD, BatchRules(reply="none")) == alone
    assert replied(ONE + ONE, TOLD) == alone
    assert b"BTS|0" in replied(file, [(True, b""), (True, b"")])
    assert replied(CSV, TOLD, kind=Content("csv", separator=";")) == [b""]


def test_b5_a_file_in_utf_16_and_one_that_is_broken_are_answered():
    """Of the broken one what was handed up, in an envelope that ends."""
    wide = ("\ufeff" + WHOLE.decode()).encode("utf-16-le")
    assert replied(wide, TOLD)[2:7] == replied(WHOLE, TOLD)[2:7]
    assert replied(WHOLE + b"BTS|2\r" + ONE, TOLD[:1])[2:5] == [
        b"MSH|1", b"MSA|AA|1", b"BTS|1",
    ]  # fmt: skip


@pytest.mark.parametrize("content", [ONE, ONE + b"\r\n\r\n", b"no HL7 at all"])
def test_one_message_is_the_file_byte_for_byte(content):
    """P5: what intake journals are the bytes of the file; it refuses what is no message."""
    assert cut(content, Content()) == [(content, None)]


def test_b2_a_batch_is_cut_and_refused_whole_when_its_count_is_wrong():
    """Each of its messages is told why."""
    assert cut(BATCH, Content()) == [(ONE, None), (ONE, None)]
    said = "BTS-1 says 3, messages counted: 2"
    assert cut(BATCH.replace(b"BTS|2", b"BTS|3"), Content()) == [(ONE, said), (ONE, said)]
    assert cut(BATCH, Content(), None) == [(BATCH, None)]


def test_each_row_of_csv_is_a_message_below_its_names():
    """`batch: no` takes the file as one."""
    kind = Content("csv", separator=";")
    assert cut(CSV, kind) == [
        (b"id;name\r\n1;a\r\n", None), (b'id;name\r\n2;"b\r\nc"\r\n', None),
    ]  # fmt: skip
    assert cut(CSV, kind, None) == [(CSV, None)]


def test_a_csv_file_that_is_broken_further_on_runs_no_row():
    """Its rows up to there are told; one that is broken at once is the file's own fault."""
    kind = Content("csv", separator=";")
    said = "line 3 of the CSV has a quote out of place"
    assert cut(b'id;name\n1;a\n2;"b"x\n', kind) == [(b"id;name\n1;a\n", said)]
    with pytest.raises(MessageError, match="line 1 of the CSV"):
        cut(b'"id"x\n1\n', kind)


@pytest.mark.parametrize("kind", ["json", "xml", "bytes"])
def test_other_content_is_one_message(kind):
    """Whatever it looks like."""
    assert cut(BATCH, Content(kind)) == [(BATCH, None)]


def test_a_utf_16_file_falls_apart_too():
    """Each message with a mark of its own."""
    parts = cut(("\ufeff" + BATCH.decode()).encode("utf-16-le"), Content())
    assert parts == [(("\ufeff" + ONE.decode()).encode("utf-16-le"), None)] * 2
