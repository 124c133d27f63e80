"""CSV bodies. Imported when the first CSV content is opened."""

from collections.abc import Iterator

from portico.errors import PathInvalid
from portico.language.content import Content, View
from portico.language.context import Context
from portico.language.csvview import COLUMNS, CsvRow, CsvView, quoted
from portico.language.place import Place, PointerPlace
from portico.steps.body import Body


class CsvBody(Body):
    """A table of rows."""

    kind = "csv"
    __slots__ = ("_view",)

    def __init__(self, view: CsvView) -> None:
        self._view = view

    @property
    def form(self) -> Content:
        """CSV with this separator."""
        return self._view.kind

    @property
    def reading(self) -> View:
        """The view for places."""
        return self._view

    def content(self) -> bytes:
        """The bytes as they came, but for the cells that were written."""
        return self._view.content

    def fork(self) -> "CsvBody":
        """A body of its own: its view is never changed, only replaced."""
        return CsvBody(self._view)

    def write(self, place: Place, text: str) -> None:
        """A cell of the first row, in quotes where its text asks for them."""
        at = self._column(place)
        rows = list(self._view.rows())
        if not rows:
            raise PathInvalid(f"{place}: there is no row", place.source)
        self._view.encoded(text, place.source)
        rows[0] = _with(rows[0], at, text, self._view.kind.separator)
        self._view = self._view.written(rows)

    def copy(self, context: Context, origin: Place, place: Place) -> None:
        """As text."""
        text = origin.text(context)
        self.write(place, text if isinstance(text, str) else "")

    def remove(self, place: Place) -> None:
        """The cell is emptied; a column stays."""
        if self._view.text_at(place.source) is not None:
            self.write(place, "")

    def parts(self, at: Place) -> Iterator[Body]:
        """A table of one row for each, at `/`."""
        if at.source != "/":
            raise PathInvalid(f"{at}: a table is split at '/', its rows", at.source)
        for row in self._view.rows():
            yield CsvBody(self._view.part(row))

    def encode(self, text: str) -> bytes:
        """In the character set of this table."""
        return self._view.encoded(text)

    def _column(self, place: Place) -> int:
        if not isinstance(place, PointerPlace):
            raise self._foreign(place)
        at = self._view.column(place.source)
        if at is None or at >= COLUMNS:
            raise PathInvalid(f"{place}: there is no such column", place.source)
        return at


def _with(row: CsvRow, at: int, text: str, separator: str) -> CsvRow:
    """The row with that cell written; a short row grows."""
    cells = [*row.cells, *[""] * (at + 1 - len(row.cells))]
    cells[at] = quoted(text, separator, always=cells[at].startswith('"'))
    return CsvRow(tuple(cells), row.end, row.number)


def opened(content: bytes, kind: Content, charset: str, on_charset_error: str) -> CsvBody:
    """The body of a content."""
    return CsvBody(CsvView(content, kind, charset, on_charset_error))
