"""B1 to B5 in frames, as a running appliance answers them."""

import pytest

from conformance.words import fields, fresh, message

BHS = b"BHS|^~\\&|HIS|WARD|PORTICO|HOUSE|20260314091500||||%b\r"


def acknowledged(said: bytes) -> list[tuple[bytes, bytes]]:
    """MSA-1 and MSA-2 of each answer in a reply."""
    lines = (line.split(b"|") for line in said.split(b"\r") if line.startswith(b"MSA|"))
    return [(line[1], line[2]) for line in lines]


def told(frames: list[bytes]) -> list[bytes]:
    """The codes of all answers, whatever holds them."""
    return [code for frame in frames for code, _ in acknowledged(frame)]


def test_every_message_of_a_batch_is_answered_in_one_reply(appliance):
    """B1, B5: types mixed; the reply names FHS-11 and BHS-11 in FHS-12 and BHS-12."""
    ids = [fresh() for _ in range(3)]
    kinds = ("ADT^A01", "ORU^R01", "ADT^A08")
    bodies = [message(one, kind=kind) for one, kind in zip(ids, kinds, strict=True)]
    file = b"FHS|^~\\&|HIS|||||||F.1|F9\r" + BHS % b"B9" + b"".join(bodies) + b"BTS|3\rFTS|1\r"
    [reply] = appliance.answers("journaled", file)

    assert acknowledged(reply) == [(b"AA", one.encode()) for one in ids]
    assert fields(reply, b"FHS")[12] == b"F9"
    assert fields(reply, b"BHS")[12] == b"B9"


@pytest.mark.parametrize("trailer", [b"BTS|3\r", b"BTS|1\r", b"BTS|2\rFTS|2\r"])
def test_a_wrong_count_refuses_all_of_a_batch(appliance, trailer):
    """B2: nothing of it is promised; `counts: lenient` takes it."""
    batch = BHS % b"B1" + message() + message() + trailer

    answers = appliance.answers("journaled", batch)
    assert told(answers) == [b"AE", b"AE"]
    assert fields(answers[0], b"ERR")[3].startswith(b"100^")
    [reply] = appliance.answers("errors", batch)
    assert (fields(reply, b"BHS")[12], acknowledged(reply)) == (b"B1", [])


def test_a_reply_may_hold_the_errors_alone(appliance):
    """B5: `reply: errors`."""
    good, bad = message(), message(kind="")
    frames = appliance.answers("errors", BHS % b"B2" + good + bad + b"BTS|2\r")

    assert [acknowledged(one) for one in frames] == [[(b"AE", fields(bad, b"MSH")[10])]]


def test_a_batch_of_none_is_answered_by_one_of_none(appliance):
    """B3: legal, and its reply names it."""
    [reply] = appliance.answers("journaled", BHS % b"B3" + b"BTS|0\r")

    assert fields(reply, b"BHS")[12] == b"B3"
    assert acknowledged(reply) == []


@pytest.mark.parametrize("blank", [b"\r", b"\n\n", b"\r\n \r\n"])
def test_blank_lines_in_a_batch_change_nothing(appliance, blank):
    """B4: between messages, and before the first."""
    one, two = message(), message()
    batch = blank + BHS % b"B4" + blank + one + blank + two + blank + b"BTS|2\r" + blank

    assert told(appliance.answers("journaled", batch)) == [b"AA", b"AA"]


def test_a_channel_may_refuse_every_batch(appliance):
    """B1: `batch: no`; several messages in one frame are one refusal, never one AA."""
    two = message() + message()

    assert told(appliance.answers("single", two)) == [b"AE"]
    assert appliance.answers("single", BHS % b"B5" + two + b"BTS|2\r") == []
