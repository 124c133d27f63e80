"""`code_tables`: the code tables of the site, looked up and searched."""

from typing import Any

from portico.language.tables import Table
from portico.llm.asking import Pieces
from portico.llm.tools.contract import Builtin, ToolDesk, failed, known, schema, text

_MOST = 20  # rows of one answer


async def _list(desk: ToolDesk, asked: dict[str, Any]) -> Pieces:
    found = {name: [*one.columns, f"{len(one.rows)} rows"] for name, one in desk.tables.items()}
    return known(found)


async def _find(desk: ToolDesk, asked: dict[str, Any]) -> Pieces:
    table, words = _table(desk, asked), asked["words"].casefold().split()
    rows = [
        cells
        for cells in table.rows.values()
        if all(word in " ".join(cells).casefold() for word in words)
    ]
    shown = [dict(zip(table.columns, cells, strict=True)) for cells in rows[:_MOST]]
    return known({"rows": shown, "more": max(0, len(rows) - _MOST)})


async def _get(desk: ToolDesk, asked: dict[str, Any]) -> Pieces:
    table = _table(desk, asked)
    cells = table.rows.get(asked["key"])
    if cells is None:
        raise failed(f"table {table.name} has no such key")
    return known(dict(zip(table.columns, cells, strict=True)))


def _table(desk: ToolDesk, asked: dict[str, Any]) -> Table:
    found = desk.tables.get(asked["table"])
    if found is None:
        raise failed(f"there is no such table; there are: {', '.join(sorted(desk.tables))}")
    return found


TOOLS = (
    Builtin("code_tables.list", "The tables with their columns", schema(), _list),
    Builtin(
        "code_tables.find",
        "Rows of a table that hold all of these words",
        schema("table", "words", table=text(), words=text()),
        _find,
    ),
    Builtin(
        "code_tables.get",
        "The row of a key, which is the first column",
        schema("table", "key", table=text(), key=text()),
        _get,
    ),
)
