"""A channel opens, waits for its port, is held and swapped; others do not notice."""

import asyncio
from types import SimpleNamespace

import pytest

from portico.errors import ListenFailed
from portico.flow.arrivals.channels import Channel, Origin


class ListenerTwin:
    """A listener that opens if its place is free."""

    def __init__(self, origin, taken):
        self.origin, self.taken = origin, taken
        self.held, self.running, self.adopted = False, False, []

    async def start(self):
        """Open."""
        await asyncio.sleep(0)
        if self.origin.where in self.taken:
            raise ListenFailed(f"{self.origin.where}: another program listens there")
        self.running = True

    def hold(self):
        """Read nothing."""
        self.held = True

    def release(self):
        """Read."""
        self.held = False

    def adopt(self, source):
        """Anything but another port."""
        self.adopted.append(source)
        return source != "other port"

    async def stop(self, grace):
        """Close."""
        self.running = False

    def connections(self):
        """Two."""
        return 2


@pytest.fixture
def built(time):
    """A channel whose listeners are twins."""
    taken, made, events = set(), [], []

    def build(origin):
        made.append(ListenerTwin(origin, taken))
        return made[-1]

    intake = SimpleNamespace(name="adt")
    channel = Channel(intake, Origin("mllp", "here", "a"), build, events.append, time.later)
    return SimpleNamespace(channel=channel, made=made, taken=taken, events=events, time=time)


def told(events):
    """The events' names."""
    return [type(event).__name__ for event in events]


async def test_a_port_in_use_is_said_once_and_opened_when_free(built):
    """The channel is tried every few seconds; each try that fails alike says nothing."""
    built.taken.add("here")
    await built.channel.start()
    assert built.channel.fault.startswith("here")
    for _ in range(3):
        built.time.pass_(5)
        await built.channel._task
    assert told(built.events) == ["ChannelFailed"]
    built.taken.clear()
    built.time.pass_(5)
    await built.channel._task

    assert built.channel.open
    assert not built.channel.fault
    assert told(built.events) == ["ChannelFailed", "ChannelOpened"]


async def test_a_stop_ends_the_tries(built):
    """A channel that left the site opens no port later."""
    built.taken.add("here")
    await built.channel.start()
    await built.channel.stop(0)
    built.taken.clear()
    built.time.pass_(20)

    assert not any(listener.running for listener in built.made)


async def test_a_stop_during_a_try_leaves_nothing_open(built):
    """The try is under way when the channel leaves."""
    built.taken.add("here")
    await built.channel.start()
    built.taken.clear()
    built.time.pass_(5)
    await built.channel.stop(0)
    for _ in range(5):
        await asyncio.sleep(0)

    assert not any(listener.running for listener in built.made)


async def test_a_held_channel_opens_held(built):
    """Back-pressure outlives a swap."""
    built.channel.hold("answers")
    await built.channel.start()
    assert built.made[0].held

    built.channel.release("answers")

    assert not built.made[0].held


async def test_a_swap_keeps_the_listener_where_it_can(built):
    """Same options: nothing; others: adopted; another port: closed and opened."""
    await built.channel.start()
    await built.channel.swap(Origin("mllp", "here", "a"), 0)
    await built.channel.swap(Origin("mllp", "here", "b"), 0)
    assert [listener.adopted for listener in built.made] == [["b"]]

    await built.channel.swap(Origin("mllp", "there", "other port"), 0)

    assert [listener.running for listener in built.made] == [False, True]


async def test_a_swap_of_a_failed_channel_tries_the_new_place_at_once(built):
    """An operator mends the port and reloads."""
    built.taken.add("here")
    await built.channel.start()
    await built.channel.swap(Origin("mllp", "there", "a"), 0)

    assert built.channel.open
    assert built.channel.connections == 2
