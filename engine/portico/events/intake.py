"""What listeners say: who connected, who was refused, what could not be read.

`code` says why in a word that never changes; `peer` is `host:port`; no byte of a message.
"""

from dataclasses import dataclass
from typing import ClassVar

from portico.events.emit import Event


@dataclass(frozen=True, slots=True)
class AnswerUncredited(Event):
    """An application ACK came by which no Delivery waits: too late, twice or of another. It is
    kept like any message."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("channel",)

    channel: str


@dataclass(frozen=True, slots=True)
class ConnectionOpened(Event):
    """A peer connected and may send."""

    level: ClassVar[str] = "debug"
    labels: ClassVar[tuple[str, ...]] = ("channel",)

    channel: str
    peer: str


@dataclass(frozen=True, slots=True)
class ConnectionClosed(Event):
    """A connection ended. code: `peer idle timeout broken stopped told`; left: bytes of
    an unfinished frame that were dropped with it.
    """

    level: ClassVar[str] = "debug"
    labels: ClassVar[tuple[str, ...]] = ("channel", "code")

    channel: str
    peer: str
    code: str
    left: int


@dataclass(frozen=True, slots=True)
class ConnectionRefused(Event):
    """A peer was closed at once (M7). code: `not_allowed` or `too_many`."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("channel", "code")

    channel: str
    peer: str
    code: str


@dataclass(frozen=True, slots=True)
class SourceUnreachable(Event):
    """The peer that a source dials cannot be reached; it is dialled again, at least each
    minute. code: `no_connection`, or `tls_` and the word of a failed handshake.
    """

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("channel", "code")

    channel: str
    peer: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class NoiseDiscarded(Event):
    """Bytes outside frames, or a frame that began anew, were dropped (M2)."""

    level: ClassVar[str] = "debug"
    labels: ClassVar[tuple[str, ...]] = ("channel",)

    channel: str
    peer: str
    count: int


@dataclass(frozen=True, slots=True)
class FrameRefused(Event):
    """A frame could not be read; its connection is closed once what came before is answered.

    code: `wire.frame_too_large`, `wire.frame_broken`, or `timeout` (begun, then silence: M3).
    """

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("channel", "code")

    channel: str
    peer: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class RequestRefused(Event):
    """An HTTP request was refused before its content was looked at; `login_refused` tells of
    one whose sender has not shown who it is. code: the status.
    """

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("channel", "code")

    channel: str
    peer: str
    code: str


@dataclass(frozen=True, slots=True)
class AnswerUnsendable(Event):
    """An answer could not be framed; its connection is closed without it."""

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("channel", "code")

    channel: str
    peer: str
    code: str
    text: str
