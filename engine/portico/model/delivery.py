"""A Delivery: one message owed to one destination; an Attempt: one try of it."""

from enum import StrEnum

from msgspec import Struct

from portico.ids import SignalId


class Delivery(Struct, frozen=True, gc=False):
    """One message owed to one destination.

    signal, number: its identity (`ids.delivery_text`). seq: the journal's order.
    content: the exact bytes to send. lane: the order key. received: when the Signal came,
    nanoseconds since 1970 UTC. tries: attempts already recorded; spent: those of them before a
    person released it, which count no more; since: when the first of the others failed,
    nanoseconds, 0 for not yet. inherited: an earlier life of the engine may have been amid one
    more, of which nothing is recorded.
    """

    signal: SignalId
    number: int
    seq: int
    destination: str
    lane: str
    content: bytes
    control_id: str = ""
    file: str = ""
    received: int = 0
    tries: int = 0
    spent: int = 0
    since: int = 0
    inherited: bool = False


class Answered(StrEnum):
    """What became of an attempt, before the destination's `answers` table judges the code."""

    ANSWERED = "answered"  # the peer answered with `code`
    NO_CONNECTION = "no_connection"  # nothing was sent
    UNCLEAR = "unclear"  # sent, and no, a late or a foreign answer: it may have it


class Attempt(Struct, frozen=True, gc=False):
    """One try. code: the peer's word (`AA`, `200`), or `no_connection`, `timeout`, `wrong_id`,
    `closed`, `garbled`, `disk_full`; answer: its exact bytes; micros: from send to answer;
    detail: one line for people, without patient data. after: seconds that the peer asks to
    wait before the next try.
    """

    answered: Answered
    code: str
    answer: bytes = b""
    micros: int = 0
    detail: str = ""
    after: float = 0.0
