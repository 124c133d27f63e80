"""Tables: CSV files of the site, for `in_table` and `lookup`.

The first line names the columns; the first column is the key and holds no key twice. The
separator is a comma, or a semicolon when the first line has no comma. UTF-8.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from portico.errors import ConfigError

SIZE = 64 << 20  # bytes of one table: it lies in the memory of every worker


@dataclass(frozen=True, slots=True)
class Table:
    """A table by its key column. rows: key to the row's cells, as many as there are columns."""

    name: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]

    def __contains__(self, key: object) -> bool:
        return key in self.rows

    def column(self, name: str | None) -> int:
        """The index of a column; None is the second. Raises ValueError, with what there is."""
        if name is None and len(self.columns) > 1:
            return 1
        if name in self.columns:
            return self.columns.index(name)
        there = ", ".join(self.columns)
        wanted = "a second column" if name is None else f"the column {name!r}"
        raise ValueError(f"table {self.name} has not {wanted}; it has {there}")

    def get(self, key: str, column: str | None = None) -> str | None:
        """The cell at that key; column None is the second. None when there is no such key."""
        row = self.rows.get(key)
        return None if row is None else row[self.column(column)]


def parse(name: str, content: bytes) -> Table:
    """The table of a CSV file. Raises ConfigError with file and line."""
    where = f"transforms/tables/{name}.csv"
    if len(content) > SIZE:
        raise ConfigError(f"{where}: larger than {SIZE >> 20} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{where}:{line}: not UTF-8") from None
    head = text.partition("\n")[0]
    separator = ";" if ";" in head and "," not in head else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        columns = tuple(cell.strip() for cell in next(reader, ()))
        return Table(name, _checked(columns, where), _rows(reader, columns, where))
    except csv.Error as error:
        raise ConfigError(f"{where}:{reader.line_num}: {error}") from None


def _checked(columns: tuple[str, ...], where: str) -> tuple[str, ...]:
    if not columns or not all(columns) or len(set(columns)) < len(columns):
        raise ConfigError(f"{where}:1: the first line must name each column, each once")
    return columns


def _rows(
    reader: Iterator[list[str]], columns: tuple[str, ...], where: str
) -> dict[str, tuple[str, ...]]:
    rows: dict[str, tuple[str, ...]] = {}
    for row in reader:
        if not row:
            continue
        line = f"{where}:{reader.line_num}"  # type: ignore[attr-defined]
        if len(row) != len(columns):
            raise ConfigError(f"{line}: {len(row)} cells, but {len(columns)} columns")
        if row[0] in rows:
            raise ConfigError(f"{line}: the key stands twice in the first column")
        rows[row[0]] = tuple(row)
    return rows


class Tables(Mapping[str, Table]):
    """Tables by name, each read once, when first asked for.

    load: bytes of the CSV file by table name, raising OSError when there is none.
    """

    def __init__(self, load: Callable[[str], bytes]) -> None:
        self._load = load
        self._read: dict[str, Table] = {}

    def __getitem__(self, name: str) -> Table:
        if name not in self._read:
            try:
                content = self._load(name)
            except OSError:
                raise ConfigError(f"there is no transforms/tables/{name}.csv") from None
            self._read[name] = parse(name, content)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)
