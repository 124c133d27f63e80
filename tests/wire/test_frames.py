"""Framings of plain TCP: any split of the bytes gives the same frames, in linear time."""

import doctest
import itertools
import random
import time

import pytest

from portico.errors import FrameBroken, FrameTooLarge
from portico.wire import frames
from portico.wire.frames import Delimited, Fixed, Prefixed, Whole

FRAMINGS = {
    "1 byte": Prefixed(1),
    "2 big": Prefixed(2),
    "4 little": Prefixed(4, "little"),
    "8 big": Prefixed(8),
    "line": Delimited(b"\n"),
    "crlf": Delimited(b"\r\n"),
    "stx etx": Delimited(b"\x03", b"\x02"),
    "long marks": Delimited(b"abab", b"<<>"),
    "fixed": Fixed(3),
    "whole": Whole(),
}
CONTENTS = {
    "fixed": [b"one", b"two", b"\x00\x01\x02"],
    "whole": [b"all of it\r\n\x02\x03"],
}
ORDINARY = [b"first", b"", b"\x00\xff", b"x" * 32]


def contents(name):
    """Contents that this framing can carry."""
    return CONTENTS.get(name, ORDINARY)


def decode(framing, *reads, limit=32):
    """What a fresh decoder makes of these reads: frames, noise, kind of fault, bytes left."""
    decoder = framing.decoder(limit)
    got = [frame for data in reads for frame in decoder.feed(data)] + decoder.settle()
    fault = type(decoder.fault).__name__ if decoder.fault else None
    return tuple(got), None if fault else decoder.discarded, fault, decoder.unfinished


def splits(stream):
    """Every way of cutting it into three, and single bytes."""
    cuts = itertools.combinations_with_replacement(range(len(stream) + 1), 2)
    yield from ((stream[:a], stream[a:b], stream[b:]) for a, b in cuts)
    yield tuple(stream[i : i + 1] for i in range(len(stream)))


def test_the_example_of_the_page_holds():
    """The docstring shows how it works."""
    assert doctest.testmod(frames).failed == 0


@pytest.mark.parametrize("name", FRAMINGS)
def test_frames_are_the_same_however_the_stream_is_split(name):
    """Every way of cutting the stream gives the contents that were encoded."""
    framing = FRAMINGS[name]
    stream = b"".join(map(framing.encode, contents(name)))

    got = {decode(framing, *reads) for reads in splits(stream)}

    assert got == {(tuple(contents(name)), 0, None, 0)}


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("2 big", Prefixed(2).encode(b"good") + b"\x00\x21" + b"x" * 33 + b"\x00\x01z"),
        ("8 big", b"\xff" * 20),
        ("line", b"good\n" + b"x" * 33 + b"\nlost\n"),
        ("crlf", b"x" * 32 + b"\r\n" + b"x" * 32 + b"\ry"),
        ("stx etx", b"noise\x02good\x03more\x02" + b"x" * 33 + b"\x03"),
        ("long marks", b"<<<>ababab<<>x<<<><" + b"abaabab<<"),
        ("whole", b"x" * 33),
    ],
)
def test_faults_and_noise_are_the_same_however_the_stream_is_split(name, stream):
    """Too large, noise, half marks: one outcome."""
    got = {decode(FRAMINGS[name], *reads) for reads in splits(stream)}

    assert len(got) == 1, got


@pytest.mark.parametrize("name", FRAMINGS)
@pytest.mark.parametrize("seed", range(40))
def test_random_bytes_never_break_the_machine(name, seed):
    """Any bytes, split anyhow, give one outcome and no exception, within the limit."""
    chance = random.Random(seed)
    parts = [b"\x00", b"\x02", b"\x03", b"\r", b"\n", b"ab", b"<<", b">", b"xyz", b"\x05"]
    stream = b"".join(chance.choices(parts, k=60))
    cuts = sorted(chance.randrange(len(stream)) for _ in range(9))
    reads = [stream[a:b] for a, b in itertools.pairwise([0, *cuts, len(stream)])]

    outcome = decode(FRAMINGS[name], *reads)

    assert outcome == decode(FRAMINGS[name], stream)
    assert all(len(frame) <= 32 for frame in outcome[0])


@pytest.mark.parametrize("name", [name for name in FRAMINGS if name not in ("fixed", "1 byte")])
def test_a_large_frame_in_small_reads_takes_linear_time(name):
    """16 MB in reads of 1448 bytes: seconds would mean quadratic work."""
    framing = FRAMINGS[name]
    wanted = (b"x" * ((16 << 20) - 1))[: 60_000 if name == "2 big" else None]
    stream = framing.encode(wanted)
    decoder = framing.decoder(16 << 20)
    began = time.process_time()

    got = []
    for at in range(0, len(stream), 1448):
        got += decoder.feed(stream[at : at + 1448])
    got += decoder.settle()

    assert got == [wanted]
    assert time.process_time() - began < 3


@pytest.mark.parametrize("name", ["line", "stx etx", "2 big"])
def test_many_small_frames_in_one_read_take_linear_time(name):
    """200,000 frames at once."""
    stream = FRAMINGS[name].encode(b"x") * 200_000
    began = time.process_time()

    assert len(FRAMINGS[name].decoder(32).feed(stream)) == 200_000
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("1 byte", b"x" * 256),
        ("2 big", b"x" * 65_536),
        ("line", b"one\ntwo"),
        ("crlf", b"ends in a half\r\nmark"),
        ("long marks", b"xab"),
        ("fixed", b"four"),
    ],
)
def test_what_a_framing_cannot_carry_is_never_sent(name, content):
    """A content that would be cut elsewhere is refused before a byte leaves."""
    with pytest.raises(FrameBroken):
        FRAMINGS[name].encode(content)


def test_a_limit_is_known_before_the_bytes_come():
    """A prefix that promises too much ends the connection at once, and memory is not kept."""
    decoder = Prefixed(8).decoder(1024)

    assert decoder.feed((1 << 60).to_bytes(8, "big")) == []
    assert isinstance(decoder.fault, FrameTooLarge)
    assert (decoder.feed(b"x" * 100), decoder.unfinished) == ([], 0)


def test_a_begun_frame_is_seen():
    """What waits for its end counts, so that a time-out can find it; noise does not."""
    line, marked = FRAMINGS["line"].decoder(32), FRAMINGS["stx etx"].decoder(32)
    line.feed(b"half")
    marked.feed(b"noise")

    assert (line.unfinished, marked.unfinished, marked.discarded) == (4, 0, 5)
    marked.feed(b"\x02ha")
    assert marked.unfinished == 3
