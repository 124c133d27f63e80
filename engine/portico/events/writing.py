"""What an operator sees of writing the journal: whether it can be, and who may."""

from dataclasses import dataclass
from typing import ClassVar

from portico.events.emit import Event


@dataclass(frozen=True, slots=True)
class JournalMigrated(Event):
    """The journal's schema went from one version to another."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class JournalLost(Event):
    """The journal cannot be written: nothing is acknowledged until it can (promise P7)."""

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("code",)

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class JournalBack(Event):
    """The journal can be written again; what waited is being stored."""

    level: ClassVar[str] = "warning"


@dataclass(frozen=True, slots=True)
class LeaseAwaited(Event):
    """Another engine writes this journal: this one waits until it falls silent."""


@dataclass(frozen=True, slots=True)
class LeaseLost(Event):
    """Another engine has taken this journal over: this one ends."""

    level: ClassVar[str] = "error"


@dataclass(frozen=True, slots=True)
class RowRejected(Event):
    """The database refused one item for good (a fault of ours); its Signal or Delivery stays
    where the journal has it and is taken up again at the next start. code: the SQLSTATE.
    """

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("code",)

    code: str


@dataclass(frozen=True, slots=True)
class CallbackFailed(Event):
    """A fault of ours after a commit: what it was about stays in the journal and is taken up
    again at the next start. code: the exception's type; at: where it was raised.
    """

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("code",)

    code: str
    at: str
