"""bench.channels: medians against floors, and senders that take no wrong answer."""

import asyncio

import pytest

from bench import channels, senders


def test_a_median_is_held_to_its_floor():
    """Figures without a floor stand beside; one that is missed decides."""
    found = {"mllp, of J": [0.2], "tcp, of J": [0.05, 0.11, 0.3], "schedule, latest ms": [9.0]}
    shown, held = channels.table(found)
    assert (shown.row_count, held) == (3, True)
    assert not channels.table({**found, "schedule, latest ms": [9.0, 51.0, 60.0]})[1]


@pytest.mark.parametrize("kind", ["tcp", "https"])
async def test_a_sender_waits_for_the_whole_answer_and_wants_aa(kind):
    """The next message leaves only then; a refusal ends the measurement."""
    told = [0]
    sender = senders.KINDS[kind](senders.messages.Frames(), told)
    written = []

    class Transport(asyncio.Transport):
        def write(self, data):
            written.append(data)

    sender.connection_made(Transport())
    ack = sender.wrap(b"MSH|x\rMSA|AA|1\r")
    sender.data_received(ack[:-1])
    assert (told, len(written)) == ([0], 1)
    sender.data_received(ack[-1:])
    assert (told, len(written)) == ([1], 2)
    with pytest.raises(SystemExit):
        sender.data_received(sender.wrap(b"MSH|x\rMSA|AE|1\r"))
