"""CSV files row by row: bytes in at any cut, each row out as a table of its own.

A row's table is the file's byte order mark, its row of names and the row, byte for byte.
Memory is bound by the longest row.
"""

import codecs

from msgspec import Struct

from portico.errors import BatchInvalid, ContentInvalid, TextUndecodable
from portico.language.content import Content
from portico.language.csvview import CsvRow, cell_pattern, encoding, line_ends, line_of


class HeadedRow(Struct, frozen=True, gc=False):
    """One row below its names. offset, size: of the row's own bytes in the file."""

    content: bytes
    offset: int
    size: int


class RowReader:
    """Takes a file apart. limit: bytes of one row, and of the names.

    Raises BatchInvalid past the limit, ContentInvalid for a quote out of place,
    TextUndecodable under `refuse`.
    """

    def __init__(
        self, content: Content, limit: int, charset: str = "ascii", on_error: str = "refuse"
    ) -> None:
        self._separator = content.separator
        self._limit = limit
        self._charset = charset
        # A byte outside of the set passes through as it is: its row's own view looks at it.
        self._errors = "strict" if on_error == "refuse" else "surrogateescape"
        self._cell = cell_pattern(content.separator)
        self._held = b""  # what comes before the encoding is known
        self._decoder: codecs.IncrementalDecoder | None = None
        self._codec = ""
        self._text = ""
        self._wait = 0  # characters until a row that was cut off is looked at again
        self._offset = 0
        self._head: bytes | None = None if content.header else b""
        self._number = self._lines = 0  # of rows, of lines that have ended

    def feed(self, data: bytes) -> list[HeadedRow]:
        """The rows that are complete now."""
        self._text += self._decoded(data, last=False)
        if len(self._text) < self._wait:
            return []
        tables = self._cut(last=False)
        if len(self._text) > self._limit:
            raise BatchInvalid(f"a row of the CSV exceeds {self._limit} bytes")
        self._wait = 2 * len(self._text)  # so that a long row is read a few times at most
        return tables

    def end(self) -> list[HeadedRow]:
        """The file is over: the last row, with or without its line end."""
        self._text += self._decoded(b"", last=True)
        return self._cut(last=True)

    def _decoded(self, data: bytes, last: bool) -> str:
        if self._decoder is None:
            self._held += data
            if len(self._held) < 3 and not last:
                return ""
            mark, codec = encoding(self._held, self._charset)
            self._codec = codec
            self._mark, data, self._offset = mark, self._held[len(mark) :], len(mark)
            self._decoder = codecs.getincrementaldecoder(codec)(self._errors)
        try:
            text = self._decoder.decode(data, last)
        except UnicodeError:
            name = self._codec
            raise TextUndecodable(f"the CSV holds bytes that are not {name}") from None
        if "\x00" in text:
            raise ContentInvalid("the CSV holds a NUL character")
        return text

    def _cut(self, last: bool) -> list[HeadedRow]:
        tables, at = [], 0
        while at < len(self._text):
            row = self._row(at, last)
            if row is None:
                break
            line = line_of(row, self._separator)
            at += len(line) if row.cells != ("",) else len(row.end)
            tables += self._table(row, line)
        self._text = self._text[at:]
        return tables

    def _row(self, at: int, last: bool) -> CsvRow | None:
        """The row that begins here; None when its end has not come yet."""
        cells: list[str] = []
        begin = at
        while match := self._cell.match(self._text, at):
            cells.append(match[1])
            at = match.end()
            if match[2] == self._separator:
                continue
            # A carriage return at the end may be half of a line end.
            whole = match[2] and not (match[2] == "\r" and at == len(self._text))
            if not whole and not last:
                return None
            self._number += 1
            self._lines += line_ends(self._text[begin:at])
            return CsvRow(tuple(cells), match[2], self._number)
        if last:
            line = 1 + self._lines + line_ends(self._text[begin:at])
            raise ContentInvalid(f"line {line} of the CSV has a quote out of place")
        return None

    def _table(self, row: CsvRow, line: str) -> list[HeadedRow]:
        if row.cells == ("",):
            self._offset += len(row.end.encode(self._codec))
            return []
        raw = line.encode(self._codec, self._errors)
        if len(raw) > self._limit:
            raise BatchInvalid(f"a row of the CSV exceeds {self._limit} bytes")
        offset, self._offset = self._offset, self._offset + len(raw)
        if self._head is None:
            self._head = raw
            return []
        return [HeadedRow(self._mark + self._head + raw, offset, len(raw))]
