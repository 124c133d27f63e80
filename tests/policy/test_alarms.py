"""Alarms as states: opened once, closed once, and quiet while a value hovers."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from portico.policy import alarms
from portico.policy.alarms import Window


def run(values, limit=10):
    """What opened and closed while a queue's depth went through these values."""
    told, state = [], {}
    for now, value in enumerate(values):
        observation = alarms.measured("waiting", "destination", "lab", value, limit, "t")
        change = alarms.step(state, [observation], now)
        state = change.open
        told += [("open", now) for _ in change.opened] + [
            ("closed", now) for _ in change.closed
        ]
    return told


def test_an_alarm_opens_once_and_closes_once():
    """A flood of equal observations is one piece of news; it closes below four fifths."""
    assert run([0, 9, 10, 15, 30, 9, 8, 7, 7, 0]) == [("open", 2), ("closed", 7)]


def test_a_value_that_hovers_is_one_alarm():
    """Up and down around the limit: nobody is called ten times."""
    assert run([10, 9, 10, 9, 11, 8, 10, 9]) == [("open", 0)]


def test_an_alarm_keeps_its_beginning_and_takes_the_new_words():
    """`since` is when it opened; the text follows what is measured."""
    first = alarms.step({}, [alarms.parked("channel", "adt", 1, 1)], 100)
    second = alarms.step(first.open, [alarms.parked("channel", "adt", 5, 1)], 200)
    (one,) = second.open.values()

    assert (one.since, one.text) == (100, "waiting for a person: 5")
    assert not second.opened and not second.closed


def test_what_left_the_site_closes():
    """An alarm that nobody looks at any more is over."""
    opened = alarms.step({}, [alarms.parked("channel", "adt", 1, 1)], 100)
    change = alarms.step(opened.open, [], 200)

    assert not change.open
    assert [one.key for one in change.closed] == [("parked", "channel", "adt")]


def test_one_alarm_does_not_hide_another():
    """The same kind of two nouns, and two kinds of one noun, are four alarms."""
    observations = [
        alarms.state(kind, "channel", name, True, "t") for kind in "ab" for name in "xy"
    ]

    assert len(alarms.step({}, observations, 0).opened) == 4


def test_a_silent_feed_opens_and_a_message_closes():
    """Quiet for longer than expected; after a restart it stays open until something comes."""
    observation = alarms.silence("channel", "adt", 60, 61, True, False)
    assert (observation.opens, observation.closes) == (True, False)
    restarted = alarms.silence("channel", "adt", 60, 1, True, False)
    assert (restarted.opens, restarted.closes) == (False, False)
    came = alarms.silence("channel", "adt", 60, 0, True, True)
    assert (came.opens, came.closes) == (False, True)
    evening = alarms.silence("channel", "adt", 60, 999, False, False)
    assert (evening.opens, evening.closes) == (False, True)


@pytest.mark.parametrize(
    ("free", "shut", "full"),
    [(99, False, True), (100, False, False), (150, True, True), (200, True, False)],
)
def test_a_disk_closes_below_one_mark_and_opens_above_another(free, shut, full):
    """Between the two marks it stays as it is."""
    assert alarms.too_full(free, shut, close=100, reopen=200) is full


def test_a_certificate_says_how_long_it_lasts():
    """Within the limit it is an alarm; once it has ended it says so."""
    month = 30 * 86_400
    assert not alarms.certificate("hospital", month + 1, month).opens
    soon = alarms.certificate("hospital", 3.5 * 86_400, month)
    assert soon.opens and "3 days" in soon.text
    assert "has ended" in alarms.certificate("hospital", -1, month).text


BUSINESS = Window(("mon", "tue", "wed", "thu", "fri"), time(7), time(19))
NIGHT = Window(("fri",), time(22), time(6))
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("window", "at", "elapsed"),
    [
        (BUSINESS, datetime(2026, 11, 20, 7, tzinfo=BERLIN), 0),
        (BUSINESS, datetime(2026, 11, 20, 18, 59, 59, tzinfo=BERLIN), 43_199),
        (BUSINESS, datetime(2026, 11, 20, 19, tzinfo=BERLIN), None),
        (BUSINESS, datetime(2026, 11, 20, 6, 59, tzinfo=BERLIN), None),
        (BUSINESS, datetime(2026, 11, 21, 12, tzinfo=BERLIN), None),
        (NIGHT, datetime(2026, 11, 20, 23, tzinfo=UTC), 3600),
        (NIGHT, datetime(2026, 11, 21, 5, tzinfo=UTC), 7 * 3600),
        (NIGHT, datetime(2026, 11, 21, 6, tzinfo=UTC), None),
        (NIGHT, datetime(2026, 11, 20, 5, tzinfo=UTC), None),
    ],
)
def test_hours_know_their_days_and_their_nights(window, at, elapsed):
    """From the beginning, up to and without the end; a night belongs to the day it began."""
    assert window.elapsed(at) == elapsed
