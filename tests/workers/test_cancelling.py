"""Items that are ended by a person, and what items say while they run."""

import pytest

from portico.agents.item import Item
from portico.events.running import WorkerDied, WorkerEnded
from portico.model.verdict import Failure
from portico.workers import protocol, staff
from portico.workers.backlog import Backlog
from portico.workers.protocol import Log, Progress

ONE, TWO, THREE = (bytes([n]) * 16 for n in (1, 2, 3))
WHY = Failure("step.cancelled", "by ann")


async def runs(works, signal):
    """Wait until it says so."""
    await works.until(lambda: (it := works.pool.look("acts", signal)) and it.saying.step)


async def test_an_item_says_how_far_it_is_while_it_runs(works):
    """Progress and log lines are there before the result, and forgotten with it."""
    await works.activate()
    said = works.submit("speak", "2", signal=ONE)
    await works.until(lambda: (f := works.pool.look("acts", ONE)) and f.saying.step)
    found = works.pool.look("acts", ONE)

    assert (found.saying.step, found.saying.done, found.saying.total) == ("python_1", 3.0, 12.0)
    assert [line.text for line in found.saying.lines] == ["it goes on"]
    assert found.pid in works.pids()
    assert [line.text for line in (await said).result.logs] == ["it goes on"]
    assert works.pool.look("acts", ONE) is None


async def test_an_item_that_never_stops_talking_is_no_flood(works):
    """Its worker says some of it, and all that is kept comes with the result."""
    await works.activate()
    (pid,) = works.pids()
    outcome = await works.submit("babble", "20000")

    assert outcome.result.failure is None
    assert len(outcome.result.logs) == 101
    assert works.pids() == [pid]


@pytest.mark.parametrize(
    ("words", "how"),
    [
        ([Progress(2, 0, "python_1", 1.0)], "a frame that it does not run"),
        ([Progress(1, 1, "python_1", 1.0)], "an item that it does not run"),
        ([Log(1, 0, ())] * 500, "a flood"),
    ],
)
async def test_words_that_are_not_its_own_are_the_end_of_a_worker(works, words, how):
    """It may speak of the item that it runs, five times as fast as an honest one would."""
    await works.activate()
    said = b"".join(map(protocol.encode, words)).hex()
    failure = (await works.submit("say", said)).result.failure

    assert failure.code == "step.crashed"
    assert how in works.said(WorkerDied)[0].how


async def test_an_item_that_runs_can_be_ended(works):
    """In the middle of what it does; those beside it lose nothing, its worker goes."""
    await works.activate()
    (pid,) = works.pids()
    ended, after = works.submit("pause", "30", signal=ONE), works.submit("echo", signal=TWO)
    await runs(works, ONE)

    assert works.pool.cancel("acts", ONE, WHY)
    assert (await ended).result.failure == WHY
    assert (await after).result.failure is None
    await works.until(lambda: pid not in works.pids())
    assert not works.said(WorkerDied)


async def test_an_item_that_will_not_end_is_ended_with_its_worker(works, monkeypatch):
    """After its grace; what shared the frame is run by the next worker, in its order."""
    monkeypatch.setattr(staff, "_CANCEL_SECONDS", 0.2)
    await works.activate()
    defied = works.submit("defy", "30", signal=ONE, group="a")
    after = [works.submit("echo", signal=one, group="a") for one in (TWO, THREE)]
    await runs(works, ONE)

    assert works.pool.cancel("acts", ONE, WHY)
    assert (await defied).result.failure == WHY
    assert [(await one).result.failure for one in after] == [None, None]
    assert "cancelled" in [event.code for event in works.said(WorkerEnded)]


async def test_an_item_that_waits_can_be_ended(works):
    """It is never run; its place in the queue was told."""
    await works.activate()
    first = works.submit("pause", "2", signal=ONE)
    await runs(works, ONE)
    second, third = works.submit("echo", signal=TWO), works.submit("echo", signal=THREE)
    await works.until(lambda: works.pool.look("acts", THREE))

    assert [works.pool.look("acts", one).place for one in (TWO, THREE)] == [1, 2]
    assert works.pool.cancel("acts", TWO, WHY)
    assert works.pool.look("acts", THREE).place == 1
    assert not works.pool.cancel("acts", bytes(16), WHY)
    assert (await second).result.failure == WHY
    assert [(await one).result.failure for one in (first, third)] == [None, None]


def test_places_count_by_turns():
    """Groups take turns, so a long one does not push the others back."""
    backlog = Backlog()
    for number, key in enumerate("aaab"):
        backlog.add(item(number), key, lambda outcome: None)

    assert [backlog.place(bytes([n]) * 16) for n in range(4)] == [1, 3, 4, 2]
    assert [task.item.signal[0] for task in backlog.take(4, 1000)] == [0, 3, 1, 2]


def test_what_was_withdrawn_leaves_no_gap():
    """The group goes on with the next, or is gone."""
    backlog = Backlog()
    for number, key in enumerate(("a", "a", "b", "")):
        backlog.add(item(number), key, lambda outcome: None)
    gone = [backlog.withdraw(bytes([n]) * 16) for n in (0, 2, 3, 9)]

    assert [task and task.item.signal[0] for task in gone] == [0, 2, 3, None]
    assert len(backlog) == 1
    assert [task.item.signal[0] for task in backlog.take(9, 1000)] == [1]


def item(number):
    """An item of that Signal."""
    return Item(bytes([number]) * 16, b"", {})
