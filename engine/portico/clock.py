"""The only caller of the system's time."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is, as an argument."""

    def time_ns(self) -> int:
        """Wall clock: nanoseconds since 1970 UTC. May step."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clock."""

    def time_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Seconds since an unknown start."""
        return time.monotonic()

    monotonic_ns = staticmethod(time.monotonic_ns)  # the same in nanoseconds


def moment(ns: int) -> datetime:
    """The aware UTC datetime of nanoseconds since 1970 (to the microsecond)."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
