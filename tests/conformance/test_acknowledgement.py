"""A1 to A14 from outside: every condition and outcome, one running appliance, real sockets."""

import itertools
import re
import time

import pytest

from conformance.words import codes, fields, fresh, message

EMPTY, AL, NE, ER, SU = "", "AL", "NE", "ER", "SU"
CONDITIONS = (EMPTY, AL, NE, ER, SU)
SEX = {"success": "A", "error": "E", "reject": "R"}
MODES = ("auto", "original", "enhanced", "none")

# Chapter 2.9.3 and table 0155, as a table: what each phase says when it ended so.
ACCEPT = {AL: "CA", SU: "CA", NE: None, ER: None, EMPTY: None}  # it is stored: success
APPLICATION = {
    "success": {AL: "AA", SU: "AA", NE: None, ER: None, EMPTY: None},
    "error": {AL: "AE", ER: "AE", NE: None, SU: None, EMPTY: None},
    "reject": {AL: "AR", ER: "AR", NE: None, SU: None, EMPTY: None},
}
MATRIX = tuple(itertools.product(CONDITIONS, CONDITIONS, SEX))


def wanted(mode: str, accept: str, application: str, outcome: str) -> list[str]:
    """The codes in their order, of a message that is stored and then ends so."""
    if mode == "none":
        return []
    if mode == "original" or (mode == "auto" and not accept and not application):
        return [APPLICATION[outcome][AL]]
    if not accept and not application:
        accept = application = AL
    said = (ACCEPT[accept], APPLICATION[outcome][application])
    return [code for code in said if code]


def cells():
    """Every mode with every cell of the matrix."""
    for mode, (accept, application, outcome) in itertools.product(MODES, MATRIX):
        name = f"{mode} {accept or '-'} {application or '-'} {outcome}"
        yield pytest.param(mode, accept, application, outcome, id=name)


@pytest.fixture(scope="module")
def said(appliance):
    """What came back for each cell: all of a mode's messages in one go, on one connection."""
    found = {}
    for mode in MODES:
        ids = {cell: fresh() for cell in MATRIX}
        contents = [
            message(ids[cell], accept=cell[0], application=cell[1], sex=SEX[cell[2]])
            for cell in MATRIX
        ]
        told = codes(appliance.answers(mode, *contents))
        for cell, control_id in ids.items():
            found[mode, *cell] = told.pop(control_id.encode(), [])
        assert not told, "an answer names a message that was not sent"
    return found


@pytest.mark.parametrize(("mode", "accept", "application", "outcome"), [*cells()])
def test_every_condition_with_every_outcome_and_mode(said, mode, accept, application, outcome):
    """A1, A2, A3, A4: 4 x 5 x 5 x 3 messages, each stored and then taken, refused, rejected."""
    told = said[mode, accept, application, outcome]

    assert told == wanted(mode, accept, application, outcome)


@pytest.mark.parametrize("accept", [AL, ER])
@pytest.mark.parametrize("application", CONDITIONS)
def test_a_message_that_fails_at_the_door_is_told_once(appliance, accept, application):
    """A3: without MSH-9 the accept phase ends in error, and the other never begins."""
    broken = message(kind="", accept=accept, application=application)

    assert list(codes(appliance.answers("auto", broken)).values()) == [["CE"]]


@pytest.mark.parametrize("accept", [AL, ER])
@pytest.mark.parametrize("application", [EMPTY, NE, SU, AL, ER])
def test_a_type_that_nobody_takes_is_rejected_at_the_door(appliance, accept, application):
    """A3, A5: `unmatched: refuse` is CR, code 200, and no application answer after it."""
    stranger = message(accept=accept, application=application)
    told = appliance.answers("choosy", stranger)

    assert list(codes(told).values()) == [["CR"]]
    assert fields(told[0], b"ERR")[3].startswith(b"200^")


@pytest.mark.parametrize(
    ("what", "code", "options"),
    [
        ("processing id", b"202", {"processing": "D"}),
        ("version", b"203", {"version": "3.0"}),
        ("key", b"204", {"sex": "R"}),
    ],
)
def test_a_rule_of_the_site_rejects_with_its_code(appliance, what, code, options):
    """A5: AR with a code of table 0357 that a `validate` step names."""
    [told] = appliance.answers("auto", message(**options))

    assert fields(told, b"MSA")[1] == b"AR"
    assert fields(told, b"ERR")[3].startswith(code + b"^")


