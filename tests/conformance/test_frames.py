"""Frames as peers really send them: split anywhere, and with every defect of the samples."""

import re
from pathlib import Path

import pytest

from conformance.words import END, START, codes, fields, fresh, message
from portico.wire.mllp import MllpDecoder

SAMPLES = Path(__file__).parents[2] / "samples/hl7"
FILES = sorted(SAMPLES.rglob("*.hl7"))
README = (SAMPLES / "README.md").read_text()
ANSWERS = dict(
    re.findall(r"^\| `(\w+\.hl7)` \| [^|]+ \| `[\w.]+` \| ([^|]+) \|$", README, re.M)
)


@pytest.mark.parametrize("framing", ["strict", "lenient"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_sample_is_the_same_at_every_split_point(file, framing):
    """M1: cut in two at every byte, marks included, between two other frames."""
    content = file.read_bytes()
    around = START + b"one" + END
    stream = around + START + content + END + around
    wanted = [b"one", content, b"one"]
    for point in range(len(stream) + 1):
        decoder = MllpDecoder(1 << 20, strict=framing == "strict")
        told = decoder.feed(stream[:point]) + decoder.feed(stream[point:])
        assert (told, decoder.discarded, decoder.fault) == (wanted, 0, None), point


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_sample_arrives_in_single_bytes(file):
    """M1: one byte a read."""
    content = file.read_bytes()
    decoder = MllpDecoder(1 << 20)
    stream = START + content + END
    told = [one for n in range(len(stream)) for one in decoder.feed(stream[n : n + 1])]

    assert told == [content]


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_a_broken_sample_is_answered_as_the_readme_says(appliance, name):
    """M9, A10, C2: AA, AE, silence or a closed connection; the next message never minds."""
    content, after = (SAMPLES / "broken" / name).read_bytes(), message()
    told = codes(appliance.answers("journaled", content, after))
    good = told.pop(fields(after, b"MSH")[10], None)
    expected = ANSWERS[name]

    if expected.startswith("close"):
        assert (told, good) == ({}, None)
    else:
        said = [[code] for code in re.findall("A[AE]", expected.partition(",")[0])]
        assert (list(told.values()), good) == (said, ["AA"])


def test_noise_and_unterminated_frames_cost_no_good_message(appliance):
    """M2, M3: only the whole frame is answered, and nothing else."""
    control_id = fresh()
    noise = b"GET / HTTP/1.1\r\n" + START + b"MSH|^~\\&|cut short"
    said = appliance.raw("journaled", noise + START + message(control_id) + END + b"\r\n")

    assert said.count(START) == 1
    assert b"MSA|AA|" + control_id.encode() + b"\r" in said


def test_pipelined_messages_are_answered_in_their_order(appliance):
    """M4: 500 in one write, on a channel whose answers come from workers."""
    ids = [fresh().encode() for _ in range(500)]
    told = appliance.answers("auto", *(message(one.decode()) for one in ids))

    assert [fields(one, b"MSA")[2] for one in told] == ids
