"""The schedule source: a Signal for each planned time, once."""

import asyncio
import json
import time
from types import SimpleNamespace

import pytest

from listeners.fetching import NOT_STORED, STORED, Journal, until
from portico.clock import SystemClock
from portico.errors import JournalUnavailable
from portico.listeners import schedule as schedules
from portico.listeners.contract import Firing, Surroundings
from portico.listeners.schedule import SCHEDULE


class Clock(SystemClock):
    """The machine's, set so that a test begins five seconds after a full minute."""

    def __init__(self):
        self._minute = int(time.time()) // 60 * 60
        self.set(5.0)

    def set(self, second):
        """Go on so many seconds after that minute."""
        self._ahead = int((self._minute + second) * 1e9) - super().time_ns()

    def time_ns(self):
        """As it was set."""
        return super().time_ns() + self._ahead

    def before(self, minutes):
        """The full minute so many minutes before that in which the test begins."""
        return self._minute - minutes * 60


@pytest.fixture
def clock():
    """The schedule's."""
    return Clock()


@pytest.fixture
async def planned(tmp_path, clock):
    """`planned(journal, **options)`: a started schedule."""
    started = []

    async def start(journal=None, **options):
        journal = journal or Journal()
        given = {"cron": "* * * * *", "timezone": "Europe/Berlin", **options}
        source = SCHEDULE.options.model_validate(given)
        around = Surroundings(None, clock, journal.events.append, tmp_path, fetching=journal)
        schedule = SCHEDULE.build("night", source, lambda arrival: None, around)
        await schedule.start()
        started.append(schedule)
        return SimpleNamespace(schedule=schedule, journal=journal, clock=clock)

    yield start
    for schedule in started:
        await schedule.stop(1)


def dealt(journal):
    """What became of each time."""
    return {(firing.planned, firing.outcome) for firing in journal.memory.firings.values()}


async def test_a_new_plan_begins_now(planned):
    """Nothing that was due before the channel was there is made up for."""
    one = await planned(catch_up="all")
    await until(lambda: one.journal.memory.firings)

    assert [firing.outcome for firing in one.journal.memory.firings.values()] == ["begun"]
    assert one.journal.taken == []


async def test_a_plan_that_is_changed_begins_now(planned, clock):
    """It makes up for nothing that it would have done in the other's place; nor does a plan
    that is put back for the time in which another stood there."""
    journal = Journal()
    await journal.memory.fired(Firing(clock.before(300), "fired", "* * * * * Europe/Berlin"))
    await journal.memory.fired(Firing(clock.before(100), "fired", "0 2 * * * Europe/Berlin"))
    await planned(journal, catch_up="all")
    await until(lambda: len(journal.memory.firings) == 3)

    assert journal.memory.firings[max(journal.memory.firings)].outcome == "begun"
    assert journal.taken == []


async def test_a_changed_plan_begins_behind_the_others_last_time(planned, clock):
    """Where the clock was set back a little since."""
    journal, last = Journal(), clock.before(-30)
    await journal.memory.fired(Firing(last, "fired", "0 2 * * * UTC"))
    await planned(journal, timezone="UTC")
    await until(lambda: (last, "begun") in dealt(journal))

    assert journal.memory.firings == {last: Firing(last, "begun", "* * * * * UTC")}


async def test_a_plan_that_is_spaced_otherwise_is_the_same(planned, clock):
    """It goes on where it was."""
    journal = Journal()
    await journal.memory.fired(Firing(clock.before(1), "fired", "* * * * * Europe/Berlin"))
    await planned(journal, cron="*  *  * * *")
    await until(lambda: (clock.before(0), "fired") in dealt(journal))


