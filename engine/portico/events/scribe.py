"""The scribe: log lines written by a thread of its own, so that who does not read stops nobody.

A terminal that was stopped (Ctrl-S), or a pipe whose reader hangs, blocks a write for as long
as it likes. The engine hands its lines over and goes on; what does not fit into memory is lost
and counted, and the count is written as soon as there is room.
"""

import threading
from collections import deque
from typing import TextIO

MOST = 10_000  # lines that wait


class Scribe:
    """A stream for `render.sink`: `write` takes one whole line and never waits."""

    def __init__(self, stream: TextIO, most: int = MOST) -> None:
        self._stream = stream
        self._most = most
        self._lines: deque[str] = deque()
        self._lost = 0
        self._closed = False
        self._something = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="scribe", daemon=True)
        self._thread.start()

    def write(self, line: str) -> int:
        """Hand over one line."""
        with self._something:
            if len(self._lines) < self._most:
                self._lines.append(line)
                self._something.notify()
            else:
                self._lost += 1
        return len(line)

    def flush(self) -> None:
        """Every line is flushed as it is written."""

    def close(self, seconds: float = 1.0) -> None:
        """Write what waits, if that takes no longer; the stream stays open."""
        with self._something:
            self._closed = True
            self._something.notify()
        self._thread.join(seconds)

    def _run(self) -> None:
        while (text := self._next()) is not None:
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):  # it has gone; ValueError: it is closed
                continue

    def _next(self) -> str | None:
        """All that waits, and how many came when no more could; None at the end."""
        with self._something:
            while not (self._lines or self._lost):
                if self._closed:
                    return None
                self._something.wait()
            lost, self._lost = self._lost, 0
            text = "".join(self._lines)
            self._lines.clear()
        return f"{text}log_lines_lost={lost}\n" if lost else text
