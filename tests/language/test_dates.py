"""portico.language.dates: dates with their precision."""

import pytest

from portico.language import dates


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("2026", (2026,)),
        ("202601", (2026, 1)),
        ("20260131", (2026, 1, 31)),
        ("202601311205", (2026, 1, 31, 12, 5)),
        ("20260131120501.1234+0100", (2026, 1, 31, 12, 5, 1)),
        ("2026-01-31", (2026, 1, 31)),
        ("2026-01-31T12:05:01.5Z", (2026, 1, 31, 12, 5, 1)),
        ("2026-01-31 12:05", (2026, 1, 31, 12, 5)),
    ],
)
def test_hl7_and_iso_dates_are_read(text, parts):
    """As far as they were written."""
    assert dates.read(text).parts == parts


@pytest.mark.parametrize(
    "text", ["", "x", "20260230", "20261301", "2026-1-1", "20260131250000", "0000", "２０２６"]
)
def test_what_is_no_date_is_none(text):
    """Calendars are kept; digits are ASCII."""
    assert dates.read(text) is None


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        ("20260131", "2026-01-31", 0),
        ("2026013112", "20260131", 0),
        ("2025", "20260131", -1),
        ("20260131120000.5", "20260131120000.25", 1),
        ("20260131120000+0100", "2026-01-31T11:00:00Z", 0),
        ("20260131120000+0100", "20260131120000-0500", -1),
        ("99991231235959-0500", "2026-01-31T11:00:00Z", 1),
        ("00010101000000+0100", "2026-01-31T11:00:00Z", -1),
    ],
)
def test_dates_compare_to_the_precision_both_have(one, other, order):
    """Zones count when both are written."""
    assert dates.compare(dates.read(one), dates.read(other)) == order


def test_a_layout_writes_every_known_part():
    """Years have four digits whatever the platform says."""
    date = dates.read("00990131120501.25-0430")

    assert dates.formatter("%Y-%m-%dT%H:%M:%S.%f%z %%")(date) == (
        "0099-01-31T12:05:01.250000-0430 %"
    )


@pytest.mark.parametrize(
    ("text", "holds"),
    [("1205", True), ("12:05:01", True), ("202601311205", True), ("20260131", False),
     ("2505", False), ("noon", False)],
)  # fmt: skip
def test_a_time_of_day_is_known(text, holds):
    """By itself or within a date."""
    assert dates.is_time(text) is holds


def test_nanoseconds_become_utc():
    """The envelope's `received`."""
    assert dates.iso(dates.of_nanoseconds(0)) == "1970-01-01T00:00:00.000Z"
