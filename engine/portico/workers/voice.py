"""What an item says while it runs: progress and log lines, for people who look at it.

Twenty messages at once and twenty a second, whatever the site's code does; what comes faster
goes with the next one, of progress the last word. Log lines come with the result, too.
"""

import signal
import socket

from portico.clock import Clock
from portico.model.verdict import LogLine
from portico.workers import protocol
from portico.workers.protocol import Log, Progress

NUDGE = signal.SIGUSR1  # the engine has said something that may not wait

_BURST, _RATE = 20.0, 20.0
_RAISING = (NUDGE, signal.SIGALRM)  # a Cancel and a step's deadline end an item in its middle


class Voice:
    """The voice of one worker (steps.ambient)."""

    def __init__(self, connection: socket.socket, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._frame = self._index = 0
        self._allowed, self._at = _BURST, clock.monotonic()
        self._lines: list[LogLine] = []
        self._progress: Progress | None = None

    def begin(self, frame: int, index: int) -> None:
        """Speak for this item from now on."""
        self._frame, self._index = frame, index
        self._lines.clear()
        self._progress = None

    def log(self, line: LogLine) -> None:
        """A line that is kept with the session."""
        self._lines.append(line)
        self._speak()

    def progress(self, step: str, done: float, total: float | None) -> None:
        """How far a step has come."""
        self._progress = Progress(self._frame, self._index, step, done, total)
        self._speak()

    def _speak(self) -> None:
        now = self._clock.monotonic()
        self._allowed = min(_BURST, self._allowed + (now - self._at) * _RATE)
        self._at = now
        if self._allowed < 1.0:
            return
        self._allowed -= 1.0
        said = b""
        if self._lines:
            said = protocol.encode(Log(self._frame, self._index, tuple(self._lines)))
            self._lines.clear()
        if self._progress is not None:
            said += protocol.encode(self._progress)
            self._progress = None
        try:  # what ends the item waits until this is said whole
            signal.pthread_sigmask(signal.SIG_BLOCK, _RAISING)
            self._connection.sendall(said)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _RAISING)
