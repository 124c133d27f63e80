"""portico.language.csvview: CSV content, its cells and its bounds."""

import csv
import io
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import CharsetUnknown, ContentInvalid, PathInvalid, TextUndecodable
from portico.language.content import Content, open_content
from portico.language.csvview import CsvRow, CsvView, line_of, quoted

KIND = Content("csv", separator=";")
TABLE = b'mrn;name;"a;b"\r\n\r\n1;"M\xc3\xbcller; ""X""";\r\n2;Muster;z'
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


def view(content=TABLE, kind=KIND, *policy):
    """A view of a CSV content."""
    made = open_content(kind, content, *policy)
    assert isinstance(made, CsvView)
    return made


@pytest.mark.parametrize(
    ("place", "text"),
    [("/mrn", "1"), ("/1", "1"), ("/name", 'Müller; "X"'), ("/a;b", None), ("/3", None),
     ("/9", None), ("/nobody", None)],
)  # fmt: skip
def test_a_place_is_a_column_of_the_first_row(place, text):
    """By name or number; empty and missing are absent."""
    assert view().text_at(place) == text


def test_rows_stand_as_they_came():
    """Quotes and line ends kept, empty lines no rows, the last line with or without its end."""
    rows = list(view().rows())
    assert [row.end for row in rows] == ["\r\n", ""]
    assert rows[0].cells == ("1", '"Müller; ""X"""', "")
    assert rows[1].number == 2
    assert (
        b"".join(line_of(row, ";").encode() for row in rows) == TABLE.partition(b"\r\n\r\n")[2]
    )


def test_without_names_columns_are_numbers():
    """`header: no`: the first line is a row."""
    plain = view(b"1,2\n3,4\n", Content("csv", header=False))
    assert [row.cells for row in plain.rows()] == [("1", "2"), ("3", "4")]
    assert plain.text_at("/2") == "2"


def test_a_place_of_another_shape_says_what_would_be_right():
    """A path is no column."""
    with pytest.raises(PathInvalid, match="write '/name' or '/3'"):
        view().text_at("/a/b")


@pytest.mark.parametrize("content", [b'a\n"x', b'a\n"x"y\n', b'"a\n1', b'a;b\n1;"2" \n'])
def test_a_quote_out_of_place_is_refused_with_its_row(content):
    """A cell that opens a quote ends with it."""
    with pytest.raises(ContentInvalid, match=r"line \d of the CSV has a quote out of place"):
        list(view(content).rows())


def test_the_character_set_is_the_mark_or_the_channels():
    """ASCII is read as UTF-8; a byte outside it by the channel's policy."""
    latin = b"n\nM\xfcller\n"
    with pytest.raises(TextUndecodable):
        view(latin).text_at("/n")
    assert view(latin, KIND, "8859/1").text_at("/n") == "Müller"
    assert view(latin, KIND, "ascii", "replace").text_at("/n") == "M\ufffdller"
    assert view(latin, KIND, "ascii", "LATIN1").text_at("/n") == "Müller"
    wide = view("\ufeffn\nMüller\n".encode("utf-16-le"))
    assert wide.text_at("/n") == "Müller"
    assert wide.written(list(wide.rows())).content == wide.content
    with pytest.raises(CharsetUnknown):
        view(b"n\n1\n", KIND, "KLINGON").text_at("/n")


@pytest.mark.parametrize(
    ("name", "content"),
    [("nul", b"a\n\x00\n"), ("quotes", b'a\n"' + b'""' * 5_000_000),
     ("open", b'"' * 10_000_001),
     ("large", b"x" * ((64 << 20) + 1)), ("half", b"\xff\xfea"), ("bytes", b"\x80\x81\n")],
)  # fmt: skip
def test_hostile_csv_is_refused_in_bounded_time(name, content):
    """Linear in its size, a typed error."""
    begun = time.process_time()
    with pytest.raises((ContentInvalid, TextUndecodable)):
        list(view(content).rows())
    assert time.process_time() - begun < 2, name


def test_a_long_table_is_read_only_as_far_as_asked():
    """The first cell of 30 MB costs its decoding, not its million rows."""
    content = b"id,name\n" + b"1,somebody of the ward\n" * 1_300_000
    begun = time.process_time()
    assert view(content, Content("csv")).text_at("/id") == "1"
    assert time.process_time() - begun < 0.5


@given(
    st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=4),
    st.sampled_from(",;|\t"),
)
def test_what_python_writes_is_read_cell_for_cell(rows, separator):
    """An independent writer; what we quote, it reads back too."""
    target = io.StringIO()
    writer = csv.writer(target, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows(rows)
    kind = Content("csv", separator=separator, header=False)
    table = view(target.getvalue().encode(), kind)
    read = [[cell[1:-1].replace('""', '"') for cell in row.cells] for row in table.rows()]
    assert read == rows
    own = "".join(
        line_of(CsvRow(tuple(quoted(cell, separator) for cell in row), "\n", 1), separator)
        for row in rows
    )
    assert list(csv.reader(io.StringIO(own, newline=""), delimiter=separator)) == rows


@given(st.binary(max_size=80))
def test_random_bytes_are_rows_or_a_typed_error(content):
    """And all bytes of a table that was read stand in its rows, but for empty lines."""
    table = view(content, Content("csv", header=False), "LATIN1")
    try:
        lines = [line_of(row, ",") for row in table.rows()]
    except (ContentInvalid, TextUndecodable):
        return
    written, whole = (
        re.sub(r"(\r\n|\r|\n)[\r\n]*", r"\1", text).strip("\r\n")
        for text in ("".join(lines), table.text)
    )
    assert written == whole or '""' in written
