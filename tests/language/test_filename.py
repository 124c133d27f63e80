"""language/filename.py: names that must differ."""

from itertools import islice

import pytest

from portico.language import filename


@pytest.mark.parametrize(
    ("name", "second"),
    [("a.hl7", "a-2.hl7"), ("a.b.c", "a.b-2.c"), ("a", "a-2"), (".a", ".a-2"), ("a.", "a-2.")],
)
def test_the_number_stands_before_the_ending(name, second):
    """What programs know a file by stays as it is; a name that begins with a dot has none."""
    assert filename.numbered(name, 2) == second


def test_the_name_itself_comes_first():
    """A number is for names that are taken."""
    assert list(islice(filename.candidates("a.hl7"), 3)) == ["a.hl7", "a-1.hl7", "a-2.hl7"]
