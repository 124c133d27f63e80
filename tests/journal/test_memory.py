"""What sources remember, in a real PostgreSQL."""

import os

import pytest

from portico.clock import SystemClock
from portico.errors import JournalUnavailable
from portico.journal.memory import Memories


class Later:
    """A Clock that is so many seconds ahead."""

    def __init__(self, clock, seconds):
        self._clock, self._ahead = clock, seconds * 1_000_000_000
        self.monotonic = clock.monotonic

    def time_ns(self):
        """Nanoseconds since 1970."""
        return self._clock.time_ns() + self._ahead


@pytest.fixture
async def memories(journal_url):
    """The memory of an empty journal."""
    made = Memories(lambda: journal_url, SystemClock())
    yield made
    await made.close()


async def test_a_mark_is_made_once_for_each_channel(memories, journal_url):
    """The same in every engine on this journal, another for another channel."""
    second = Memories(lambda: journal_url, SystemClock())
    one, again = await memories.mark("a"), await second.mark("a")
    other = await memories.mark("b")
    await second.close()

    assert one == again != other
    assert len(one) == 8


async def test_files_are_remembered_as_they_were_read(memories):
    """By channel and name, whatever bytes the name has; the last state counts."""
    odd = os.fsdecode(b"\xff\n'\x01.hl7")
    await memories.remember("a", [("x", 1, 10), (odd, 2, 20)])
    await memories.remember("a", [("x", 3, 30)])
    await memories.remember("b", [("x", 9, 90)])

    assert sorted(await memories.known("a", ["x", odd, "new"])) == [("x", 3, 30), (odd, 2, 20)]


async def test_what_is_not_seen_for_long_is_forgotten(memories, journal_url):
    """Only of that channel; what was seen since stays."""
    for channel in "ab":
        await memories.remember(channel, [("gone", 1, 10), ("there", 1, 10)])
    after = Memories(lambda: journal_url, Later(SystemClock(), 3600))
    await after.seen("a", ["there", "new"])
    await after.forget("a", 60)
    await after.close()

    assert await memories.known("a", ["gone", "there", "new"]) == [("there", 1, 10)]
    assert len(await memories.known("b", ["gone", "there"])) == 2


async def test_a_planned_time_is_dealt_with_once(memories):
    """The first outcome stands; what is older than a year goes."""
    await memories.fired("a", 100, "begun", "daily")
    await memories.fired("a", 1_000_000_000, "fired", "daily")
    await memories.fired("a", 1_000_000_000, "missed", "daily")

    assert await memories.firing("a", 1_000_000_000) == (1_000_000_000, "fired", "daily")
    assert await memories.firing("a", 999_999_999) is None
    assert await memories.firing("b", 1_000_000_000) is None


async def test_a_plan_that_begins_is_known_behind_the_last_time_of_another(memories):
    """Also at the very second of that."""
    await memories.fired("a", 100, "fired", "daily")
    await memories.fired("a", 100, "begun", "hourly")

    assert await memories.firing("a", 200) == (100, "begun", "hourly")


async def test_a_journal_that_is_away_is_an_error_that_says_so():
    """The source waits and asks again."""
    memories = Memories(lambda: "host=/nowhere dbname=x", SystemClock())
    with pytest.raises(JournalUnavailable):
        await memories.mark("a")
