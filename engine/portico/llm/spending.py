"""Budgets: tokens and money spent and reserved, by whoever has one.

A call reserves the most that it can cost before it leaves and settles what it did cost. It may
leave while what is spent and reserved lies below the limit, so that spending passes a limit by
one call at most, however many leave at once.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from portico.spec.models import Budget, Price
from portico.units import money_text

DAY = 86_400.0
_MILLION = 1_000_000


class Amount(NamedTuple):
    """What was used. money: millionths of the currency that the prices are in."""

    tokens: int = 0
    money: int = 0

    def plus(self, other: "Amount") -> "Amount":
        """Both together."""
        return Amount(self.tokens + other.tokens, self.money + other.money)

    def less(self, other: "Amount") -> "Amount":
        """Without the other."""
        return Amount(self.tokens - other.tokens, self.money - other.money)


@dataclass(frozen=True, slots=True)
class Limit:
    """key: whose: ("agent", NAME), ("step", AGENT, NAME), ("provider", NAME). per: seconds.
    tokens, money: as in Amount; None: no limit."""

    key: tuple[str, ...]
    per: float
    tokens: int | None = None
    money: int | None = None

    @classmethod
    def of(cls, key: tuple[str, ...], budget: Budget) -> "Limit":
        """What a budget of the site says."""
        return cls(key, budget.per, budget.tokens, budget.cost)

    def reached(self, amount: Amount) -> bool:
        """Whether nothing is left of it."""
        tokens, money = self.tokens, self.money
        return (tokens is not None and amount.tokens >= tokens) or (
            money is not None and amount.money >= money
        )

    def __str__(self) -> str:
        """`agent triage: 2000 tokens, 1.5 of money`."""
        said = [f"{self.tokens} tokens"] if self.tokens is not None else []
        said += [f"{money_text(self.money)} of money"] if self.money is not None else []
        return f"{' '.join(self.key)}: {', '.join(said)}"


@dataclass(slots=True)
class _Account:
    """Bookings, oldest first: the moment of each, and the sum of all up to it, so that what was
    spent since a moment is found by halving. gone: the sum of those that were forgotten. One
    that comes after a step back of the clock counts from the moment of the one before it.
    """

    times: list[float] = field(default_factory=list)
    sums: list[Amount] = field(default_factory=list)
    gone: Amount = field(default_factory=Amount)
    reserved: Amount = field(default_factory=Amount)

    def book(self, at: float, used: Amount) -> None:
        """One more."""
        self.sums.append((self.sums[-1] if self.sums else self.gone).plus(used))
        self.times.append(max(at, self.times[-1]) if self.times else at)

    def since(self, at: float) -> Amount:
        """All from this moment on."""
        if not self.sums:
            return Amount()
        older = bisect_left(self.times, at)
        return self.sums[-1].less(self.sums[older - 1] if older else self.gone)

    def forget(self, until: float) -> None:
        """What is older, once it is half of all."""
        older = bisect_left(self.times, until)
        if 2 * older > len(self.times):
            self.gone = self.sums[older - 1]
            del self.times[:older], self.sums[:older]


class Spending:
    """All accounts of one engine. Times are seconds since 1970. longest: what is kept."""

    def __init__(self, longest: float = DAY) -> None:
        self.longest = longest
        self._accounts: dict[tuple[str, ...], _Account] = {}

    def load(self, spent: Iterable[tuple[float, tuple[tuple[str, ...], ...], Amount]]) -> None:
        """What the journal knows: (when, whose, what), oldest first; in place of what was
        known, but for what calls that are under way have reserved."""
        for key, account in self._accounts.items():
            self._accounts[key] = _Account(reserved=account.reserved)
        for at, keys, amount in spent:
            for key in keys:
                self._account(key).book(at, amount)

    def may(self, limits: Iterable[Limit], now: float) -> tuple[Limit | None, bool]:
        """The limit that is reached, None when a call may leave; and whether only calls that
        are under way reach it."""
        for limit in limits:
            spent = self.spent(limit.key, now - limit.per)
            if limit.reached(spent):
                return limit, False
            if limit.reached(spent.plus(self._account(limit.key).reserved)):
                return limit, True
        return None, False

    def reserve(self, keys: Iterable[tuple[str, ...]], most: Amount) -> None:
        """A call leaves that may cost so much."""
        for key in keys:
            account = self._account(key)
            account.reserved = account.reserved.plus(most)

    def settle(
        self, keys: Iterable[tuple[str, ...]], reserved: Amount, used: Amount, now: float
    ) -> None:
        """It is back, and did cost that much."""
        for key in keys:
            account = self._account(key)
            account.reserved = account.reserved.less(reserved)
            account.book(now, used)
            account.forget(now - self.longest)

    def spent(self, key: tuple[str, ...], since: float) -> Amount:
        """All since then."""
        return self._account(key).since(since)

    def _account(self, key: tuple[str, ...]) -> _Account:
        return self._accounts.setdefault(key, _Account())


def whose(provider: str, agent: str, step: str) -> tuple[tuple[str, ...], ...]:
    """The accounts that a call is booked on."""
    return ("provider", provider), ("agent", agent), ("step", agent, step)


def amount(price: Price | None, came: int, went: int) -> Amount:
    """What so many tokens, input and output, cost; rounded up to the next millionth."""
    if price is None:
        return Amount(came + went)
    return Amount(came + went, -(-(came * price.input + went * price.output) // _MILLION))
