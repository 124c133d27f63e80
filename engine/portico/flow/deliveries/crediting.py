"""Answers that come on another connection: to which Delivery each is credited (A12)."""

from collections.abc import Sequence

from portico.destinations.contract import Creditor
from portico.errors import MessageError
from portico.hl7 import ack, header


def credit(asked: Sequence[Creditor], content: bytes) -> bool:
    """End the Delivery that waits for this answer; False when none does.

    asked: the destinations whose answers come to this channel. Where they are several, the
    answer's sender (MSH-3, MSH-4) must be the receiver (MSH-5, MSH-6) of what was sent, since
    one message may be under way to all of them. An accept code says nothing here: it belongs
    on the line on which the message went out.
    """
    try:
        told, head = ack.read(content), header.read(content)
    except MessageError:
        return False
    if told.code.startswith("C"):
        return False
    sender = (head.sending_application, head.sending_facility) if len(asked) > 1 else None
    return any(one.credit(told, content, sender) for one in asked)