@pytest.mark.parametrize(("catch_up", "count"), [("one", 1), ("all", 3)])
async def test_missed_times_are_caught_up_with(planned, catch_up, count, clock):
    """After three minutes without an engine; each has its row."""
    journal = Journal()
    await journal.memory.fired(Firing(clock.before(4), "fired"))
    start = clock.before(3)
    await planned(journal, catch_up=catch_up, overlap="queue")
    await until(lambda: len(journal.taken) >= count)
    times = [json.loads(content)["planned"] for content in journal.contents()]

    assert len(set(times)) == len(times)
    assert all(text.endswith(("+01:00", "+02:00")) for text in times)
    assert catch_up == "one" or f"planned\0{start}" == journal.taken[0][1]


async def test_catching_up_waits_while_the_channel_is_held(planned, clock):
    """Back-pressure: the rest follows when it is released."""
    journal = Journal()
    await journal.memory.fired(Firing(clock.before(100), "fired"))
    journal.receipt = None
    one = await planned(journal, catch_up="all", overlap="queue")
    await until(lambda: journal.owed)
    one.schedule.hold()
    journal.receipt = STORED
    journal.owed.pop().answer(STORED)
    await until(lambda: (clock.before(99), "fired") in dealt(journal))
    await asyncio.sleep(0.05)
    held = len(journal.taken)
    one.schedule.release()
    await until(lambda: len(journal.taken) == 100)

    assert held == 1


async def test_a_time_whose_row_could_not_be_written_has_been_fired_all_the_same(
    planned, clock, monkeypatch
):
    """It is no overlap of itself: not handed up again, not told to have been passed over."""
    monkeypatch.setattr(schedules, "_AGAIN", 0.01)
    journal, faults = Journal(), [JournalUnavailable("away")]
    await journal.memory.fired(Firing(clock.before(1), "fired"))
    kept = journal.memory.fired

    async def fired(firing):
        journal.busy = 1
        while faults:
            raise faults.pop()
        await kept(firing)

    journal.memory.fired = fired
    await planned(journal)
    await until(lambda: len(journal.memory.firings) == 2)

    assert (clock.before(0), "fired") in dealt(journal)
    assert not journal.named("ScheduleOverlapped")


async def test_a_time_that_the_journal_did_not_take_is_fired_again(planned, clock):
    """Under the same identity, so that it can only count once."""
    journal = Journal()
    await journal.memory.fired(Firing(clock.before(1), "fired"))
    journal.receipt = NOT_STORED
    await planned(journal)
    await until(lambda: journal.taken)
    journal.receipt = STORED
    await until(lambda: (clock.before(0), "fired") in dealt(journal))

    assert len({identity for _, identity, _ in journal.taken}) == 1


async def test_a_time_that_comes_while_the_last_is_not_stored_follows_it(planned, clock):
    """At once, and not when the clock is looked at again, a minute later."""
    journal = Journal()
    journal.receipt = NOT_STORED
    await journal.memory.fired(Firing(clock.before(1), "fired"))
    clock.set(59.5)
    await planned(journal)
    await until(lambda: journal.taken)
    clock.set(60.0)
    journal.receipt = STORED
    await until(lambda: (clock.before(-1), "fired") in dealt(journal))

    assert (clock.before(0), "fired") in dealt(journal)


async def test_a_second_life_fires_nothing_twice(planned, clock):
    """The row says what was dealt with."""
    journal = Journal()
    await journal.memory.fired(Firing(clock.before(1), "fired"))
    one = await planned(journal)
    await until(lambda: (clock.before(0), "fired") in dealt(journal))
    await one.schedule.stop(1)
    count = len(journal.taken)
    again = await planned(journal)
    await again.schedule.fire()

    assert len(journal.taken) == count + 1


async def test_an_overlapping_time_is_skipped_and_told(planned, clock):
    """`overlap: skip` while the Signal of the last has not ended; `queue` hands it up."""
    for overlap, taken in (("skip", 0), ("queue", 1)):
        journal = Journal()
        journal.busy = 1
        await journal.memory.fired(Firing(clock.before(1), "fired"))
        await planned(journal, overlap=overlap)
        await until(lambda j=journal: len(j.memory.firings) == 2)
        assert len(journal.taken) == taken
        assert len(journal.named("ScheduleOverlapped")) == 1 - taken


