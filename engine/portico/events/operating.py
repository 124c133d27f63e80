"""What an operator did, and what the engine has to say to one: wishes, alarms, the disk."""

from dataclasses import dataclass
from typing import ClassVar

from portico.events.emit import Event


@dataclass(frozen=True, slots=True)
class WishStored(Event):
    """An operator paused, resumed, drains or stopped a channel or a destination. scope: which
    of the two; by: who, as the command line says it.
    """

    scope: str
    name: str
    wish: str
    by: str


@dataclass(frozen=True, slots=True)
class QueueDrained(Event):
    """A destination that was to be drained has sent all; from now on it is paused."""

    labels: ClassVar[tuple[str, ...]] = ("destination",)

    destination: str


@dataclass(frozen=True, slots=True)
class QueueParked(Event):
    """A destination that left the site was still owed messages: they wait for a person."""

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("destination", "code")

    destination: str
    code: str
    count: int


@dataclass(frozen=True, slots=True)
class QueueFull(Event):
    """A destination's queue has reached its limit: the channels that send there do not read."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("destination",)

    destination: str
    count: int
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueueEased(Event):
    """A queue that was full has shrunk to four fifths of its limit: its channels read again."""

    labels: ClassVar[tuple[str, ...]] = ("destination",)

    destination: str
    count: int


@dataclass(frozen=True, slots=True)
class DiskLow(Event):
    """Too little room is left for the journal: every source is closed until there is more.
    free, close: bytes.
    """

    level: ClassVar[str] = "error"

    free: int
    close: int


@dataclass(frozen=True, slots=True)
class DiskBack(Event):
    """There is room for the journal again: the sources open. free: bytes."""

    level: ClassVar[str] = "warning"

    free: int


@dataclass(frozen=True, slots=True)
class AlarmOpened(Event):
    """Something is not as it should be. code: the kind of alarm; scope and name: of what; told
    to the sinks that the site names.
    """

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("code",)

    code: str
    scope: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class AlarmClosed(Event):
    """It is as it should be again. seconds: how long it was not."""

    labels: ClassVar[tuple[str, ...]] = ("code",)

    code: str
    scope: str
    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AlarmUntold(Event):
    """A sink does not take an alarm; it is tried again. code: the status or the kind of error;
    tries: so far; 0 when it is given up.
    """

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("code",)

    sink: str
    code: str
    tries: int


@dataclass(frozen=True, slots=True)
class AlarmsUnkept(Event):
    """The journal could not store which alarms are open; it is tried again."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("code",)

    code: str


@dataclass(frozen=True, slots=True)
class WatcherFailed(Event):
    """A fault of ours beside the messages: in what looks after alarms, the disk, wishes or
    retention, which looks again in a few seconds; in a reload, or a port of the engine's own.
    code: the exception's type; at: where it was raised.
    """

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("code",)

    code: str
    at: str


@dataclass(frozen=True, slots=True)
class PortRefused(Event):
    """A port of the engine's own, metrics or API, cannot be opened; it is tried again."""

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("code",)

    code: str
    text: str
