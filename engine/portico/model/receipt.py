"""The Receipt: what the sender is told, before any protocol's words."""

from enum import StrEnum

from msgspec import Struct


class Told(StrEnum):
    """The kinds of answer; the label of the `acknowledged` metric next to its code."""

    ACCEPTED = "accepted"  # stored; every positive answer is this
    REFUSED = "refused"  # whole, but not acceptable: the sender must repair it
    FAILED = "failed"  # our fault: the sender may repeat it
    SILENT = "silent"  # the sender asked for no answer, or none can be given


class Receipt(Struct, frozen=True, gc=False):
    """The answer for one arrival.

    replies: rendered answers in the order they go out (an HL7 ACK each); may be empty.
    close: close the connection after the replies. code: `AA`, `AR`, ... or empty. more: the
    application's answer follows the accept answer, by `Arrival.say`.
    """

    told: Told
    replies: tuple[bytes, ...] = ()
    close: bool = False
    code: str = ""
    more: bool = False
