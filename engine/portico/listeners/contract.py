"""What a listener must do, and what it is given.

A listener turns bytes of its protocol into Arrivals and hands each to `receive`. It answers
nobody by itself: `Arrival.answer` is called once for every Arrival, in any order and from the
same thread, perhaps before `receive` returns; the listener keeps the order its protocol wants.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from portico.clock import Clock
from portico.errors import MessageError
from portico.events.emit import Emit
from portico.model.receipt import Receipt
from portico.spec.fields import Options
from portico.tls.certificates import Certificates


class Arrival(Protocol):
    """One message as it arrived, and the way back to its sender.

    content: the bytes inside the frame, bit for bit. peer: `host:port` or a user's name.
    received: nanoseconds since 1970 UTC. file: name of a file source, else empty.
    connection: a number that differs between connections of one listener. about: further
    words of the envelope (`header`, `query`, `user`), for most sources none.
    """

    content: bytes
    peer: str
    received: int
    file: str
    connection: int
    about: Mapping[str, Any]

    def answer(self, receipt: Receipt) -> None:
        """Tell the sender. Called exactly once; harmless when the sender has gone."""
        ...

    def say(self, receipt: Receipt) -> None:
        """Tell what `answer` promised with `more`. Waits for no other message's turn."""
        ...


Receive = Callable[[Arrival], None]


class Listener(Protocol):
    """One source, started and stopped by the channel that owns it."""

    async def start(self) -> None:
        """Open the source. Raises ListenFailed with what is in the way."""
        ...

    def hold(self) -> None:
        """Stop reading (back-pressure); connections stay open."""
        ...

    def release(self) -> None:
        """Read again."""
        ...

    def adopt(self, source: object) -> bool:
        """Take changed options without closing anything; False when it cannot."""
        ...

    async def stop(self, grace: float) -> None:
        """Accept no more; wait up to `grace` seconds for open answers; close everything."""
        ...

    def connections(self) -> int:
        """How many peers are connected now."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """A file that was read and left where it is. size in bytes, changed in nanoseconds."""

    name: str
    size: int
    changed: int


@dataclass(frozen=True, slots=True)
class Firing:
    """One planned time of a schedule. planned: seconds since 1970 UTC.

    outcome: `begun` (the plan was seen first), `fired`, `missed` or `overlapped`. plan: whose
    time it is; empty where that was not kept.
    """

    planned: int
    outcome: str
    plan: str = ""


class Memory(Protocol):
    """What a channel's source remembers across restarts. Every verb may raise JournalError."""

    async def mark(self) -> str:
        """8 letters that this channel's claims bear; the same wherever its journal is used."""
        ...

    async def known(self, names: Sequence[str]) -> dict[str, Known]:
        """Those of these files that were remembered."""
        ...

    async def remember(self, files: Sequence[Known]) -> None:
        """They were read as they are now."""
        ...

    async def seen(self, names: Sequence[str]) -> None:
        """Of these files, those that were remembered lie there still."""
        ...

    async def forget(self, seconds: float) -> None:
        """What has not been seen for so long is remembered no more."""
        ...

    async def firing(self, until: int) -> Firing | None:
        """The last planned time, up to this one, that was dealt with."""
        ...

    async def fired(self, firing: Firing) -> None:
        """This planned time has been dealt with; one that is known stays, unless a plan begins
        at it."""
        ...


class Fetching(Protocol):
    """What a source that fetches has beyond `receive`."""

    @property
    def memory(self) -> Memory:
        """The channel's own."""
        ...

    def once(self, arrival: Arrival, identity: str, fault: MessageError | None = None) -> None:
        """Take one message. identity names it where its content does not: handed up again
        under the same name it is recognised. fault: why it is refused, whatever it says.
        """
        ...

    def cut(self, file: BinaryIO, size: int) -> Iterator[tuple[bytes, MessageError | None]]:
        """The messages of a file, each with why it is refused, if it is; blocking. Holds one
        message at a time. Raises MessageError when the file cannot be cut.
        """
        ...

    def reply(self, file: BinaryIO, answers: Iterable[tuple[bool, bytes]]) -> Iterator[bytes]:
        """The pieces of the file that answers this one; none where its content has no word for
        that. Blocking. answers: `(positive, bytes)` of each message that was handed up.
        """
        ...

    def waiting(self) -> int:
        """How many of the channel's Signals have not ended."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a listener may use of the world. reactor: Twisted's; root: the site's folder;
    environ: where secrets are looked up; certificates: TLS contexts; fetching: for sources
    that fetch; shared: what the listeners of one engine have in common, by their own names;
    scratch: a folder for what is too large for memory, None for the system's."""

    reactor: Any
    clock: Clock
    emit: Emit
    root: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    certificates: Certificates = field(default_factory=Certificates)
    fetching: Fetching | None = None
    shared: dict[str, Any] = field(default_factory=dict)
    scratch: str | None = None


@dataclass(frozen=True, slots=True)
class ListenerType:
    """One source type: a value at the end of its module, and one line in listeners/table.py.

    options: the shape of `source:`, without `type`. build: makes one Listener; the reactor and
    the clock come from the composition root. not_yet: keys of the language that are not built,
    each with the words `check` says about it. defaults: keys of the channel's document that
    are other with this source, as a file would spell them.
    """

    name: str
    summary: str
    options: type[Options]
    build: Callable[[str, Any, Receive, Surroundings], Listener]
    not_yet: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
