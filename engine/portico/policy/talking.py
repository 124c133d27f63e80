"""What a model may do in a conversation: decisions alone, for the engine and for cases."""

import importlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from portico.errors import ContentInvalid
from portico.hl7.identifying import TELLING
from portico.hl7.view import MessageView
from portico.language import tables
from portico.language.content import parse_json
from portico.language.tables import Table
from portico.llm.asking import Past, Pieces, Question, Talk
from portico.llm.contract import Tool, ToolFailed, Use
from portico.llm.granted import Frozen, Granted
from portico.llm.tools.contract import JournalView, ToolDesk
from portico.steps import jsonkeys

MOST_USES = 16  # calls of tools that one exchange may want
MOST_TEXT = 64_000  # characters that one call may give
_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


def desk(talk: Talk, frozen: Frozen, journal: JournalView) -> ToolDesk:
    """What the tools of one conversation see."""
    view = MessageView(talk.message, *talk.policy) if talk.message else None
    known = {name: _table(name, text) for name, text in frozen.tables.items()}
    return ToolDesk(talk.phi, view, known, journal, dict(frozen.files))


def exchange(talk: Talk, frozen: Frozen, rounds: Sequence[Past]) -> Question:
    """The next one. What tools told of patients is replaced wherever it occurs later."""
    found = [piece for piece in given(rounds) if piece[0] in TELLING or piece[0] == "date"]
    return Question(
        talk.parts,
        talk.prompt,
        talk.schema,
        talk.phi,
        talk.model,
        talk.timeout,
        talk.budget,
        list(dict.fromkeys((*talk.identifiers, *found))),
        talk.patient,
        [],
        tuple(Tool(tool.name, tool.summary, tool.schema) for tool in frozen.tools),
        tuple(rounds),
        talk.detect,
    )


def given(rounds: Sequence[Past]) -> Iterator[tuple[str, str]]:
    """All that tools gave."""
    return (piece for each in rounds for told in each.told for piece in told)


def granted(frozen: Frozen, use: Use) -> Granted | None:
    """The tool that a model means; None when it is not let have it."""
    return next((tool for tool in frozen.tools if tool.name == use.name), None)


def allowed(frozen: Frozen, use: Use) -> tuple[Granted, dict[str, Any]]:
    """The tool, and its arguments as read. Raises ToolFailed."""
    tool = granted(frozen, use)
    if tool is None:
        names = ", ".join(one.name for one in frozen.tools)
        raise ToolFailed("tool.unknown", f"there is no such tool; there are: {names}")
    if tool.approve == "never":
        raise ToolFailed("tool.never", f"{tool.name} must not be called")
    try:
        arguments = parse_json(use.arguments.encode("utf-8", "replace"))
    except ContentInvalid:
        raise ToolFailed("tool.arguments", "the arguments are no JSON") from None
    return tool, fitting(tool, arguments)


def fitting(tool: Granted, arguments: Any) -> dict[str, Any]:
    """The arguments. Raises ToolFailed for what does not fit its schema, without its words."""
    if not isinstance(arguments, dict):
        raise ToolFailed("tool.arguments", "the arguments are no object")
    if found := _rules(_encode(tool.schema)).broken(arguments):
        raise ToolFailed("tool.arguments", f"{tool.name}: {found[0].text}")
    return arguments


def pieces(tool: Granted, value: Any) -> Pieces:
    """What a plugin's tool gave, by what it may tell of patients."""
    if tool.phi == "deidentified":
        return tuple(jsonkeys.pieces(value))
    return (("free", _encode(value).decode()),)


@lru_cache(maxsize=64)
def _table(name: str, text: str) -> Table:
    return tables.parse(name, text.encode())


@lru_cache(maxsize=512)
def _rules(schema: bytes) -> Any:
    """Compiled; its library is loaded with the first model that uses a tool."""
    return importlib.import_module("portico.steps.jsonrules").JsonRules(schema)
