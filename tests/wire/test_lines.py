"""portico.wire.lines: whole lines, however they are cut."""

import pytest

from portico.wire.lines import LineDecoder

TEXT = b'{"a":1}\n\n{"b":2}\r\n{"c":3}\nrest'


@pytest.mark.parametrize("at", range(len(TEXT)))
def test_lines_are_the_same_at_every_split_point(at):
    """Empty lines are left out, what has no end yet is kept."""
    decoder = LineDecoder(100)

    lines = decoder.feed(TEXT[:at]) + decoder.feed(TEXT[at:])

    assert lines == [b'{"a":1}', b'{"b":2}\r', b'{"c":3}']
    assert decoder.feed(b"\n") == [b"rest"]


def test_a_line_that_passes_the_limit_ends_it():
    """With an end or without, after the lines before it; then nothing comes out."""
    for tail in (b"x" * 11, b"x" * 11 + b"\n"):
        decoder = LineDecoder(10)

        assert decoder.feed(b"good\n" + tail) == [b"good"]
        assert decoder.fault is not None
        assert decoder.feed(b"more\n") == []


def test_a_long_line_in_small_reads_costs_its_length():
    """One megabyte, a byte at a time, stays linear: nothing is joined before its end."""
    decoder = LineDecoder(2 << 20)
    for _ in range(1 << 18):
        assert decoder.feed(b"xxxx") == []

    assert decoder.feed(b"\n") == [b"x" * (1 << 20)]
