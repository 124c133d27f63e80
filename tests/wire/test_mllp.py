"""MLLP framing: any split of the bytes gives the same frames (M1, M2, M9)."""

import doctest
import itertools
import random
import time

import pytest

from portico.errors import FrameBroken, FrameTooLarge
from portico.wire import mllp
from portico.wire.mllp import END, START, MllpDecoder, encode

# Each defect a stream can have, between whole frames.
STREAMS = {
    "noise": b"\r\n" + encode(b"MSH|1") + b"\n\x00" + encode(b"MSH|\r2\r") + encode(b""),
    "content marks": encode(b"MSH|\x1c2") + b"\x0bMSH|a\x0bb\x1c\x1c\x0d" + encode(b"3"),
    "odd ends": b"\x0bMSH|1\x1c\n\x0bMSH|2\x1c" + encode(b"MSH|3") + b"\x0b4\x1c\x1c\x1c\r",
    "new starts": b"\x0bMSH|lost" + encode(b"MSH|1") + b"\x0b" + encode(b"FHS|2") + b"\x0bMS",
    "too large": encode(b"MSH|1") + encode(b"x" * 40) + encode(b"MSH|2"),
    "large, then anew": b"\x0b" + b"x" * 33 + encode(b"MSH|1"),
    "just small enough": b"\x0b" + b"x" * 32 + encode(b"MSH|1") + encode(b"x" * 32),
}


def decode(*reads: bytes, limit: int = 32, strict: bool = False):
    """What a fresh decoder makes of these reads: frames, noise, kind of fault, bytes left."""
    decoder = MllpDecoder(limit, strict)
    frames = [frame for data in reads for frame in decoder.feed(data)]
    fault = type(decoder.fault).__name__ if decoder.fault else None
    return tuple(frames), None if fault else decoder.discarded, fault, decoder.unfinished


def frames(*reads: bytes, limit: int = 32, strict: bool = False) -> list[bytes]:
    """Only the frames."""
    return list(decode(*reads, limit=limit, strict=strict)[0])


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", STREAMS)
def test_frames_are_the_same_however_the_stream_is_split(name, strict):
    """Every way of cutting the stream into three reads gives the same frames and fault."""
    stream = STREAMS[name]
    cuts = itertools.combinations_with_replacement(range(len(stream) + 1), 2)

    got = {decode(stream[:a], stream[a:b], stream[b:], strict=strict) for a, b in cuts}
    got.add(decode(*(stream[i : i + 1] for i in range(len(stream))), strict=strict))

    assert len(got) == 1


@pytest.mark.parametrize("seed", range(50))
def test_any_content_without_marks_survives(seed):
    """Random bytes, cut at random, come back unchanged and in order, in both modes."""
    rng = random.Random(seed)
    contents = [rng.randbytes(rng.randrange(30)).translate(None, b"\x0b\x1c") for _ in range(5)]
    stream = b"".join(map(encode, contents))
    cuts = sorted(rng.randrange(len(stream)) for _ in range(9))
    reads = [stream[a:b] for a, b in itertools.pairwise([0, *cuts, len(stream)])]

    assert frames(*reads) == contents
    assert frames(*reads, strict=True) == contents


@pytest.mark.parametrize("seed", range(200))
def test_random_marks_never_break_the_machine(seed):
    """Any mixture of marks and letters, split anyhow, gives one outcome and no exception."""
    rng = random.Random(seed)
    parts = [b"\x0b", b"\x1c", b"\r", b"\n", b"MSH", b"x", b"\x1c\r", b"\x0bMSH|"]
    stream = b"".join(rng.choices(parts, k=40))
    strict = bool(seed % 2)
    whole = decode(stream, strict=strict)
    cuts = sorted(rng.randrange(len(stream)) for _ in range(9))
    reads = [stream[a:b] for a, b in itertools.pairwise([0, *cuts, len(stream)])]

    assert decode(*reads, strict=strict) == whole


def test_noise_between_frames_is_dropped_and_counted():
    """M2: bytes outside frames are no message, and no reason to close."""
    got = decode(b"\r\n" + encode(b"MSH|1") + b"junk" + encode(b"MSH|2") + b"\n")

    assert got == ((b"MSH|1", b"MSH|2"), 7, None, 0)


def test_an_unterminated_frame_followed_by_a_good_one_gives_only_the_good_one():
    """Lenient: a start mark before MSH begins anew; the half frame counts as noise."""
    got = decode(b"\x0bMSH|half" + encode(b"MSH|good"))

    assert got == ((b"MSH|good",), 9, None, 0)


