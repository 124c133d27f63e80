"""The Receipt: what the sender is told, before any protocol's words."""

from enum import StrEnum

from msgspec import Struct

from portico import ids
from portico.ids import SignalId


class Told(StrEnum):
    """The kinds of answer; the label of the `acknowledged` metric next to its code."""

    ACCEPTED = "accepted"  # stored; every positive answer is this
    REFUSED = "refused"  # whole, but not acceptable: the sender must repair it
    FAILED = "failed"  # our fault: the sender may repeat it
    SILENT = "silent"  # the sender asked for no answer, or none can be given


class Receipt(Struct, frozen=True, gc=False):
    """The answer for one arrival.

    replies: rendered answers in the order they go out (an HL7 ACK each, or the body that a
    positive answer to other content has); may be empty. close: close the connection after the
    replies; where a protocol has a status of its own, that is told first. code: `AA`, `AR`, ...
    for HL7; else the refusal's code, `accepted`, `failed` or `empty`; empty for silence. more:
    the application's answer follows the accept answer, by `Arrival.say`.

    text: one line for the sender, what was wrong, of all that is not positive; a site's
    template may have put the message's own values into it, so it is nothing for a log.
    location: the place in the content that a refusal names. signal: the Signal's id.
    """

    told: Told
    replies: tuple[bytes, ...] = ()
    close: bool = False
    code: str = ""
    more: bool = False
    text: str = ""
    location: str = ""
    signal: SignalId | None = None

    @property
    def named(self) -> str:
        """The Signal's id as people and programs see it; empty when there is none."""
        return ids.text(self.signal) if self.signal else ""
