"""The two state tables (promise P2): every legal move, and nothing else."""

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


_S, _D = SignalState, DeliveryState

SIGNAL_MOVES: dict[SignalState, frozenset[SignalState]] = {
    _S.WAITING: frozenset({_S.RUNNING, _S.DUPLICATE, _S.FILTERED, _S.PARKED}),
    _S.RUNNING: frozenset({_S.WAITING, _S.DONE, _S.FILTERED, _S.REFUSED, _S.PARKED}),
    _S.PARKED: frozenset({_S.WAITING, _S.DISCARDED}),
    _S.DONE: frozenset(),
    _S.FILTERED: frozenset(),
    _S.REFUSED: frozenset(),
    _S.DUPLICATE: frozenset(),
    _S.DISCARDED: frozenset(),
}

DELIVERY_MOVES: dict[DeliveryState, frozenset[DeliveryState]] = {
    _D.QUEUED: frozenset({_D.SENDING, _D.PARKED, _D.DISCARDED}),
    _D.SENDING: frozenset({_D.QUEUED, _D.DELIVERED, _D.PARKED}),
    _D.PARKED: frozenset({_D.QUEUED, _D.DISCARDED}),
    _D.DELIVERED: frozenset(),
    _D.DISCARDED: frozenset(),
}
