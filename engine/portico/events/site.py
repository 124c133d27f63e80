"""What an operator sees of the engine's own life: start, channels, reload, stop."""

from dataclasses import dataclass
from typing import ClassVar

from portico.events.emit import Event


@dataclass(frozen=True, slots=True)
class EngineStarting(Event):
    """The engine has read its site and begins to open the journal."""

    version: str
    site: str
    data: str


@dataclass(frozen=True, slots=True)
class EngineReady(Event):
    """Every channel that can listen does. seconds: since the start."""

    channels: int
    agents: int
    destinations: int
    seconds: float


@dataclass(frozen=True, slots=True)
class EngineDraining(Event):
    """The engine was told to stop; it takes nothing new and ends what it began."""

    reason: str


@dataclass(frozen=True, slots=True)
class EngineStopped(Event):
    """The engine has ended. seconds: what the drain took."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SiteSwapped(Event):
    """A reload: the new site is in force. Each part names channels, agents, destinations."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SiteRefused(Event):
    """A reload: the new site has findings, so the old one stays. first: the first finding."""

    level: ClassVar[str] = "error"

    findings: int
    first: str


@dataclass(frozen=True, slots=True)
class ChannelOpened(Event):
    """A channel's source is open. where: its address, path or schedule."""

    labels: ClassVar[tuple[str, ...]] = ("channel",)

    channel: str
    type: str
    where: str


@dataclass(frozen=True, slots=True)
class NounRenamed(Event):
    """The journal has followed a new name; history and queue are the noun's. was: the name
    that it had.
    """

    scope: str
    name: str
    was: str


@dataclass(frozen=True, slots=True)
class ChannelFailed(Event):
    """A channel's source cannot be opened; the other channels go on and it is tried again."""

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("channel", "code")

    channel: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class ChannelClosed(Event):
    """A channel's source is closed: at the stop, because an operator or a full disk wants it
    so, or because the site no longer names it.
    """

    labels: ClassVar[tuple[str, ...]] = ("channel",)

    channel: str


@dataclass(frozen=True, slots=True)
class ReactorStalled(Event):
    """The engine's loop did nothing else for that long. seconds: how late a due call ran."""

    level: ClassVar[str] = "warning"

    seconds: float
