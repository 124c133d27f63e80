"""Which files are taken, and when they are whole: decided from values."""

import pytest

from portico.listeners.sieve import Sieve, Watch
from portico.listeners.tray import FileSeen
from portico.spec.fetching import PollSource, Ready


def source(**options):
    """A poller's options."""
    return PollSource.model_validate({"path": "in", **options})


def chosen(options, found, most=20_000):
    """The names that a look with these files chooses."""
    sieve = Sieve(options, most)
    for one in found:
        sieve.keep(sieve.wanted([one]))
    return [one.name for one in sieve.chosen()]


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        ("*", ["a.HL7", "a.hl7", "b.txt", "line\nfeed"]),
        ("*.hl7", ["a.hl7"]),
        (["*.hl7", "b.*"], ["a.hl7", "b.txt"]),
        (".*", [".hidden"]),
        ("[ab].???", ["a.HL7", "a.hl7", "b.txt"]),
    ],
)
def test_patterns_choose_names(files, taken):
    """Any pattern counts, case and all; dot files and unfinished ones need to be asked for."""
    names = ["a.hl7", "a.HL7", "b.txt", ".hidden", "c.part", "d.TMP", "line\nfeed", "e~"]

    assert chosen(source(files=files), [FileSeen(name, 1, 1) for name in names]) == taken


def test_the_first_of_very_many_are_kept_in_order():
    """Memory is bound by `most`, and the smallest names are not lost on the way."""
    found = [FileSeen(f"{n:06}", 1, 1) for n in reversed(range(5_000))]

    assert chosen(source(), found, most=100) == [f"{n:06}" for n in range(100)]


def test_a_marker_may_come_before_or_after_its_file_in_a_listing():
    """No listing has an order."""
    found = [FileSeen(name, 1, 1) for name in ("a.ok", "a", "b", "b.ok", "c", "d.ok")]

    assert chosen(source(ready={"suffix": ".ok"}), found) == ["a", "b"]


def test_a_file_settles_when_size_and_time_have_stayed():
    """Any change begins the wait anew; a file that is gone is forgotten."""
    watch = Watch(Ready("stable", seconds=5.0))
    first, grown = FileSeen("a", 1, 1), FileSeen("a", 2, 1)

    assert watch.settled([first], 0.0) == ([], 5.0)
    assert watch.settled([first], 4.0) == ([], 1.0)
    assert watch.settled([grown], 5.0) == ([], 5.0)
    assert watch.settled([grown], 10.0) == ([grown], None)
    assert watch.settled([], 11.0) == ([], None)
    assert watch.settled([grown], 12.0) == ([], 5.0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ready": "stable"}, "not a choice"),
        ({"ready": {"stable": "soon"}}, "soon"),
        ({"ready": {"suffix": "a/b"}}, "not a suffix"),
        ({"after": "remove"}, "not a choice"),
        ({"after": {"move": "."}}, "lie there already"),
        ({"files": "in/*.hl7"}, "not a pattern"),
        ({"every": "0s"}, "greater"),
    ],
)
def test_wrong_options_are_found(options, says):
    """By `check`, in words that say what would be right."""
    with pytest.raises(ValueError, match=says):
        source(**options)
