"""Budgets: tokens spent and reserved, by whoever has one.

A call reserves the most that it can cost before it leaves and settles what it did cost. It may
leave while what is spent and reserved lies below the limit, so that spending passes a limit by
one call at most, however many leave at once.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Limit:
    """key: whose: ("agent", NAME), ("step", AGENT, NAME), ("provider", NAME). per: seconds."""

    key: tuple[str, ...]
    tokens: int
    per: float


@dataclass(slots=True)
class _Account:
    entries: deque[tuple[float, int]] = field(default_factory=deque)
    reserved: int = 0


class Spending:
    """All accounts of one engine. Times are seconds since 1970. longest: what is kept."""

    def __init__(self, longest: float = DAY) -> None:
        self.longest = longest
        self._accounts: dict[tuple[str, ...], _Account] = {}

    def load(self, spent: Iterable[tuple[float, tuple[tuple[str, ...], ...], int]]) -> None:
        """What the journal knows: (when, whose, tokens), oldest first."""
        for at, keys, tokens in spent:
            for key in keys:
                self._account(key).entries.append((at, tokens))

    def may(self, limits: Iterable[Limit], now: float) -> tuple[Limit | None, bool]:
        """The limit that is reached, None when a call may leave; and whether only calls that
        are under way reach it."""
        for limit in limits:
            account = self._account(limit.key)
            spent = self.spent(limit.key, now - limit.per)
            if spent >= limit.tokens:
                return limit, False
            if spent + account.reserved >= limit.tokens:
                return limit, True
        return None, False

    def reserve(self, keys: Iterable[tuple[str, ...]], tokens: int) -> None:
        """A call leaves that may cost so much."""
        for key in keys:
            self._account(key).reserved += tokens

    def settle(
        self, keys: Iterable[tuple[str, ...]], reserved: int, tokens: int, now: float
    ) -> None:
        """It is back, and did cost that much."""
        for key in keys:
            account = self._account(key)
            account.reserved -= reserved
            account.entries.append((now, tokens))
            while account.entries and account.entries[0][0] < now - self.longest:
                account.entries.popleft()

    def spent(self, key: tuple[str, ...], since: float) -> int:
        """Tokens since then."""
        return sum(tokens for at, tokens in self._account(key).entries if at >= since)

    def _account(self, key: tuple[str, ...]) -> _Account:
        return self._accounts.setdefault(key, _Account())


def whose(provider: str, agent: str, step: str) -> tuple[tuple[str, ...], ...]:
    """The accounts that a call is booked on."""
    return ("provider", provider), ("agent", agent), ("step", agent, step)