def test_the_accept_answer_does_not_wait_for_the_verdict(appliance):
    """A14: CA follows the journal while the application answer waits for the delivery."""
    told = appliance.answers("held", message(accept=AL, application=AL))

    assert [fields(one, b"MSA")[1] for one in told] == [b"CA", b"AE"]


@pytest.mark.parametrize(
    "control_id",
    ["A^B&C~D", r"\F\\S\\T\\R\\E\ ", r"lone\backslash", "Ünï", " blank ", "9" * 199, '""'],
    ids=["components", "escapes", "lone backslash", "latin-1", "blanks", "long", "delete"],
)
def test_msa_2_is_msh_10_byte_for_byte(appliance, control_id):
    """A6: nothing is unescaped, cut, trimmed or re-encoded."""
    control_id = control_id.encode("latin-1") + fresh().encode()
    content = message("ID", charset="8859/1").replace(b"|ID|", b"|" + control_id + b"|")
    [told] = appliance.answers("auto", content)

    assert fields(told, b"MSA")[1:3] == [b"AA", control_id]


def test_an_id_that_ends_in_half_an_end_mark_is_answered(appliance):
    """A6: the answer is whole, because a field separator stands between `1C` and CR."""
    control_id = fresh().encode() + b"\x1c"
    [told] = appliance.answers("auto", message("ID").replace(b"|ID|", b"|" + control_id + b"|"))

    assert fields(told, b"MSA")[1:3] == [b"AA", control_id]


VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_header_of_an_answer_in_each_version(appliance, version):
    """A7: swapped identity with its components, new MSH-10, echoes of MSH-11 and MSH-12."""
    sent = message(version=version, kind="ADT^A01", processing="T", charset="8859/1")
    [told] = appliance.answers("auto", sent)
    asked, got = fields(sent, b"MSH"), fields(told, b"MSH")

    assert got[3:5] == [b"PORTICO", b"HOUSE^9"]
    assert got[5:7] == [b"HIS^1.2.3^ISO", b"WARD^A&B"]
    assert re.fullmatch(rb"\d{14}\+0000", got[7])
    assert got[9] == (b"ACK" if version in ("2.1", "2.2", "2.3") else b"ACK^A01^ACK")
    assert re.fullmatch(rb"[0-9A-Z]{20}", got[10]) and got[10] != asked[10]
    assert got[11:13] == [b"T", version.encode()]
    assert got[18:] == [b"8859/1"]


def test_every_answer_has_a_control_id_of_its_own(appliance):
    """A7: also the two of one message."""
    sent = [message(accept=AL, application=AL) for _ in range(20)]
    told = appliance.answers("auto", *sent)

    assert len(told) == 40
    assert len({fields(one, b"MSH")[10] for one in told}) == 40


def test_an_answer_has_the_delimiters_of_the_message(appliance):
    """A7, E1: odd ones too, and in every field that we make."""
    table = bytes.maketrans(b"|^~\\&", b"#$%*@")
    control_id = fresh().encode()
    [told] = appliance.answers("auto", message(control_id.decode(), sex="E").translate(table))

    assert told.startswith(b"MSH#$%*@#PORTICO#HOUSE$9#HIS$1.2.3$ISO#WARD$A@B#")
    assert fields(told, b"MSA")[1:] == [b"AE", control_id]
    assert fields(told, b"ERR")[2] == b"PID$1$8"


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_is_told_where_its_version_looks_for_it(appliance, version):
    """A8: ERR with location, code, severity and text from 2.5 on; MSA-3 before."""
    [told] = appliance.answers("auto", message(version=version, sex="E"))
    err = fields(told, b"ERR")

    if version < "2.5":
        assert fields(told, b"MSA")[3:] == [b"Not this one"] and err == []
    else:
        assert len(fields(told, b"MSA")) == 3
        assert err[2:5] == [b"PID^1^8", b"103^Table value not found^HL70357", b"E"]
        assert err[8] == b"Not this one"


def test_a_channels_text_stands_in_a_positive_answer(appliance):
    """A8: `text:` is MSA-3, made from the message."""
    [told] = appliance.answers("told", message())

    assert fields(told, b"MSA")[3] == b"Kept for EXAMPLE"


@pytest.mark.parametrize("channel", ["auto", "original", "enhanced", "none", "journaled"])
@pytest.mark.parametrize("kind", ["ACK", "ACK^A01", "ACK^A01^ACK"])
def test_an_acknowledgement_is_never_acknowledged(appliance, channel, kind):
    """A9: no loops, in any mode; only MSH-15 of a deferred answer can ask for a CA."""
    answers = [message(kind=kind) + b"MSA|AA|X1\r" for _ in range(2)]

    assert appliance.say(channel, *answers) == b""


