"""portico.hl7.datetimes: dates with the precision that was written."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.hl7 import datetimes
from portico.hl7.datetimes import DateTime

ZONES = st.integers(-23 * 60, 23 * 60)


@pytest.mark.parametrize(
    ("text", "expected", "precision"),
    [
        ("2026", DateTime((2026,)), "year"),
        ("202602", DateTime((2026, 2)), "month"),
        ("20260228", DateTime((2026, 2, 28)), "day"),
        ("2026022823", DateTime((2026, 2, 28, 23)), "hour"),
        ("202602282359", DateTime((2026, 2, 28, 23, 59)), "minute"),
        ("20260228235958", DateTime((2026, 2, 28, 23, 59, 58)), "second"),
        ("20260228235958.1", DateTime((2026, 2, 28, 23, 59, 58), "1"), "fraction"),
        ("20260228235958.12-0330", DateTime((2026, 2, 28, 23, 59, 58), "12", -210), "fraction"),
        ("2026022823+0100", DateTime((2026, 2, 28, 23), "", 60), "hour"),
        ("2026+0000", DateTime((2026,), "", 0), "year"),
    ],
)  # fmt: skip
def test_a_date_time_is_read_as_far_as_it_goes_and_written_the_same(text, expected, precision):
    """Nothing is made up and nothing is lost; both ways."""
    read = datetimes.read(text)
    assert (read, read.precision, str(read)) == (expected, precision, text)


@pytest.mark.parametrize(
    "text",
    ["", "202", "20261", "20261301", "20260230", "2026022824", "20260228235960", "2026-02-28",
     "20260228235958.", "20260228 ", "20260228+100", "20260228+2400", "20260228+0160", "x",
     "٢٠٢٦"],
)  # fmt: skip
def test_what_is_no_date_time_is_none(text):
    """The 30th of February and an hour 24 are none either."""
    assert datetimes.read(text) is None


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("20260228235958.5^Y", "year"),
        ("20260228235958^L", "month"),
        ("20260228235958^D", "day"),
        ("20260228235958^H", "hour"),
        ("20260228235958^M", "minute"),
        ("20260228235958.5^S", "fraction"),
        ("202602^D", "month"),
        ("20260228^?", "day"),
    ],
)
def test_the_degree_of_precision_of_a_ts_cuts(text, precision):
    """TS.2, table 0529, of versions before 2.6; it never adds what was not written."""
    assert datetimes.read(text).precision == precision


def test_it_becomes_pythons_date_and_datetime():
    """The first instant it names; a zone that was not written is the caller's."""
    zone = timezone(timedelta(hours=2))
    assert datetimes.read("20260228").date() == date(2026, 2, 28)
    assert datetimes.read("202602").datetime() == datetime(2026, 2, 1, tzinfo=UTC)
    assert (
        datetimes.read("2026022801").datetime(zone).isoformat() == "2026-02-28T01:00:00+02:00"
    )
    assert datetimes.read("20260228010203.5-0100").datetime(zone).isoformat() == (
        "2026-02-28T01:02:03.500000-01:00"
    )
    with pytest.raises(ValueError, match="no day"):
        datetimes.read("202602").date()
    with pytest.raises(ValueError, match="no month"):
        datetimes.read("2026").date()


def test_it_is_made_of_pythons_datetime():
    """Cut to the precision that is asked for; a day has no zone."""
    at = datetime(2026, 2, 28, 1, 2, 3, 45, timezone(timedelta(hours=-5)))
    assert str(DateTime.of(at)) == "20260228010203-0500"
    assert str(DateTime.of(at, "day")) == "20260228"
    assert str(DateTime.of(at, "minute")) == "202602280102-0500"
    assert str(DateTime.of(at, "microsecond")) == "20260228010203.000045-0500"
    assert str(DateTime.of(at.replace(tzinfo=None))) == "20260228010203"


@given(st.datetimes(datetime(1, 1, 1)), ZONES, st.sampled_from(["second", "microsecond"]))
def test_every_instant_comes_back(at, minutes, precision):
    """Python's, to HL7, and back."""
    at = at.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    if precision == "second":
        at = at.replace(microsecond=0)
    assert datetimes.read(str(DateTime.of(at, precision))).datetime() == at


@given(st.text(alphabet="0123456789.+-^DLYS", max_size=26))
def test_any_text_is_a_date_time_or_none(text):
    """What is read is written as it was, but for a degree of precision and a negative zero."""
    read = datetimes.read(text)
    if read is not None and "^" not in text:
        assert str(read) == text.replace("-0000", "+0000")
