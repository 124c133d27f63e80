"""The parameters of a search, as they are read."""

from datetime import UTC, datetime, timedelta

from portico.api.wanted import Filter

AT = datetime(2026, 11, 20, 8, 15, 2, tzinfo=UTC)
MILLIS = 1_795_162_502_000  # the same since 1970


def test_a_time_to_the_millisecond_is_that_millisecond():
    """`received` of a list, given back as `since` or `until`, begins or ends there and not one
    millisecond before; a replay takes what was meant, and no other."""
    found = [
        Filter(since=at, until=at).query()
        for at in (AT + timedelta(milliseconds=n) for n in range(1000))
    ]

    assert [one.since for one in found] == [(MILLIS + n) * 1_000_000 for n in range(1000)]
    assert [one.until for one in found] == [one.since for one in found]
