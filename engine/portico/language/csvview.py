"""CSV content: a table of rows, read lazily and written cell by cell.

A cell keeps its quotes and a row its line end until it is written to. A first row of names is
no row; a line without a character is none either. Columns are named, or numbered from 1; a
place is a cell of the first row. Source: RFC 4180, with any separator and line end.
"""

import codecs
import re
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

from portico.errors import ContentInvalid, PathInvalid, TextUndecodable, TextUnencodable
from portico.hl7 import charset as charsets
from portico.language import pointer
from portico.language.content import SIZE, Content, PointView

COLUMNS = 10_000  # the highest number of a column that may be written

_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class CsvRow(Struct, frozen=True):
    """One row. cells: as they stand, with their quotes. number: from 1; end: its line end."""

    cells: tuple[str, ...]
    end: str
    number: int


class CsvView(PointView):
    """A CSV text; only the rows that are asked for are read. Read-only."""

    __slots__ = (
        "_charset",
        "_codec",
        "_head",
        "_mark",
        "_on_error",
        "_text",
        "content",
        "kind",
    )

    def __init__(
        self,
        content: bytes,
        kind: Content,
        charset: str = "ascii",
        on_charset_error: str = "refuse",
    ) -> None:
        self.content = content
        self.kind = kind
        self._charset, self._on_error = charset, on_charset_error
        self._text: str | None = None
        self._mark = b""
        self._codec = ""
        self._head: CsvRow | None = None

    @property
    def policy(self) -> tuple[str, str]:
        """The character set, and what is done about a byte outside it."""
        return self._charset, self._on_error

    @property
    def text(self) -> str:
        """The whole, without a byte order mark. Raises ContentInvalid, TextUndecodable."""
        if self._text is None:
            self._text = self._decoded()
        return self._text

    @property
    def head(self) -> CsvRow:
        """The row of names; empty where the content has none."""
        if self._head is None:
            first = next(_rows(self.text, self.kind.separator), None)
            named = first if first is not None and self.kind.header else None
            self._head = named or CsvRow((), "", 0)
        return self._head

    def check(self) -> str:
        """Reads the names and the first row."""
        next(self.rows(), None)
        return "text/csv"

    def rows(self) -> Iterator[CsvRow]:
        """The rows behind the names, in order. Raises ContentInvalid where one is broken."""
        rows = _rows(self.text, self.kind.separator)
        if self.kind.header:
            next(rows, None)
        for number, row in enumerate(rows, 1):
            yield CsvRow(row.cells, row.end, number)

    def column(self, source: str) -> int | None:
        """The index of a place's column, from 0; None when there is none of that name.

        Raises PathInvalid for what is no column.
        """
        tokens = pointer.tokens(source)
        if len(tokens) != 1:
            raise PathInvalid(f"{source!r} is not a column; write '/name' or '/3'", source)
        names = [plain(cell) for cell in self.head.cells]
        if tokens[0] in names:
            return names.index(tokens[0])
        if re.fullmatch(r"[1-9]\d{0,8}", tokens[0], re.ASCII):
            return int(tokens[0]) - 1
        return None

    def text_at(self, source: str) -> str | None:
        """The cell of the first row."""
        at = self.column(source)
        row = next(self.rows(), None)
        if row is None or at is None or at >= len(row.cells):
            return None
        return plain(row.cells[at]) or None

    def part(self, row: CsvRow) -> "CsvView":
        """A table of that row alone, below the same names."""
        return self.written([row])

    def written(self, rows: list[CsvRow]) -> "CsvView":
        """A table of these rows, below the same names, in the same encoding."""
        head = [self.head] if self.kind.header and self.head.cells else []
        lines = [line_of(row, self.kind.separator) for row in (*head, *rows)]
        view = CsvView(b"", self.kind, *self.policy)
        view._text = "".join(lines)
        view._mark, view._codec = self._mark, self._codec
        view.content = self._mark + self.encoded(view._text)
        return view

    def encoded(self, text: str, source: str | None = None) -> bytes:
        """Text in this content's character set. Raises TextUnencodable."""
        self.text  # noqa: B018 -- the codec is known with it
        try:
            return text.encode(self._codec)
        except UnicodeEncodeError:
            name = self._codec
            raise TextUnencodable(f"a character that {name} cannot carry", source) from None

    def _decoded(self) -> str:
        if len(self.content) > SIZE:
            raise ContentInvalid(f"the CSV is larger than {SIZE >> 20} MiB")
        self._mark, self._codec = encoding(self.content, self._charset)
        body = self.content[len(self._mark) :]
        try:
            text = body.decode(self._codec)
        except UnicodeError:
            text = self._undecodable(body)
        if "\x00" in text:
            raise ContentInvalid("the CSV holds a NUL character")
        return text

    def _undecodable(self, body: bytes) -> str:
        if self._on_error == "refuse":
            raise TextUndecodable(f"the CSV holds bytes that are not {self._codec}") from None
        if self._on_error != "replace":
            self._codec = charsets.codec_of((), self._on_error)
        return body.decode(self._codec, "replace")


def encoding(content: bytes, charset: str) -> tuple[bytes, str]:
    """The byte order mark and the codec; ASCII is read as UTF-8, which holds it."""
    if content.startswith(codecs.BOM_UTF8):
        return codecs.BOM_UTF8, "utf-8"
    for mark, codec in _UTF16.items():
        if content.startswith(mark):
            return mark, codec
    codec = charsets.codec_of((), charset)
    return b"", "utf-8" if codec == "ascii" else codec


def plain(cell: str) -> str:
    """The text of a cell as it stands."""
    return cell[1:-1].replace('""', '"') if cell.startswith('"') else cell


def quoted(text: str, separator: str, *, always: bool = False) -> str:
    """A text as a cell, with quotes where the text asks for them."""
    if always or any(mark in text for mark in (separator, '"', "\r", "\n")):
        return '"' + text.replace('"', '""') + '"'
    return text


def line_of(row: CsvRow, separator: str) -> str:
    """A row as it stands in the text; one empty cell alone has quotes, else it is no row."""
    cells = ('""',) if row.cells == ("",) else row.cells
    return separator.join(cells) + row.end


def line_ends(text: str) -> int:
    """How many lines end in it, those inside of quotes with them."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _rows(text: str, separator: str) -> Iterator[CsvRow]:
    cell, at, size, number = cell_pattern(separator), 0, len(text), 0
    while at < size:
        cells = []
        number += 1
        while True:
            match = cell.match(text, at)
            if match is None:
                line = 1 + line_ends(text[:at])
                raise ContentInvalid(f"line {line} of the CSV has a quote out of place")
            cells.append(match[1])
            at = match.end()
            if match[2] != separator:
                break
        if cells != [""]:
            yield CsvRow(tuple(cells), match[2], number)


@lru_cache(maxsize=64)
def cell_pattern(separator: str) -> re.Pattern[str]:
    """A cell and what ends it. No text is read twice: the repetitions never give back."""
    stop = re.escape(separator)
    return re.compile(rf'("[^"]*+(?:""[^"]*+)*+"|(?!")[^{stop}\r\n]*+)({stop}|\r\n|\r|\n|\Z)')
