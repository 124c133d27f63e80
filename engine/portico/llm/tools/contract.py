"""What a built-in tool is: a Tool with its schema, and a function of a desk and arguments."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from portico.hl7.view import MessageView
from portico.language.tables import Table
from portico.llm.asking import Pieces
from portico.llm.contract import ToolFailed
from portico.spec.models import Phi


class JournalView(Protocol):
    """What tools may know of other Signals: nothing that could tell a patient."""

    async def signals(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The newest that fit."""
        ...

    async def signal(self, name: str) -> dict[str, Any] | None:
        """What became of one; None when there is none."""
        ...


@dataclass(slots=True)
class ToolDesk:
    """What the tools of one conversation see. phi: what the model may be told. message: the
    step's, where it is HL7. files: the virtual ones, by name."""

    phi: Phi
    message: MessageView | None
    tables: Mapping[str, Table]
    journal: JournalView
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Builtin:
    """One tool. call: its name here, such as `hl7.read`. run: what it gives, by kind of text.
    Raises ToolFailed; arguments fit the schema. pure: it sees nothing but its conversation, and
    gives the same when that is talked through again."""

    call: str
    summary: str
    schema: dict[str, Any]
    run: Callable[[ToolDesk, dict[str, Any]], Awaitable[Pieces]]
    pure: bool = True


def schema(*required: str, **properties: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of an object with these properties and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def text(most: int = 200) -> dict[str, Any]:
    """The JSON Schema of a text."""
    return {"type": "string", "minLength": 1, "maxLength": most}


def known(value: Any) -> Pieces:
    """A value that can tell no patient, as JSON."""
    return (("open", msgspec.json.encode(value).decode()),)


def failed(why: str) -> ToolFailed:
    """It cannot be done; the model is told why."""
    return ToolFailed("tool.failed", why)
