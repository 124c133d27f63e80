"""What sources of files and schedules say. No name of a file: names hold patients' names."""

from dataclasses import dataclass
from typing import ClassVar

from portico.events.emit import Event


@dataclass(frozen=True, slots=True)
class SourceLost(Event):
    """A place that is polled cannot be reached, or a fault of ours (`internal`) stopped a
    source that polls or a schedule; it is tried again until it can. code: of the error, or
    `host_key`, or `tls_` and the word of a failed handshake: it is not the server we want.
    """

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("channel", "code")

    channel: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class SourceBack(Event):
    """A place that was lost can be reached again."""

    labels: ClassVar[tuple[str, ...]] = ("channel",)

    channel: str


@dataclass(frozen=True, slots=True)
class FileTaken(Event):
    """Every message of a file is journaled. size: its bytes."""

    level: ClassVar[str] = "debug"
    labels: ClassVar[tuple[str, ...]] = ("channel",)

    channel: str
    messages: int
    size: int


@dataclass(frozen=True, slots=True)
class MessagesRefused(Event):
    """Some messages of a file were refused; they are in the journal, the file is finished."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("channel",)

    channel: str
    refused: int
    messages: int


@dataclass(frozen=True, slots=True)
class FileKept(Event):
    """A file waits for a person, told once for each state of it.

    code: `too_large`, `uncut` (its messages cannot be told apart), `unreadable`, `unclaimed`,
    or `unfinished`: journaled, and not moved or deleted yet. size: its bytes.
    """

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("channel", "code")

    channel: str
    code: str
    size: int
    text: str


@dataclass(frozen=True, slots=True)
class UploadRefused(Event):
    """An SFTP user's file was not taken: too much of theirs, or of all, is not whole yet."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("channel",)

    channel: str
    peer: str


@dataclass(frozen=True, slots=True)
class UploadDropped(Event):
    """An SFTP session ended with files that were not closed, or still had temporary names."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("channel",)

    channel: str
    peer: str
    files: int


@dataclass(frozen=True, slots=True)
class ScheduleMissed(Event):
    """Planned times passed while nothing could be fired; `catch_up` passes over so many."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("channel",)

    channel: str
    times: int


@dataclass(frozen=True, slots=True)
class ScheduleOverlapped(Event):
    """A planned time was passed over, since the Signal of an earlier one has not ended."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("channel",)

    channel: str
