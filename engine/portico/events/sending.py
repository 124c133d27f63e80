"""What destinations say about their peers."""

from dataclasses import dataclass
from typing import ClassVar

from portico.events.emit import Event


@dataclass(frozen=True, slots=True)
class AnswerUnexpected(Event):
    """A peer sent a frame that nothing waited for; it is dropped and the connection closed."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("destination",)

    destination: str
    peer: str
