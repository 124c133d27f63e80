"""From an outcome to what the sender reads (PROTOCOLS A2, A4, A10)."""

import pytest

from portico import ids
from portico.errors import ContentInvalid, RequiredMissing
from portico.hl7 import ack
from portico.hl7.header import read
from portico.ids import SignalId
from portico.model.receipt import Told
from portico.model.verdict import Refusal
from portico.policy import answer
from portico.policy.answer import Answering

ID = SignalId(bytes.fromhex("019a3b1c0000700080000000deadbeef"))


def header(modes=""):
    """Of a message with MSH-15 and MSH-16."""
    return read(f"MSH|^~\\&|HIS|ST|LAB|ST|1||ADT^A01|M1|P|2.5|||{modes}\r".encode())


def codes(receipt):
    """The codes of its replies."""
    return [ack.read(reply).code for reply in receipt.replies]


@pytest.mark.parametrize(
    ("modes", "expected"),
    [("", ["AA"]), ("AL|NE", ["CA"]), ("NE|AL", ["AA"]), ("AL|AL", ["CA", "AA"]),
     ("NE|NE", []), ("ER|ER", [])],
)  # fmt: skip
def test_a_taken_message_is_answered_as_its_sender_asked(modes, expected):
    """Both phases where both are asked for; what is counted is a code that leaves."""
    receipt = answer.accepted(Answering(), header(modes), ID, "")

    assert codes(receipt) == expected
    assert receipt.code in (expected or [""])


@pytest.mark.parametrize(
    ("modes", "expected"),
    [("", ["AE"]), ("AL|NE", ["CE"]), ("NE|AL", ["AE"]), ("AL|AL", ["CE"]), ("ER|ER", ["CE"]),
     ("NE|NE", []), ("SU|ER", ["AE"])],
)  # fmt: skip
def test_an_unacceptable_message_gets_one_answer(modes, expected):
    """It fails in the accept phase and never reaches the other: never both codes."""
    fault = RequiredMissing("MSH-10 is empty", "MSH-10")
    receipt = answer.unacceptable(Answering(), header(modes), ID, fault)

    assert codes(receipt) == expected
    assert receipt.told is Told.REFUSED


def test_what_has_no_header_is_closed():
    """A10: nothing can be answered, and never a silent AA."""
    receipt = answer.unacceptable(Answering(), None, ID, RequiredMissing("no MSH", ""))

    assert receipt.close
    assert not receipt.replies


@pytest.mark.parametrize(
    ("asked", "channel", "code"),
    [("AE", "AE", "AE"), ("AR", "AE", "AR"), ("AE", "AR", "AR")],
)
def test_the_worse_of_agent_and_channel_counts(asked, channel, code):
    """on_refuse: AR makes every refusal one."""
    receipt = answer.refused(Answering(on_refuse=channel), header(), ID, Refusal(asked))

    assert codes(receipt) == [code]


def test_the_same_signal_is_always_answered_alike():
    """A repeat gets the bytes of the first answer."""
    first = answer.accepted(Answering(), header(), ID, "stored")

    assert answer.accepted(Answering(), header(), ID, "stored") == first


def test_two_answers_of_one_message_have_two_control_ids():
    """MSH-10 is unique."""
    receipt = answer.accepted(Answering(), header("AL|AL"), ID, "")
    numbers = {reply.split(b"|")[9] for reply in receipt.replies}

    assert len(numbers) == 2


@pytest.mark.parametrize(("on_error", "close"), [("AE", False), ("AR", False), ("close", True)])
def test_our_fault_is_told_as_the_channel_says(on_error, close):
    """Or the connection is closed."""
    receipt = answer.failed(Answering(on_error=on_error), header(), ID, "too late")

    assert receipt.close is close
    assert codes(receipt) == ([] if close else [on_error])


def test_other_content_is_told_in_plain_words():
    """No header: a code, a text, a place, and the body that the channel's text makes."""
    fault = ContentInvalid("not JSON", "/mrn")
    taken = answer.accepted(Answering(), None, ID, "stored, thank you")
    wrong = answer.unacceptable(Answering(), None, ID, fault)
    refused = answer.refused(
        Answering(), None, ID, Refusal("AR", "103", "no such ward", "/ward")
    )
    late = answer.failed(Answering(), None, ID, "too late")

    assert (taken.replies, taken.code) == ((b"stored, thank you",), "accepted")
    assert (wrong.code, wrong.text, wrong.location) == (fault.code, "not JSON", "/mrn")
    assert (refused.told, refused.code, refused.text) == (Told.REFUSED, "103", "no such ward")
    assert refused.location == "/ward"
    assert (late.told, late.code, late.text) == (Told.FAILED, "failed", "too late")
    assert not (wrong.replies or refused.replies or late.replies)


@pytest.mark.parametrize("header", [None, header(), header("AL|AL")])
def test_every_answer_names_its_signal(header):
    """Whatever was told, the sender can name the message to us."""
    told = [
        answer.accepted(Answering(), header, ID, ""),
        answer.unmatched(Answering(), header, ID),
        answer.unacceptable(Answering(), header, ID, RequiredMissing("no", "MSH-9")),
        answer.refused(Answering(), header, ID, Refusal()),
        answer.failed(Answering(on_error="close"), header, ID, "too late"),
    ]

    assert {receipt.named for receipt in told} == {ids.text(ID)}


def test_a_bare_answer_is_the_text_alone():
    """A source with its own `reply` says nothing in HL7's words, whatever the content."""
    rules = Answering(bare=True)

    assert answer.accepted(rules, header("AL|AL"), ID, "OK").replies == (b"OK",)
    assert answer.committed(rules, header("AL|AL"), ID) is None
    assert answer.refused(rules, header(), ID, Refusal()).replies == ()
    assert answer.unmatched(rules, header(), ID).replies == ()


@pytest.mark.parametrize(
    ("body", "told", "code"),
    [
        (b"MSH|^~\\&|A|B|C|D|1||ACK|2|P|2.5\rMSA|AA|M1\r", Told.ACCEPTED, "AA"),
        (b"MSH|^~\\&|A|B|C|D|1||ACK|2|P|2.5\rMSA|AR|M1\r", Told.REFUSED, "AR"),
        (b"MSH|^~\\&|A|B|C|D|1||ACK|2|P|2.5\rMSA|AAX|M1\r", Told.ACCEPTED, "accepted"),
        (b"MSH|^~\\&|A|B|C|D|1||RSP|2|P|2.5\rQAK|1\r", Told.ACCEPTED, "accepted"),
        (b'{"ok": true}', Told.ACCEPTED, "accepted"),
    ],
)
def test_anothers_answer_is_passed_on_and_its_code_counts(body, told, code):
    """Verbatim, for HL7 and for other content; only codes of table 0008 are believed."""
    for of in (None, header()):
        receipt = answer.relayed(Answering(), of, ID, body)

        assert (receipt.replies, receipt.told, receipt.code) == ((body,), told, code)


@pytest.mark.parametrize(
    ("modes", "mode", "deferred", "expected"),
    [
        ("AL|AL", "auto", "acks", True),
        ("NE|ER", "auto", "acks", True),
        ("AL|NE", "auto", "acks", False),
        ("", "auto", "acks", False),
        ("", "enhanced", "acks", True),
        ("AL|AL", "original", "acks", False),
        ("AL|AL", "auto", "", False),
    ],
)
def test_the_application_answer_is_deferred_in_enhanced_mode(modes, mode, deferred, expected):
    """A12: where the channel says so and the sender may want one."""
    assert answer.defers(Answering(mode=mode, deferred=deferred), header(modes)) is expected
