"""`journal_search`: what became of Signals, without a word of what they held."""

from typing import Any

from portico.llm.asking import Pieces
from portico.llm.tools.contract import Builtin, ToolDesk, failed, known, schema, text

_STATES = ["waiting", "done", "filtered", "refused", "duplicate", "parked", "discarded"]


async def _find(desk: ToolDesk, asked: dict[str, Any]) -> Pieces:
    return known(await desk.journal.signals(asked))


async def _show(desk: ToolDesk, asked: dict[str, Any]) -> Pieces:
    found = await desk.journal.signal(asked["id"])
    if found is None:
        raise failed("the journal has no such Signal")
    return known(found)


TOOLS = (
    Builtin(
        "journal_search.find",
        "The newest Signals that fit, with their states; type may end in *",
        schema(
            channel=text(),
            type=text(),
            state={"enum": _STATES},
            hours={"type": "number", "exclusiveMinimum": 0, "maximum": 8760},
            limit={"type": "integer", "minimum": 1, "maximum": 20},
        ),
        _find,
        pure=False,
    ),
    Builtin(
        "journal_search.show",
        "How far a Signal came: sessions, deliveries, and why it waits for a person",
        schema("id", id={"type": "string", "pattern": "^[0-9a-fA-F-]{32,36}$"}),
        _show,
        pure=False,
    ),
)
