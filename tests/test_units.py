"""portico.units: durations and sizes as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5), ("30s", 30), ("1.5s", 1.5), ("5m", 300), ("2h", 7200), ("3d", 259_200),
        ("1w", 604_800), ("1y", 31_536_000), ("0s", 0), ("forever", math.inf),
    ],
)  # fmt: skip
def test_durations_are_read(text, seconds):
    """Every unit of the site language."""
    assert units.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "s", "30 s", "-1s", "30sec", "5M", "1m30s", "1e3s"])
def test_what_is_no_duration_says_what_would_be(text):
    """The text that was typed, and three that are right."""
    with pytest.raises(ValueError, match="is not a duration; try '30s'"):
        units.duration(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("512B", 512),
        ("64KiB", 65_536),
        ("16MiB", 1 << 24),
        ("1GiB", 1 << 30),
        ("2TiB", 1 << 41),
    ],
)
def test_sizes_are_read(text, count):
    """Every unit of the site language."""
    assert units.size(text) == count


@pytest.mark.parametrize(
    ("text", "near"),
    [("16 mb", "16MiB"), ("16MB", "16MiB"), ("4k", "4KiB"), ("100", "100B"), ("much", "16MiB")],
)
def test_what_is_no_size_says_what_would_be(text, near):
    """The likely wish, which is itself a size."""
    with pytest.raises(ValueError, match=f"try '{near}'"):
        units.size(text)
    assert units.size(near)


@given(st.integers(1, 10**9))
def test_durations_print_what_reads_back(milliseconds):
    """The shortest form is exact."""
    text = units.duration_text(milliseconds / 1000)
    assert units.duration(text) == pytest.approx(milliseconds / 1000, abs=1e-9)


@given(st.integers(0, 1 << 50))
def test_sizes_print_what_reads_back(count):
    """The shortest form is exact."""
    assert units.size(units.size_text(count)) == count


def test_the_shortest_form_is_chosen():
    """As people would write it."""
    shown = [units.duration_text(s) for s in (0.5, 90, 120, 86_400, math.inf)]
    assert shown == ["500ms", "90s", "2m", "1d", "forever"]
    assert [units.size_text(n) for n in (1000, 65_536, 1 << 24)] == ["1000B", "64KiB", "16MiB"]
