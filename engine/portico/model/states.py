"""The states of Signals and Deliveries (promise P2)."""

from enum import StrEnum


class SignalState(StrEnum):
    """Where a Signal is; at every instant exactly one of these."""

    WAITING = "waiting"
    RUNNING = "running"  # in memory only: in the journal it is waiting
    DONE = "done"  # with deliveries, perhaps none
    FILTERED = "filtered"  # done, dropped by a named rule
    REFUSED = "refused"  # the sender was told
    DUPLICATE = "duplicate"
    PARKED = "parked"
    DISCARDED = "discarded"


class DeliveryState(StrEnum):
    """Where a Delivery is; at every instant exactly one of these."""

    QUEUED = "queued"
    SENDING = "sending"  # in memory only: in the journal it is queued
    DELIVERED = "delivered"
    PARKED = "parked"
    DISCARDED = "discarded"
