"""The Signal: something that arrived and can cause work."""

from typing import Literal

from msgspec import Struct

from portico.ids import SignalId

SignalKind = Literal["run", "sync", "fyi"]  # for an agent: run it; read the site anew; know it


class Signal(Struct, frozen=True, gc=False):
    """The journal's inbound row.

    origin: the channel's name, `signal:NAME` for what an agent emitted, `caller:NAME` for what
    a person or program made for an agent.
    received: nanoseconds since 1970 UTC. content: the received bytes, bit for bit.
    sha256: 32 bytes. type: `ADT^A01` for HL7, else the root or media type.
    control_id, sender, patient: as text for search; empty when the content has none.
    order_key: the unit of order. repeat_key: 8 bytes of hash over the channel and its
    duplicate fields, as a signed integer; 0 when they are empty or duplicates are processed.
    flags: of `replay`, `changed`, `bad_charset`. parent: the Signal that caused this one.
    ended: empty when it goes on to agents; `unmatched` when none answers it; `sync` or `fyi`
    when it was only to be recorded; `refused:CODE` when intake refused it with that error's
    code. about: further words of its envelope (a
    request's `header`, `query`, `user`) as JSON, empty for most.
    """

    id: SignalId
    origin: str
    received: int
    content: bytes
    sha256: bytes
    peer: str = ""
    type: str = ""
    control_id: str = ""
    sender: str = ""
    patient: str = ""
    order_key: str = ""
    repeat_key: int = 0
    flags: tuple[str, ...] = ()
    parent: SignalId | None = None
    ended: str = ""
    about: bytes = b""


class Waiting(Struct, frozen=True, gc=False):
    """A journaled Signal whose sessions have not all concluded. seq: the journal's order."""

    seq: int
    signal: Signal