@pytest.mark.parametrize("text", [b"hello", b"PID|1", b"MSH", b"MSHHHHHHH", b"{}", b"\x00"])
def test_what_has_no_header_closes_the_connection_without_a_word(appliance, text):
    """A10: nothing can be answered; what came before it was."""
    before = message()
    [told] = appliance.answers("journaled", before, text, message())

    assert fields(told, b"MSA")[1] == b"AA"
    assert fields(told, b"MSA")[2] == fields(before, b"MSH")[10]


@pytest.mark.parametrize(
    ("what", "field", "code"), [("no type", 9, b"101"), ("no control id", 10, b"101")]
)
def test_a_header_that_cannot_be_used_is_refused(appliance, what, field, code):
    """A10: a NACK with the place, where the delimiters are known."""
    cut = message().split(b"|")
    cut[field - 1] = b""
    [told] = appliance.answers("journaled", b"|".join(cut))

    assert fields(told, b"MSA")[1] == b"AE"
    assert fields(told, b"ERR")[2:4] == [
        b"MSH^1^%d" % field,
        code + b"^Required field missing^HL70357",
    ]


@pytest.mark.parametrize("between", [b"", b"\r", b"\n", b"\r\n\r\n"])
@pytest.mark.parametrize("accept", [EMPTY, AL])
def test_two_messages_in_a_frame_never_get_one_positive_answer(appliance, between, accept):
    """A10: one AA or CA would promise the second message too."""
    two = [message(accept=accept), message(accept=accept)]
    told = codes(appliance.answers("journaled", two[0] + between + two[1]))
    positive = [code for said in told.values() for code in said if code in ("AA", "CA")]

    assert told and len(positive) in (0, 2)


def test_a_batch_in_a_frame_is_answered_by_a_batch(appliance):
    """B5: each message has its answer; BHS-12 names the batch."""
    one, two = message(), message()
    batch = b"BHS|^~\\&|HIS|WARD|PORTICO|HOUSE|20260314091500||||B77\r" + one + two + b"BTS|2\r"
    [told] = appliance.answers("journaled", batch)

    assert fields(told, b"BHS")[12] == b"B77"
    assert told.count(b"MSA|AA|") == 2


def test_the_same_message_again_gets_the_same_answer(appliance):
    """A13: byte for byte, on another connection."""
    content = message(accept=AL, application=AL)
    first = appliance.say("journaled", content)

    assert first and appliance.say("journaled", content) == first


def test_a_sender_that_repeats_one_message_for_ever_slows_nobody(appliance):
    """A13, P6: the two-thousandth repeat costs about as much as a new message."""
    one = message()
    appliance.answers("journaled", *[one] * 2000)

    def seconds(*contents: bytes) -> float:
        begun = time.perf_counter()
        assert len(appliance.answers("journaled", *contents)) == len(contents)
        return time.perf_counter() - begun

    fresh_ones = min(seconds(*(message() for _ in range(500))) for _ in range(2))
    repeats = min(seconds(*[one] * 500) for _ in range(2))
    assert repeats < 5 * fresh_ones


def test_after_a_refusal_the_same_message_runs_anew(appliance):
    """A13: a negative answer is not kept for it."""
    content = message(sex="E")
    first, second = (appliance.answers("auto", content)[0] for _ in range(2))

    assert fields(first, b"MSA") == fields(second, b"MSA")
    assert fields(first, b"MSH")[10] != fields(second, b"MSH")[10]


def test_another_message_under_the_same_id_has_an_answer_of_its_own(appliance):
    """A13: `changed: process` is the default."""
    control_id = fresh()
    sent = [message(control_id), message(control_id) + b"ZXX|1\r"]
    first, second = (appliance.answers("journaled", one)[0] for one in sent)

    assert fields(first, b"MSA")[1:3] == fields(second, b"MSA")[1:3]
    assert fields(first, b"MSH")[10] != fields(second, b"MSH")[10]


def test_who_waits_for_a_delivery_is_told_when_time_is_up(appliance):
    """A14: `delivered` with its limit; the destination of this channel is down."""
    [told] = appliance.answers("held", message())

    assert fields(told, b"MSA")[1] == b"AE"
    assert b"the message is kept" in fields(told, b"ERR")[8]
