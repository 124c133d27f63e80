"""Who came in, who read what, and how the audit trail itself fares.

A user's name stands here only where the site knows it: people type passwords into the wrong
field. No query holds a patient's id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from portico.events.emit import Event


def queried(asked: Mapping[str, str]) -> str:
    """A search in words, without the patient's id."""
    told = {key: "***" if key == "patient" else value for key, value in asked.items()}
    return "&".join(f"{key}={value}" for key, value in sorted(told.items()))


@dataclass(frozen=True, slots=True)
class LoginAccepted(Event):
    """A peer has shown who it is, told once for each connection. channel: empty for the API;
    code: what it showed, such as `password key basic bearer token certificate`.
    """

    level: ClassVar[str] = "debug"
    labels: ClassVar[tuple[str, ...]] = ("channel", "code")

    channel: str
    peer: str
    user: str
    code: str


@dataclass(frozen=True, slots=True)
class LoginRefused(Event):
    """A peer did not get in. channel: empty for the API; user: where the site knows it; code:
    what was shown, as in `login_accepted`.
    """

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("channel", "code")

    channel: str
    peer: str
    user: str
    code: str


@dataclass(frozen=True, slots=True)
class RecordsRead(Event):
    """A person was shown data of patients. what: `show egress search parked reviews holds`;
    signal: its id, for the first two; query: what was asked, without a patient's id; peer: of
    the API, else empty.
    """

    what: str
    who: str
    peer: str
    signal: str
    query: str


@dataclass(frozen=True, slots=True)
class BackupTaken(Event):
    """A person has copied the journal. target: the folder."""

    who: str
    target: str


@dataclass(frozen=True, slots=True)
class AuditAway(Event):
    """The audit repository cannot be reached; what it is owed waits in the spool. code: such
    as `no_connection`, or `tls_` and the word of a failed handshake.
    """

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("code",)

    to: str
    code: str


@dataclass(frozen=True, slots=True)
class AuditBack(Event):
    """The audit repository takes messages again."""

    to: str


@dataclass(frozen=True, slots=True)
class AuditLost(Event):
    """An audit message was lost. code: `full`, the spool's bound; `slow`, the disk; or why its
    folder cannot be written.
    """

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("code",)

    code: str
