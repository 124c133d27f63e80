"""Events of delivering: destinations that go and come, messages that stop."""

from dataclasses import dataclass
from typing import ClassVar

from portico.events.emit import Event


@dataclass(frozen=True, slots=True)
class DestinationDown(Event):
    """A destination cannot be reached; its queue waits and one probe at a time is sent. text:
    why, where more is known than the code.
    """

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("destination", "code")
    destination: str
    code: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class DestinationUp(Event):
    """A destination that could not be reached answers again."""

    level: ClassVar[str] = "info"
    labels: ClassVar[tuple[str, ...]] = ("destination",)
    destination: str


@dataclass(frozen=True, slots=True)
class DeliveryDeferred(Event):
    """An answer was bad or unclear; the lane waits and sends the same bytes again."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("destination", "code")
    destination: str
    code: str
    delivery: str
    tries: int


@dataclass(frozen=True, slots=True)
class DeliveryParked(Event):
    """A Delivery was refused, or its retries ended: a person must look at it."""

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("destination", "code")
    destination: str
    code: str
    delivery: str


@dataclass(frozen=True, slots=True)
class QueueUnreadable(Event):
    """The journal's queue could not be read; it is tried again."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("destination",)
    destination: str


@dataclass(frozen=True, slots=True)
class SessionFaulted(Event):
    """A session failed for good: its Signal is parked for a person, with the reason."""

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("agent", "code")
    agent: str
    code: str
    step: str
    at: str
    signal: str


@dataclass(frozen=True, slots=True)
class SessionCancelled(Event):
    """A person ended a session before it had a verdict: its Signal is parked."""

    labels: ClassVar[tuple[str, ...]] = ("agent",)
    agent: str
    who: str
    signal: str


@dataclass(frozen=True, slots=True)
class SessionRetried(Event):
    """A session failed in a way that may pass; it and its order key wait and run again."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("agent", "code")
    agent: str
    code: str
    step: str
    tries: int
    seconds: float


@dataclass(frozen=True, slots=True)
class JournalUnreadable(Event):
    """Waiting Signals could not be read back from the journal; it is tried again."""

    level: ClassVar[str] = "warning"