def test_a_vertical_tab_in_text_is_content():
    """Lenient: text pasted from a word processor holds 0B; it must not cut the message."""
    assert frames(encode(b"MSH|a\x0bb")) == [b"MSH|a\x0bb"]


@pytest.mark.parametrize("end", [b"\x1c\n", b"\x1c"])
def test_an_end_without_its_carriage_return_is_lenient_only(end):
    """M2: `1C` not followed by `0D` ends the frame (lenient) or breaks it (strict)."""
    stream = b"\x0bMSH|1" + end + encode(b"MSH|2")

    assert decode(stream) == ((b"MSH|1", b"MSH|2"), 0, None, 0)
    assert decode(stream, strict=True) == ((), None, "FrameBroken", 0)


def test_a_bare_end_is_taken_once_the_peer_waits():
    """Lenient: `1C` as the last byte ends the frame only when the reader says so."""
    decoder = MllpDecoder(limit=32)

    assert decoder.feed(b"\x0bMSH|1\x1c") == []
    assert decoder.ends_bare
    assert decoder.settle() == [b"MSH|1"]
    assert decoder.feed(b"\r" + encode(b"MSH|2")) == [b"MSH|2"]


def test_settling_takes_nothing_else():
    """No end mark, strict mode, or between frames: nothing to take."""
    half, strict = MllpDecoder(limit=32), MllpDecoder(limit=32, strict=True)
    half.feed(b"\x0bMSH|1")
    strict.feed(b"\x0bMSH|1\x1c")

    assert half.settle() == strict.settle() == MllpDecoder(limit=32).settle() == []
    assert half.unfinished == 6


def test_content_of_exactly_the_limit_is_accepted():
    """The limit counts content bytes, not the marks around them."""
    assert frames(encode(b"x" * 10), limit=10) == [b"x" * 10]


def test_a_frame_too_large_loses_no_whole_frame_before_it():
    """Frames of the same read are given first; then nothing more is read."""
    decoder = MllpDecoder(limit=10)

    got = decoder.feed(encode(b"one") + encode(b"two") + encode(b"x" * 11) + encode(b"four"))

    assert got == [b"one", b"two"]
    assert isinstance(decoder.fault, FrameTooLarge)
    assert decoder.feed(encode(b"five")) == []


def test_a_frame_without_end_is_refused_soon_after_the_limit():
    """The limit bites while the end mark is still missing, and memory stays bounded."""
    decoder = MllpDecoder(limit=10)
    decoder.feed(START + b"x" * 13)
    assert decoder.fault is None

    decoder.feed(b"x")

    assert isinstance(decoder.fault, FrameTooLarge)
    assert decoder.unfinished == 0


def test_unfinished_counts_what_a_closing_peer_left_behind():
    """A connection lost mid-frame can be told from one lost between frames."""
    assert decode(encode(b"whole") + START + b"half")[3] == 5
    assert decode(encode(b"whole"))[3] == 0


def test_a_large_frame_in_small_reads_takes_linear_time():
    """16 MB in 1,448-byte reads, with marks that are content: well under a second."""
    content = (b"x" * 1000 + b"\x1c" + b"y" * 446) * 11_600
    stream = encode(content)
    decoder = MllpDecoder(limit=1 << 26)
    begun = time.process_time()

    got = [f for i in range(0, len(stream), 1448) for f in decoder.feed(stream[i : i + 1448])]

    assert got == [content]
    assert time.process_time() - begun < 1


def test_a_flood_of_marks_takes_linear_time():
    """The worst byte a peer can choose, everywhere, costs no more than ten times the best."""
    for flood in (b"\x1c" * (1 << 22), b"\x0b" * (1 << 22), b"\x0bMSH" * (1 << 20)):
        decoder = MllpDecoder(limit=1 << 26)
        begun = time.process_time()
        for i in range(0, len(flood), 1448):
            decoder.feed(flood[i : i + 1448])
        assert time.process_time() - begun < 2


def test_content_with_an_end_mark_cannot_be_framed():
    """It would be cut in two at the peer."""
    with pytest.raises(FrameBroken):
        encode(b"MSH|" + END)


def test_commit_blocks_are_frames():
    """Release 2: `0B 06 1C 0D` and `0B 15 1C 0D` are read and made like any block (R1)."""
    assert encode(mllp.STORED) == b"\x0b\x06\x1c\x0d"
    assert encode(mllp.NOT_STORED) == b"\x0b\x15\x1c\x0d"
    assert frames(b"\x0b\x06\x1c\x0d\x0b\x15\x1c\x0d") == [mllp.STORED, mllp.NOT_STORED]


def test_the_module_docstring_is_true():
    """Its example runs."""
    assert doctest.testmod(mllp).failed == 0
