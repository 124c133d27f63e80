"""What keeps a provider from being asked: its rate, and its circuit once it fails.

The circuit opens after `FAILURES` transient failures in a row; then one call tries it after a
pause that doubles up to `MOST`, and one answer closes it.
"""

from collections import deque
from dataclasses import dataclass, field

FAILURES = 5
FIRST, MOST = 5.0, 300.0  # seconds of a pause


@dataclass(slots=True)
class Circuit:
    """One provider's. All times monotonic seconds."""

    failures: int = 0
    pause: float = 0.0
    until: float = 0.0
    trying: bool = False

    @property
    def open(self) -> bool:
        """No call leaves, but for a trial now and then."""
        return self.failures >= FAILURES

    def passes(self, now: float) -> bool:
        """Whether a call may leave; of an open circuit one, once its pause is over."""
        if not self.open:
            return True
        if now < self.until or self.trying:
            return False
        self.trying = True
        return True

    def worked(self) -> bool:
        """A call was answered; whether that closed the circuit."""
        closed = self.open
        self.failures, self.pause, self.trying = 0, 0.0, False
        return closed

    def failed(self, now: float) -> bool:
        """A call failed; whether that opened the circuit. One that had left before it opened
        says nothing new."""
        before = self.open
        if before and now < self.until:
            return False
        self.failures += 1
        self.trying = False
        if self.open:
            self.pause = min(MOST, self.pause * 2 or FIRST)
            self.until = now + self.pause
        return self.open and not before


@dataclass(slots=True)
class Pace:
    """At most `calls` within any `per` seconds."""

    calls: int
    per: float
    left: deque[float] = field(default_factory=deque)

    def wait(self, now: float) -> float:
        """Seconds until a call may leave; 0: it leaves now, and is counted."""
        while self.left and self.left[0] <= now - self.per:
            self.left.popleft()
        if len(self.left) < self.calls:
            self.left.append(now)
            return 0.0
        return self.left[0] + self.per - now
