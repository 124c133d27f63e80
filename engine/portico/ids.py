"""Identities: time-ordered, made here and never by the database.

A Signal's id is a UUIDv7 (RFC 9562, section 5.7) kept as its 16 bytes. What belongs to a
Signal is numbered below it, so that one id finds everything: `019a...-...` is the Signal,
`019a...-.../d2` its second Delivery.
"""

import os
from collections.abc import Callable
from typing import NewType
from uuid import UUID

from portico.clock import Clock

SignalId = NewType("SignalId", bytes)


class IdMaker:
    """Makes Signal ids that never repeat and, within one maker, always grow.

    Ids made while the wall clock stands still or steps back continue from the last one:
    order inside one engine survives, and the time in the id is wrong by at most the step.
    """

    def __init__(self, clock: Clock, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._clock = clock
        self._entropy = entropy
        self._last_ms = 0
        self._counter = 0
        self._pool = b""
        self._at = 0

    def next(self) -> SignalId:
        """The next id: 48 bits of milliseconds, 18 of counter, 56 of chance."""
        ms = self._clock.time_ns() // 1_000_000
        if ms > self._last_ms:
            self._last_ms, self._counter = ms, 0
        else:
            self._counter += 1
            if self._counter >= 1 << 18:
                self._last_ms, self._counter = self._last_ms + 1, 0
        if self._at >= len(self._pool):
            self._pool, self._at = self._entropy(7 * 512), 0
        chance = self._pool[self._at : self._at + 7]
        self._at += 7
        count = self._counter
        head = (self._last_ms << 16) | 0x7000 | (count >> 6)
        return SignalId(head.to_bytes(8, "big") + bytes((0x80 | (count & 0x3F),)) + chance)


def text(signal: SignalId) -> str:
    """The form people and programs see: `019a3b1c-...`, 36 characters."""
    digits = signal.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def parse(form: str) -> SignalId:
    """The id of a text form. Raises ValueError."""
    return SignalId(UUID(form).bytes)


def delivery_text(signal: SignalId, number: int) -> str:
    """A Delivery's id: the Signal's, `/d`, its number from 1."""
    return f"{text(signal)}/d{number}"


def millis(signal: SignalId) -> int:
    """The id's time: milliseconds since 1970 UTC."""
    return int.from_bytes(signal[:6], "big")


def floor_at(ms: int) -> SignalId:
    """The smallest id of that millisecond: the bounds of time partitions and of searches."""
    return SignalId(ms.to_bytes(6, "big") + b"\x70\x00\x80" + bytes(7))


def short(signal: SignalId) -> str:
    """20 characters that stand for this id where HL7 allows no more (MSH-10 before 2.7).

    The 48 bits of time and the last 32 bits of chance, in hexadecimal.
    """
    return (signal[:6] + signal[-4:]).hex().upper()
