"""portico.llm.dates: a date moves and keeps its layout."""

from datetime import timedelta

import pytest

from portico.llm import dates


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("20260131120000+0100", "20260131", "20260130"),
        ("2026-01-01T08:00Z", "2026-01-01", "2025-12-31"),
        ("1.1.2026", "1.1.2026", "31.12.2025"),
        ("01.02.26,", "01.02.26", "31.01.26"),
        ("1-3-2026", "1-3-2026", "28-2-2026"),
        ("3/1/2026", "3/1/2026", "2/28/2026"),
        ("31/1/2026", "31/1/2026", "30/1/2026"),
        ("12 April 1978", "12 April 1978", "11 April 1978"),
        ("1. März 2026", "1. März 2026", "28. Februar 2026"),
        ("1-Jan-2026", "1-Jan-2026", "31-Dec-2025"),
        ("January 1st, 2026 at home", "January 1st, 2026", "December 31st, 2025"),
    ],
)
def test_a_date_moves_in_its_own_layout(text, before, after):
    """What stands behind it is left alone."""
    assert dates.moved(text, timedelta(days=-1)) == (before, after)


@pytest.mark.parametrize(
    "text", ["", "31.2.2026", "2026", "12 Foo 1978", "99999999", "1.13.26"]
)
def test_what_is_no_date_does_not_move(text):
    """It becomes a token elsewhere."""
    assert dates.moved(text, timedelta(days=1)) is None


def test_a_date_of_birth_is_known_in_every_spelling():
    """Of HL7 and FHIR, as free text may write it."""
    said = dates.spellings("19780401")

    for way in (
        "01.04.1978",
        "1.4.1978",
        "4/1/1978",
        "1 April 1978",
        "April 1, 1978",
        "1. Apr 1978",
    ):
        assert way in said
    assert dates.spellings("1978") == []
