"""How often a crew's workers may die before it must wait for a new one. Arithmetic only."""

from collections import deque

_WINDOW = 10.0
_MOST_DEATHS = 10
_FIRST, _LONGEST = 1.0, 30.0
_FORGIVEN = 120.0


class Intensity:
    """The deaths of the last 10 s; times are monotonic seconds. `until`: no spawn before it."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque()
        self._wait = _FIRST
        self.until = 0.0

    def died(self, now: float) -> tuple[int, float] | None:
        """Count a death; (how many, seconds to wait) when they were too many.

        The wait doubles each time, up to 30 s; two quiet minutes make it short again.
        """
        self._deaths.append(now)
        while now - self._deaths[0] > _WINDOW:
            self._deaths.popleft()
        if len(self._deaths) <= _MOST_DEATHS:
            return None
        if now - self.until > _FORGIVEN:
            self._wait = _FIRST
        count, seconds = len(self._deaths), self._wait
        self._deaths.clear()
        self._wait = min(2 * seconds, _LONGEST)
        self.until = now + seconds
        return count, seconds
