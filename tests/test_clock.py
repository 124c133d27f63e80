"""portico.clock: the machine's time, and what its numbers mean."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from portico.clock import SystemClock, moment


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.integers(0, 999))
def test_nanoseconds_are_the_moment_they_count_to(when, below):
    """Exact to the microsecond; what is below it is cut off."""
    when = when.replace(tzinfo=UTC)
    since = when - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    assert moment(microseconds * 1000 + below) == when


def test_the_monotonic_clock_never_goes_back():
    """Only differences of it mean anything."""
    clock = SystemClock()
    assert clock.monotonic() <= clock.monotonic()
    assert clock.time_ns() > 1_700_000_000_000_000_000
