"""What a destination must do.

It owns its connections and knows nothing of queues, order or retry: that is
flow/deliveries/delivering.py's, which never has more than `width` Deliveries out at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from portico.clock import Clock
from portico.events.emit import Emit
from portico.hl7.ack import Ack
from portico.model.delivery import Attempt, Delivery
from portico.spec.fields import Options
from portico.tls.certificates import Certificates

Done = Callable[[Attempt], None]


class Destination(Protocol):
    """One outbound adapter. width: how many Deliveries it can have in flight."""

    width: int

    async def start(self) -> None:
        """Make ready; must not wait for the peer: a peer that is down is no error here."""
        ...

    def deliver(self, delivery: Delivery, done: Done) -> None:
        """Try once. `done` is called exactly once, in the same thread, and never raises."""
        ...

    def adopt(self, spec: object) -> bool:
        """Take changed options (the next delivery uses them); False when it cannot."""
        ...

    async def stop(self, grace: float) -> None:
        """Let what is in flight end within `grace` seconds; then close, report it unclear."""
        ...


@runtime_checkable
class Creditor(Protocol):
    """A Destination whose peer may answer on another connection (A12).

    ack_on: the channel to which those answers come; empty for none. aside: to be called with 1
    when a Delivery holds no line any more, only its answer is waited for, and with -1 before
    such a one is `done`.
    """

    ack_on: str
    aside: Callable[[int], None]

    def credit(self, told: Ack, content: bytes, sender: tuple[bytes, bytes] | None) -> bool:
        """End the Delivery that waits for this answer; False when none does. sender: MSH-3 and
        MSH-4 of the answer, which must be the receiver of what was sent; None: not asked."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a destination may use of the world. reactor: Twisted's; root: the site's folder;
    environ: where secrets are looked up; certificates: TLS contexts.
    """

    reactor: Any
    clock: Clock
    emit: Emit
    root: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    certificates: Certificates = field(default_factory=Certificates)


@dataclass(frozen=True, slots=True)
class DestinationType:
    """One destination type: a value at the end of its module, one line in the table.

    options: the keys of the document that are this type's own (`address`, `path`, `ack`, ...);
    those common to all (`retry`, `answers`, `order`, ...) are spec/destination.py's. not_yet:
    keys of the language that are not built, each with the words `check` says about it.
    """

    name: str
    summary: str
    options: type[Options]
    build: Callable[[str, Any, Surroundings], Destination]
    not_yet: Mapping[str, str] = field(default_factory=dict)
