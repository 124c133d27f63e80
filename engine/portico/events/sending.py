"""What destinations say about their peers."""

from dataclasses import dataclass
from typing import ClassVar

from portico.events.emit import Event


@dataclass(frozen=True, slots=True)
class PeerRefused(Event):
    """A peer that connected to a destination was not let in. code: `not_allowed too_many`, or
    `tls_` and the word of a failed handshake.
    """

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("destination", "code")

    destination: str
    peer: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class PortClosed(Event):
    """A destination cannot listen for its peer; it is tried again every few seconds."""

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("destination", "code")

    destination: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class AnswerUnexpected(Event):
    """A peer sent a frame that nothing waited for; it is dropped and the connection closed."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("destination",)

    destination: str
    peer: str
