"""What sources remember, in a real PostgreSQL."""

import os

import pytest

from portico.clock import SystemClock
from portico.errors import JournalUnavailable
from portico.journal.memory import Memories


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


async def test_a_planned_time_is_dealt_with_once(memories):
    """The first outcome stands; what is older than a year goes."""
    await memories.fired("a", 100, "begun")
    await memories.fired("a", 1_000_000_000, "fired")
    await memories.fired("a", 1_000_000_000, "missed")

    assert await memories.firing("a") == (1_000_000_000, "fired")
    assert await memories.firing("b") is None


async def test_a_journal_that_is_away_is_an_error_that_says_so():
    """The source waits and asks again."""
    memories = Memories(lambda: "host=/nowhere dbname=x", SystemClock())
    with pytest.raises(JournalUnavailable):
        await memories.mark("a")
