"""Crews of editions: loaded when asked for, in order, let go when idle."""

import asyncio

import pytest

from portico.agents.item import Item
from portico.errors import JournalUnavailable
from portico.flow.sessions import recorded
from portico.flow.sessions.recorded import Recorded, RecordedWorld
from portico.model.verdict import Failure, Kind, SessionResult
from portico.workers.backlog import Outcome
from portico.workers.faults import EditionGone

DONE = Outcome(SessionResult(Kind.DELIVER))


class Site:
    """A pool that keeps what it is given, and a journal that opens what it is told to."""

    def __init__(self):
        self.given, self.closed, self.timers = [], [], []
        self.opening, self.closing, self.opened = asyncio.Event(), asyncio.Event(), 0
        self.closing.set()
        self.faults = []
        world = RecordedWorld(
            self, self.open, self.close, lambda wait, call: self.timers.append(call)
        )
        self.recorded = Recorded(world)

    async def open(self, crew):
        """Wait until the test lets it."""
        self.opened += 1
        await self.opening.wait()
        if self.faults:
            raise self.faults.pop(0)

    async def close(self, crew):
        """The same, and remember."""
        await self.closing.wait()
        self.closed.append(crew)

    def submit(self, agent, item, group, done):
        """Remember."""
        self.given.append((agent, item.signal[-1], done))

    def cancel(self, agent, signal, failure):
        """Only the edition has it."""
        return agent == "a@v1"

    def look(self, agent, signal):
        """Only the edition has it."""
        return agent if agent == "a@v1" else None

    def offer(self, number, crew="a@v1"):
        """An item; gives the list of its outcomes."""
        told = []
        self.recorded.submit(crew, Item(bytes([number]), b"", {}, "", 1), "g", told.append)
        return told

    async def turn(self):
        """What the loop has to do."""
        for _ in range(5):
            await asyncio.sleep(0)

    def tick(self):
        """The timers that are set."""
        due, self.timers[:] = list(self.timers), []
        for call in due:
            call()


@pytest.fixture
async def site():
    """One of each."""
    return Site()


async def test_what_comes_while_an_edition_loads_waits_in_its_order(site):
    """And the agent in force works on beside it."""
    site.offer(1), site.offer(2), site.offer(3, crew="a")
    assert [one[:2] for one in site.given] == [("a", 3)]
    site.opening.set()
    await site.turn()
    site.offer(4)
    assert [one[:2] for one in site.given[1:]] == [("a@v1", 1), ("a@v1", 2), ("a@v1", 4)]


async def test_an_edition_that_cannot_be_had_is_the_items_failure(site):
    """Each is told why; the next one is tried anew."""
    site.faults = [EditionGone("which is gone")]
    told = site.offer(1)
    site.opening.set()
    await site.turn()
    failure = Failure("step.edition_gone", "which is gone")
    assert told == [Outcome(SessionResult(Kind.FAULT, failure=failure))]
    assert await site.recorded.ready("a@v1") == ""


async def test_a_journal_that_is_away_is_asked_again(site, monkeypatch):
    """Nothing is given up for that."""
    monkeypatch.setattr(recorded, "_AGAIN", 0)
    site.faults = [JournalUnavailable("away")]
    told = site.offer(1)
    site.opening.set()
    await site.turn()
    assert (told, len(site.given)) == ([], 1)


async def test_an_idle_crew_goes_and_a_busy_one_stays(site):
    """What it does between two looks, and what is out, keeps it."""
    site.opening.set()
    site.offer(1)
    await site.turn()
    site.tick()
    site.tick()
    assert site.closed == []
    site.given[0][2](DONE)
    site.offer(2)
    site.given[1][2](DONE)
    site.tick()
    site.tick()
    await site.turn()
    assert site.closed == ["a@v1"]


async def test_an_edition_that_is_asked_for_while_it_goes_comes_after_that(site):
    """What is closed are the old workers and files, and never those of the next."""
    site.opening.set()
    site.closing.clear()
    assert await site.recorded.ready("a@v1") == ""
    site.tick()
    await site.turn()
    site.offer(1)
    await site.turn()
    assert (site.opened, site.closed) == (1, [])

    site.closing.set()
    await site.turn()

    assert (site.opened, site.closed, len(site.given)) == (2, ["a@v1"], 1)


async def test_a_person_finds_and_ends_what_an_edition_runs(site):
    """By the agent's name: nobody knows the other."""
    site.opening.set()
    site.offer(1)
    await site.turn()
    assert site.recorded.look("a", b"") == "a@v1"
    assert site.recorded.cancel("a", b"", Failure("", ""))
    assert not site.recorded.cancel("b", b"", Failure("", ""))
