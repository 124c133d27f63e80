"""When a schedule is due, in words of cron, across both changes of the clocks."""

from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from portico.listeners import plan

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


def at(text, zone=BERLIN, fold=0):
    """Seconds since 1970 of a wall clock's time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp())


def planned(cron, after, count, zone=BERLIN):
    """The next times, as a person there would say them."""
    found = islice(plan.times(cron, zone, at(after, zone)), count)
    return [plan.text(one, zone)[5:] for one in found]


@pytest.mark.parametrize(
    ("cron", "after", "wanted"),
    [
        # Spring: 02:00 to 03:00 do not exist on 29 March 2026.
        ("30 2 * * *", "2026-03-28T12:00", ["03-29T03:00:00+02:00", "03-30T02:30:00+02:00"]),
        ("30 3 * * *", "2026-03-28T12:00", ["03-29T03:30:00+02:00", "03-30T03:30:00+02:00"]),
        ("0 * * * *", "2026-03-29T00:30", ["03-29T01:00:00+01:00", "03-29T03:00:00+02:00"]),
        # Autumn: 02:00 to 03:00 are there twice on 25 October 2026.
        ("30 2 * * *", "2026-10-24T12:00", ["10-25T02:30:00+02:00", "10-26T02:30:00+01:00"]),
        (
            "30 * * * *",
            "2026-10-25T01:00",
            ["10-25T01:30:00+02:00", "10-25T02:30:00+02:00", "10-25T02:30:00+01:00"],
        ),
        # Day of month and day of week are alternatives (crontab(5)).
        ("0 0 13 * 5", "2026-02-01T00:00", ["02-06T00:00:00+01:00", "02-13T00:00:00+01:00"]),
        ("0 0 * * 0", "2026-01-01T00:00", ["01-04T00:00:00+01:00", "01-11T00:00:00+01:00"]),
    ],
)
def test_planned_times(cron, after, wanted):
    """Each time comes once, none is lost, whatever the clocks do."""
    assert planned(cron, after, len(wanted)) == wanted


def test_every_day_of_a_year_has_one_time_in_every_zone():
    """365 days: 365 times, both changes included."""
    for zone in (BERLIN, NEW_YORK, ZoneInfo("Australia/Lord_Howe")):
        for cron in ("30 2 * * *", "0 1 * * *", "59 23 * * *"):
            found = plan.times(cron, zone, at("2026-01-01T00:00", zone))
            days = [plan.text(one, zone)[:10] for one in islice(found, 365)]
            assert len(set(days)) == 365


@pytest.mark.parametrize(
    ("cron", "first"),
    [
        ("30 2 * * *", "10-26T02:30:00+01:00"),
        ("30 1,2,3 * * *", "10-25T03:30:00+01:00"),
        ("30 * * * *", "10-25T02:30:00+01:00"),
    ],
)
def test_in_the_hour_that_is_there_twice_no_time_lies_in_the_past(cron, first):
    """A plan that is new at 02:10 of its second round: 02:30 has been, in the first."""
    after = at("2026-10-25T02:10", fold=1)

    assert plan.text(plan.following(cron, BERLIN, after), BERLIN)[5:] == first
    assert plan.due(cron, BERLIN, after, after + 60, "all") == plan.Due((), ())


LAST, NOW = at("2026-05-01T00:05"), at("2026-05-04T12:00")


@pytest.mark.parametrize(
    ("catch_up", "fired", "missed"), [("none", 0, 3), ("one", 1, 2), ("all", 3, 0)]
)
def test_missed_times_go_by_policy(catch_up, fired, missed):
    """Three nights without an engine: none, the last one, or all are fired now."""
    due = plan.due("5 0 * * *", BERLIN, LAST, NOW, catch_up)

    assert (len(due.fire), len(due.missed)) == (fired, missed)
    assert sorted(due.fire + due.missed) == [at(f"2026-05-0{day}T00:05") for day in (2, 3, 4)]
    assert catch_up != "one" or due.fire == (at("2026-05-04T00:05"),)


def test_the_latest_is_fired_however_many_were_missed():
    """Also where they are as many as are dealt with at a look, and no next look finds more."""
    for missed in (plan.MOST - 1, plan.MOST, plan.MOST + 1):
        last, fired = NOW - missed * 300, []
        while (due := plan.due("*/5 * * * *", BERLIN, last, NOW + 90, "one")).missed:
            last, fired = (due.missed + due.fire)[-1], [*fired, *due.fire]
        fired += due.fire
        assert fired == [NOW]


@pytest.mark.parametrize("catch_up", ["none", "one", "all"])
def test_a_time_that_has_just_come_is_always_fired(catch_up):
    """It is not missed because it is a moment late; what was missed before it still may be."""
    now = at("2026-05-02T00:05") + 0.04

    assert plan.due("5 0 * * *", BERLIN, LAST, now, catch_up).fire == (int(now),)


def test_a_clock_that_was_set_back_fires_nothing_twice():
    """What was dealt with stays so."""
    assert plan.due("* * * * *", BERLIN, NOW, NOW - 3600, "all") == plan.Due((), ())


def test_years_of_missed_times_are_dealt_with_in_pieces():
    """Memory is bound: MOST at a look."""
    due = plan.due("* * * * *", BERLIN, at("2020-01-01T00:00"), NOW, "all")

    assert len(due.fire) == plan.MOST
