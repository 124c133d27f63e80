"""How much room uploads that are not stored yet may take: of each user, and in all."""

from collections import Counter


class Allowance:
    """Bytes in use by user. A user's sessions share what is theirs."""

    def __init__(self, each: int, every: int) -> None:
        self._each, self._every = each, every
        self._used: Counter[str] = Counter()
        self.total = 0

    def take(self, user: str, size: int) -> bool:
        """So many more for this user; False, and none of them, when it is too much."""
        if self._used[user] + size > self._each or self.total + size > self._every:
            return False
        self._used[user] += size
        self.total += size
        return True

    def give(self, user: str, size: int) -> None:
        """They are free again."""
        self._used[user] -= size
        self.total -= size
        if not self._used[user]:
            del self._used[user]
