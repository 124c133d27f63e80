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
        if self.origin.where == "broken":
            raise KeyError("a word that nobody prints")
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
        await built.channel._retrying
    assert told(built.events) == ["ChannelFailed"]
    built.taken.clear()
    built.time.pass_(5)
    await built.channel._retrying

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


async def test_a_channel_that_is_released_while_it_opens_is_not_left_held(built):
    """A queue eases while a reload opens the source at another place."""
    built.channel.hold("queue")
    opening = asyncio.ensure_future(built.channel.start())
    await asyncio.sleep(0)
    built.channel.release("queue")
    await opening

    assert (built.made[0].running, built.made[0].held) == (True, False)


async def test_a_swap_keeps_the_listener_where_it_can(built):
    """Same options: nothing; others: adopted; another port: closed and opened."""
    await built.channel.start()
    await built.channel.swap(Origin("mllp", "here", "a"), 0)
    await built.channel.swap(Origin("mllp", "here", "b"), 0)
    assert [listener.adopted for listener in built.made] == [["b"]]

    await built.channel.swap(Origin("mllp", "there", "other port"), 0)
    assert [listener.running for listener in built.made] == [False]
    await built.channel.start()

    assert [listener.running for listener in built.made] == [False, True]


async def test_a_swap_of_a_failed_channel_tries_the_new_place_at_once(built):
    """An operator mends the port and reloads."""
    built.taken.add("here")
    await built.channel.start()
    await built.channel.swap(Origin("mllp", "there", "a"), 0)
    await built.channel.start()

    assert built.channel.open
    assert built.channel.connections == 2


async def test_one_source_is_opened_however_many_ask(built):
    """The disk or an operator opens it while a try is under way; no fault is left behind."""
    built.taken.add("here")
    await built.channel.start()
    built.taken.clear()
    built.time.pass_(5)
    await asyncio.gather(built.channel.reopen("disk"), built.channel._retrying)

    assert [listener.running for listener in built.made] == [False, True]
    assert built.channel.open and not built.channel.fault
    built.time.pass_(20)
    assert len(built.made) == 2


async def test_a_fault_of_ours_is_said_and_the_source_tried_again(built):
    """Without its words; the channel can still be closed, and others are not touched."""
    built.channel.origin = Origin("mllp", "broken", "a")
    await built.channel.start()
    built.time.pass_(5)
    await built.channel._retrying

    assert told(built.events) == ["ChannelFailed"]
    assert (built.events[0].code, built.channel.fault) == ("internal", "KeyError")
    await built.channel.swap(Origin("mllp", "here", "a"), 0)
    await built.channel.start()
    assert built.channel.open and not built.channel.fault


async def test_a_channel_that_has_left_is_not_opened_again(built):
    """Whoever asks for it later."""
    await built.channel.start()
    await built.channel.stop(0)
    await built.channel.reopen("wish")

    assert not built.channel.open