async def test_a_time_is_fired_when_it_comes_and_not_before(planned, clock):
    """Within 50 ms of the wall clock, on a machine that is not stalled all the time."""
    moments = []
    for _ in range(5):
        clock.set(59.85)
        journal = Journal()
        real = journal.once
        journal.once = lambda *given, take=real: (moments.append(clock.time_ns()), take(*given))
        await planned(journal)
        await until(lambda taken=journal.taken: taken)
        late = moments[-1] / 1e9 - clock.before(-1)
        assert late >= 0
        if late < 0.05:
            return

    pytest.fail("never in time")


async def test_the_clock_is_looked_at_again_whatever_became_of_it(planned, clock, monkeypatch):
    """Set back an hour the moment the scheduler was told when, and right again soon after."""
    machine = SystemClock()
    ahead = SimpleNamespace(time_ns=lambda: machine.time_ns() + 3_600_000_000_000)
    monkeypatch.setattr(schedules, "_MACHINE", ahead)
    monkeypatch.setattr(schedules, "_LOOK", 0.05)
    clock.set(59.8)
    one = await planned()
    await until(lambda: one.journal.taken, seconds=5)


async def test_a_clock_that_was_far_ahead_keeps_no_schedule_silent(planned, clock):
    """Its times lie in years to come; the plan goes on behind the last one that has been."""
    journal = Journal()
    await journal.memory.fired(Firing(clock.before(1), "fired"))
    await journal.memory.fired(Firing(clock.before(-5_000_000), "fired"))
    await planned(journal)
    await until(lambda: journal.taken)

    assert journal.taken[0][1] == f"planned\0{clock.before(0)}"


async def test_a_clock_that_starts_in_the_past_makes_up_for_nothing(
    planned, clock, monkeypatch
):
    """A machine without a clock of its own begins in 1970, until it is told the time."""
    monkeypatch.setattr(schedules, "_LOOK", 0.05)
    journal = Journal()
    await journal.memory.fired(Firing(clock.before(1), "fired"))
    clock.set(-5_000_000 * 60)
    await planned(journal, catch_up="all")
    await until(lambda: len(journal.memory.firings) == 2)
    clock.set(5.0)
    await until(lambda: journal.taken)

    assert [name for _, name, _ in journal.taken] == [f"planned\0{clock.before(0)}"]


async def test_a_schedule_fires_by_hand(planned):
    """Beside the plan, and the plan does not notice."""
    one = await planned(cron="0 0 1 1 *")
    await until(lambda: one.journal.memory.firings)
    stored = await asyncio.wait_for(one.schedule.fire(), 5)

    assert stored
    assert len(one.journal.taken) == 1
    assert len(one.journal.memory.firings) == 1


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("cron", "61 0 * * *", "is no plan"),
        ("cron", "0 0 30 2 *", "is no plan"),
        ("cron", "@daily", "is no plan"),
        ("timezone", "Europe/Berln", "is no time zone"),
    ],
)
def test_a_plan_that_never_comes_is_found_by_check(option, value, says):
    """In words that say what would be right."""
    given = {"cron": "5 0 * * *", "timezone": "Europe/Berlin", option: value}
    with pytest.raises(ValueError, match=says):
        SCHEDULE.options.model_validate(given)


async def test_a_fault_of_ours_is_told_and_the_schedule_goes_on(planned, monkeypatch, clock):
    """It fires later, and can still be stopped."""
    monkeypatch.setattr(schedules, "_AFTER_FAULT", 0.01)
    journal, faults = Journal(), iter([KeyError("a word that nobody prints")])
    await journal.memory.fired(Firing(clock.before(1), "fired"))
    asked = journal.memory.firing

    async def firing(until):
        for fault in faults:
            raise fault
        return await asked(until)

    journal.memory.firing = firing
    await planned(journal)
    await until(lambda: journal.taken)

    assert [(told.code, told.text) for told in journal.named("SourceLost")] == [
        ("internal", "KeyError")
    ]
