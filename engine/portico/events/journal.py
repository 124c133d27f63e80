"""What an operator sees of the journal: the database under it, and the schema in it."""

from dataclasses import dataclass
from typing import ClassVar

from portico.events.emit import Event


@dataclass(frozen=True, slots=True)
class JournalMade(Event):
    """First start: the embedded PostgreSQL has a data folder. seconds: what that took."""

    version: str
    folder: str
    seconds: float


@dataclass(frozen=True, slots=True)
class JournalStarted(Event):
    """The embedded PostgreSQL accepts connections. identity: self, namespace or user."""

    version: str
    pid: int
    identity: str
    seconds: float


@dataclass(frozen=True, slots=True)
class JournalLeftoverStopped(Event):
    """A dead engine's PostgreSQL was still on the data folder and has been stopped."""

    level: ClassVar[str] = "warning"

    pid: int
    seconds: float


@dataclass(frozen=True, slots=True)
class JournalDied(Event):
    """The embedded PostgreSQL ended by itself. status: exit status, negative for a signal."""

    level: ClassVar[str] = "error"

    pid: int
    status: int


@dataclass(frozen=True, slots=True)
class JournalRestarted(Event):
    """The embedded PostgreSQL is back. seconds: how long it was away."""

    level: ClassVar[str] = "warning"

    pid: int
    tries: int
    seconds: float


@dataclass(frozen=True, slots=True)
class JournalUnreachable(Event):
    """The database cannot be started or reached; tried again after `retry` seconds."""

    level: ClassVar[str] = "error"

    reason: str
    retry: float


@dataclass(frozen=True, slots=True)
class JournalStopped(Event):
    """The embedded PostgreSQL was told to stop, and has."""

    seconds: float
