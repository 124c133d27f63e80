"""The worker pipe's framing: any split of the bytes gives the same frames."""

import itertools
import random

import pytest

from portico.wire.pipe import Frame, PipeDecoder, encode


def decode(*reads: bytes, header: int = 64, body: int = 64) -> list[Frame]:
    """All frames a fresh decoder finds in these reads."""
    decoder = PipeDecoder(header, body)
    frames = [frame for data in reads for frame in decoder.feed(data)]
    assert decoder.fault is None
    return frames


def test_frames_are_the_same_however_the_stream_is_split():
    """Every way of cutting the stream into three reads yields the same frames."""
    stream = encode(b"{}", b"one", b"two") + encode(b"[1]") + encode(b"{}", b"x")
    cuts = itertools.combinations_with_replacement(range(len(stream) + 1), 2)

    got = {tuple(decode(stream[:a], stream[a:b], stream[b:])) for a, b in cuts}

    assert got == {(Frame(b"{}", b"onetwo"), Frame(b"[1]", b""), Frame(b"{}", b"x"))}


def test_frames_arrive_byte_by_byte():
    """A stream in single bytes gives each frame with its last byte."""
    stream = encode(b"{}", b"abc") + encode(b"[]")

    assert decode(*(bytes((b,)) for b in stream)) == [Frame(b"{}", b"abc"), Frame(b"[]", b"")]


@pytest.mark.parametrize("seed", range(30))
def test_any_content_survives(seed):
    """Random bytes, cut at random, come back unchanged and in order."""
    rng = random.Random(seed)
    sent = [
        Frame(rng.randbytes(rng.randrange(1, 9)), rng.randbytes(rng.randrange(30)))
        for _ in range(6)
    ]
    stream = b"".join(encode(*frame) for frame in sent)
    cuts = sorted(rng.randrange(len(stream)) for _ in range(9))
    reads = [stream[a:b] for a, b in itertools.pairwise([0, *cuts, len(stream)])]

    assert decode(*reads) == sent


def test_a_frame_of_exactly_the_limits_is_accepted():
    """The limits count header and body, not the lengths before them."""
    assert decode(encode(b"h" * 5, b"b" * 7), header=5, body=7) == [Frame(b"h" * 5, b"b" * 7)]


@pytest.mark.parametrize(
    "bad", [encode(b"h" * 6), encode(b"h", b"b" * 8), encode(b"", b"b"), b"\xff" * 8]
)
def test_a_frame_past_a_limit_or_without_a_header_ends_the_stream(bad):
    """The frames before it are given; nothing after it is read, however much comes."""
    decoder = PipeDecoder(header_limit=5, body_limit=7)

    assert decoder.feed(encode(b"{}") + bad + encode(b"[]")) == [Frame(b"{}", b"")]
    assert decoder.fault is not None
    assert decoder.feed(encode(b"[]")) == []


def test_an_oversized_frame_is_refused_before_its_body_arrives():
    """Eight bytes are enough: nobody can make us hold what we will not take."""
    decoder = PipeDecoder(header_limit=5, body_limit=7)
    decoder.feed(encode(b"h", b"b" * 8)[:8])

    assert decoder.fault is not None


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_never_raise(seed):
    """Whatever a worker sends is frames or a fault, never an exception."""
    rng = random.Random(seed)
    decoder = PipeDecoder(header_limit=300, body_limit=300)
    for _ in range(200):
        decoder.feed(rng.choice((b"\0\0", b"", b"\0")) + rng.randbytes(rng.randrange(6)))


def test_a_large_frame_in_small_reads_costs_linear_time():
    """16 MiB in reads of 1,448 bytes: each byte is copied a fixed number of times."""
    stream = encode(b"{}", bytes(16 << 20))
    decoder = PipeDecoder(header_limit=64, body_limit=16 << 20)
    frames = [
        frame
        for at in range(0, len(stream), 1448)
        for frame in decoder.feed(stream[at : at + 1448])
    ]

    assert [len(frame.body) for frame in frames] == [16 << 20]
