"""Tables for people: every value whole and on one line, so that an id can be copied."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.cells import cell_len

_GAP = "  "


@dataclass(slots=True)
class Grid:
    """Rows of texts below the names of their columns. numbers: those aligned to the right."""

    columns: tuple[str, ...]
    numbers: frozenset[str] = frozenset()
    heading: bool = True
    rows: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    def lines(self, width: int | None = None) -> Iterator[tuple[str, str]]:
        """Each line with its style, no blanks at its end.

        Where the table is wider than `width`, columns in which nothing stands (no text, or 0
        all the way down) are left out; what is still too wide runs on, as that of `ps` does.
        """
        kept = list(range(len(self.columns)))
        if width is not None and self._width(kept) > width:
            kept = [at for at in kept if at == 0 or any(self._told(at))]
        wide = {at: self._wide(at) for at in kept}
        for cells, style in self._all():
            aligned = (self._aligned(cells[at], at, wide[at]) for at in kept)
            yield _GAP.join(aligned).rstrip(), style

    def _all(self) -> list[tuple[tuple[str, ...], str]]:
        return [(self.columns, "bold"), *self.rows] if self.heading else self.rows

    def _told(self, at: int) -> Iterator[bool]:
        return (cells[at] not in ("", "0") for cells, _ in self.rows)

    def _width(self, kept: list[int]) -> int:
        return sum(map(self._wide, kept)) + len(_GAP) * (len(kept) - 1)

    def _wide(self, at: int) -> int:
        texts = [cells[at] for cells, _ in self._all()]
        return max(map(cell_len, texts), default=0)

    def _aligned(self, text: str, at: int, wide: int) -> str:
        blanks = " " * (wide - cell_len(text))
        return blanks + text if self.columns[at] in self.numbers else text + blanks
