"""The scribe: log lines reach their stream, and a stream that nobody reads stops nobody."""

import os
import time

import pytest

from portico.events.scribe import Scribe


def test_lines_are_written_in_their_order():
    """And all of them by the time it is closed."""
    out, into = os.pipe()
    with os.fdopen(out) as reader, os.fdopen(into, "w") as stream:
        scribe = Scribe(stream)
        for number in range(100):
            scribe.write(f"{number}\n")
        scribe.close()

        assert [next(reader).strip() for _ in range(100)] == [str(n) for n in range(100)]


def test_a_reader_that_does_not_read_costs_no_time_and_no_memory():
    """More than a pipe holds: the writer goes on, what does not fit is counted."""
    out, into = os.pipe()
    with os.fdopen(out) as reader, os.fdopen(into, "w") as stream:
        scribe = Scribe(stream, most=10)
        began = time.monotonic()
        for number in range(5_000):
            scribe.write(f"{number} {'x' * 1_000}\n")
        taken = time.monotonic() - began
        scribe.close(0.01)
        seen = lost = 0
        while seen + lost < 5_000:
            line = next(reader)
            if line.startswith("log_lines_lost="):
                lost += int(line.partition("=")[2])
            else:
                seen += 1
        assert taken < 20
        assert lost > 0 and seen >= 10


def test_a_stream_that_has_gone_loses_lines_and_nothing_else():
    """A closed pipe is no reason to end."""
    out, into = os.pipe()
    os.close(out)
    stream = os.fdopen(into, "w")
    scribe = Scribe(stream)
    scribe.write("lost\n")
    scribe.close()
    scribe.write("after the end\n")
    with pytest.raises(BrokenPipeError):
        stream.close()
