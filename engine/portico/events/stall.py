"""How late the engine's one loop runs what is due: the measure of blocking code."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from portico.clock import Clock
from portico.events.emit import Emit
from portico.events.site import ReactorStalled


class Loop(Protocol):
    """What is needed of an asyncio loop."""

    def call_later(self, delay: float, callback: Callable[[], None], /) -> asyncio.TimerHandle:
        """Run `callback` after `delay` seconds."""
        ...


class StallMeter:
    """Asks the loop for a call every `every` seconds and measures how late it comes.

    observe: gets the lateness of each call, seconds from 0 (`metrics.stalled`).
    A lateness of `alarm` seconds or more is also an event, one for each stall.
    """

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        observe: Callable[[float], None],
        emit: Emit,
        every: float = 0.1,
        alarm: float = 1.0,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._observe = observe
        self._emit = emit
        self._every = every
        self._alarm = alarm
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin measuring; a second start changes nothing."""
        if self._handle is None:
            self._ask()

    def stop(self) -> None:
        """Measure no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ask(self) -> None:
        self._due = self._clock.monotonic() + self._every
        self._handle = self._loop.call_later(self._every, self._called)

    def _called(self) -> None:
        late = max(0.0, self._clock.monotonic() - self._due)
        self._observe(late)
        if late >= self._alarm:
            self._emit(ReactorStalled(round(late, 3)))
        self._ask()
