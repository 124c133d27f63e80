"""What retention did: days that went, days that had to stay, legal holds."""

from dataclasses import dataclass
from typing import ClassVar

from portico.events.emit import Event


@dataclass(frozen=True, slots=True)
class DayDropped(Event):
    """Retention let a day's `bodies` or `headers` go. size: bytes on disk that came free."""

    day: str
    part: str
    size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class BodiesPurged(Event):
    """A channel's shorter `retention.bodies` let the bytes of a day's messages go, `count` of
    them. kept: messages that are unfinished or held by law; they are looked at again."""

    labels: ClassVar[tuple[str, ...]] = ("channel",)

    channel: str
    day: str
    count: int
    kept: int


@dataclass(frozen=True, slots=True)
class AuditPurged(Event):
    """`retention.audit` let go what people did long ago, and replays of many."""

    acts: int
    jobs: int


@dataclass(frozen=True, slots=True)
class EditionsPurged(Event):
    """Retention let go what agents were made of, of versions that no session names."""

    count: int


@dataclass(frozen=True, slots=True)
class DayKept(Event):
    """A day would go but stays: something of it is `unfinished`, or `held` by law."""

    level: ClassVar[str] = "warning"

    day: str
    part: str
    why: str


@dataclass(frozen=True, slots=True)
class RetentionFailed(Event):
    """Something that is due could not go; it is tried again within the hour. code: as the
    database says it."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("code",)

    code: str


@dataclass(frozen=True, slots=True)
class HoldSet(Event):
    """A person put a Signal, or a patient's Signals, under a legal hold."""

    number: int
    what: str
    by: str


@dataclass(frozen=True, slots=True)
class HoldEnded(Event):
    """A person ended a legal hold."""

    number: int
    by: str
