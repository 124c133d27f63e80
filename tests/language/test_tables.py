"""portico.language.tables: CSV files of the site."""

import pytest

from portico.errors import ConfigError
from portico.language.tables import Tables, parse


def test_a_table_gives_cells_by_key():
    """The first column is the key, the second the default."""
    table = parse("f", b"\xef\xbb\xbfcode,region,city\r\nH1,north,Kiel\r\n\r\nH2,south,\r\n")

    assert ("H1" in table, "H9" in table) == (True, False)
    assert table.get("H1") == "north"
    assert table.get("H1", "city") == "Kiel"
    assert table.get("H9") is None


def test_a_semicolon_separates_where_the_head_has_no_comma():
    """Spreadsheets of half of Europe write it so."""
    assert parse("f", b"code;text\nA;one, two\n").get("A") == "one, two"


def test_quotes_hold_separators_and_line_ends():
    """As RFC 4180 says."""
    assert parse("f", b'k,v\na,"x, ""y""\nz"\n').get("a") == 'x, "y"\nz'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "f.csv:1: the first line"),
        (b"a,a\n", "f.csv:1: the first line"),
        (b"a,b\n1,2\n1,3\n", "f.csv:3: the key stands twice"),
        (b"a,b\n1\n", "f.csv:2: 1 cells, but 2 columns"),
        (b"a,b\n1,\xff\n", "f.csv:2: not UTF-8"),
        (b'a,b\n"1"x,2\n', "f.csv:2:"),
    ],
)
def test_a_broken_table_is_told_with_its_line(content, said):
    """Never with the cell's text."""
    with pytest.raises(ConfigError, match=said):
        parse("f", content)


def test_a_column_that_is_not_there_says_which_are():
    """So the author sees what the file really holds."""
    with pytest.raises(ValueError, match="has not the column 'x'; it has a, b"):
        parse("f", b"a,b\n").column("x")
    with pytest.raises(ValueError, match="second column"):
        parse("f", b"a\n").column(None)


def test_tables_are_read_once_and_only_when_asked_for():
    """A worker holds what its agent uses."""
    asked = []

    def load(name):
        asked.append(name)
        if name == "none":
            raise FileNotFoundError
        return b"a,b\n1,2\n"

    tables = Tables(load)

    assert tables["x"] is tables["x"]
    assert asked == ["x"]
    with pytest.raises(ConfigError, match=r"no transforms/tables/none\.csv"):
        tables["none"]
