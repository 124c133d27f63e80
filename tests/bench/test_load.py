"""The generator and the sink of the benchmarks, against each other over real sockets."""

import pytest
from bench.cases import Generator, Receiver
from bench.generator import Plan

from bench import messages


@pytest.fixture
def receiver():
    """A sink in a process of its own."""
    with Receiver() as running:
        yield running


def load(plan):
    """What the generator reports of a plan."""
    generator = Generator(plan)
    try:
        generator.go()
        answered = generator.wait()
        report = generator.report()
    finally:
        generator.end()
    assert report["answered"] == answered
    return report


def test_a_message_is_one_kilobyte_and_its_control_id_is_unique():
    """Two frames of the same instant differ, and both have the size of the reference's body."""
    frames = messages.Frames()
    first, second = frames.render(7), frames.render(7)

    assert first[0] != second[0]
    assert {len(block) - len(b"\x0b\x1c\r") for _, block in (first, second)} == {messages.SIZE}
    assert messages.sent_at(first[0]) == 7


def test_every_message_sent_is_counted_on_both_sides(receiver):
    """What the generator saw answered is what the sink saw arrive, pipelined too."""
    report = load(Plan(receiver.port, connections=3, outstanding=4, seconds=0.2))

    assert report["answered"] >= 3 * 4
    assert receiver.report()["received"] == report["answered"]


def test_a_paced_load_keeps_its_rate(receiver):
    """Messages are due at fixed instants: their number is rate times seconds."""
    report = load(Plan(receiver.port, connections=4, outstanding=1, seconds=0.2, rate=500))

    assert abs(report["answered"] - 100) <= 1


def test_a_report_of_the_sink_begins_anew(receiver):
    """What was reported is not reported again."""
    load(Plan(receiver.port, connections=1, outstanding=1, seconds=0.05))
    receiver.report()

    assert receiver.report()["received"] == 0


def test_an_answer_that_is_not_aa_ends_the_load(stranger):
    """A refusal never counts as a message handled."""
    generator = Generator(Plan(stranger.port, 1, 1, seconds=5), quiet=True)
    try:
        generator.go()
        stranger.answer(
            lambda control_id: messages.answer(control_id).replace(b"|AA|", b"|AE|")
        )

        with pytest.raises(SystemExit):
            generator.wait()
    finally:
        generator.end()


def test_an_answer_to_another_message_ends_the_load(stranger):
    """MSA-2 is checked: an answer counts only for its own message."""
    generator = Generator(Plan(stranger.port, 1, 1, seconds=5), quiet=True)
    try:
        generator.go()
        stranger.answer(lambda control_id: messages.answer(b"0" * 16))

        with pytest.raises(SystemExit):
            generator.wait()
    finally:
        generator.end()
