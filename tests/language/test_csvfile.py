"""portico.language.csvfile: CSV files row by row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import BatchInvalid, ContentInvalid, TextUndecodable
from portico.language.content import Content
from portico.language.csvfile import RowReader
from portico.language.csvview import CsvView

KIND = Content("csv", separator=";")
FILE = "\ufeffid;näme\r\n1;\"a;\r\nb\"\r\n\r\n2;x\ry\r\n3;\"z\"\"\"".encode()  # fmt: skip


def read(content, size, kind=KIND, limit=1 << 20):
    """The tables of a file that comes in pieces of that size."""
    reader, tables = RowReader(kind, limit), []
    for at in range(0, len(content), size):
        tables += reader.feed(content[at : at + size])
    return tables + reader.end()


@pytest.mark.parametrize("size", range(1, len(FILE) + 1))
def test_the_rows_are_the_same_however_the_file_is_cut(size):
    """Each is a table: the mark, the names and the row's own bytes, which the offset finds."""
    tables = read(FILE, size)
    head = FILE[: FILE.index(b"\r\n") + 2]
    assert [table.content.removeprefix(head) for table in tables] == [
        b'1;"a;\r\nb"\r\n', b"2;x\r", b"y\r\n", b'3;"z"""',
    ]  # fmt: skip
    for table in tables:
        assert FILE[table.offset : table.offset + table.size] == table.content[len(head) :]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_a_file_of_two_bytes_a_character_is_taken_apart(codec):
    """The offsets are in bytes."""
    content = "\ufeffid;n\n1;Ü\n2;y\n".encode(codec)
    tables = read(content, 3)
    assert [CsvView(table.content, KIND).text_at("/n") for table in tables] == ["Ü", "y"]
    assert content[tables[1].offset :] == "2;y\n".encode(codec)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_quote_out_of_place_is_told_with_its_line(size):
    """As an editor counts them: the lines of a quoted cell, too, and empty ones."""
    content = b'id;note\r\n1;"a\nb\r\nc"\r\n\r\n2;"x\n";y"z";"wrong\n'
    with pytest.raises(ContentInvalid, match=r"^line 7 of the CSV"):
        read(content, size)
    with pytest.raises(ContentInvalid, match=r"^line 7 of the CSV"):
        list(CsvView(content, KIND).rows())


@given(
    st.lists(st.sampled_from(["a", ";", '"', "\r", "\n", "ü"]), max_size=14), st.integers(1, 5)
)
def test_a_file_falls_apart_as_the_view_reads_it(parts, size):
    """The rows of the whole view, whatever the cut; or the same refusal."""
    content = "".join(parts).encode()
    kind = Content("csv", separator=";", header=False)
    try:
        wanted = [row.cells for row in CsvView(content, kind).rows()]
    except ContentInvalid:
        with pytest.raises(ContentInvalid):
            read(content, size, kind)
        return
    tables = read(content, size, kind)
    found = [next(CsvView(table.content, kind).rows()).cells for table in tables]
    assert found == wanted


def test_a_row_that_does_not_end_is_refused_at_the_limit():
    """In time and memory of the limit, however small the pieces."""
    reader = RowReader(KIND, 100_000)
    with pytest.raises(BatchInvalid, match="exceeds"):
        for _ in range(100_000):
            reader.feed(b'"xxxxx')
    with pytest.raises(TextUndecodable):
        read(b"a;b\n1;\xff\n", 4)
    lenient = RowReader(KIND, 100, "ascii", "8859/1")
    [table] = lenient.feed(b"a;b\n1;\xff\n")
    assert table.content == b"a;b\n1;\xff\n"
    with pytest.raises(ContentInvalid, match="quote out of place"):
        read(b'a;b\n1;"x" \n', 4)
