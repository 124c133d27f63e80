"""server/parts.py: back-pressure of a channel's answers."""

from types import SimpleNamespace

from portico.server import parts
from portico.server.parts import House


class ChannelTwin:
    """A channel that keeps why it is held."""

    def __init__(self, *holds):
        self.holds = set(holds)
        self.hold, self.release = self.holds.add, self.holds.discard


def pressed(channel, owed):
    """A channel's debt of answers has become this."""
    house = object.__new__(House)
    house.channels = {"adt": channel}
    channel.intake = SimpleNamespace(name="adt", owed=owed)
    house._pressed(channel.intake)


def test_a_channel_that_a_full_queue_holds_is_held_for_its_answers_too():
    """When the queue is eased, reading does not go on before the journal has caught up."""
    channel = ChannelTwin("queue")
    pressed(channel, parts._HIGH)
    channel.release("queue")
    assert channel.holds == {"answers"}

    pressed(channel, parts._LOW)
    assert channel.holds == set()


def test_what_a_channel_owes_that_left_the_site_holds_no_other_of_its_name():
    """Its answers wait for a destination that is down; the one that came later reads."""
    channel = ChannelTwin()
    pressed(channel, 0)
    house = object.__new__(House)
    house.channels = {"adt": channel}
    house._pressed(SimpleNamespace(name="adt", owed=parts._HIGH))

    assert channel.holds == set()
