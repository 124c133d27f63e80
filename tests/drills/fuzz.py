"""Hostile frames: made by a grammar, or from real messages by mutation. Seeded."""

import random
from collections.abc import Iterator
from pathlib import Path

from drills.message import END, START
from portico.errors import NotHl7
from portico.hl7 import header

ROOT = Path(__file__).parents[2]
_LONGEST = 8192  # bytes of a message that mutation begins with
_ENDING = 0.15  # share of the frames that close their connection which are sent
_SEGMENTS = (
    b"PID",
    b"PV1",
    b"OBR",
    b"OBX",
    b"NTE",
    b"EVN",
    b"MRG",
    b"ZZZ",
    b"MSA",
    b"MSH",
    b"Q1",
)
_TOKENS = (
    b"", b"|", b"^", b"~", b"\\", b"&", b"\r", b"\n", b"\r\n", b"\x00", b"\x0b", b"\x1c",
    b"\x1c\n", b"\x1c\x0b", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"\x1b$B", b"\x1b(B", b'""',
    b"\\F\\", b"\\X0D\\", b"\\X4\\", b"\\C2842\\", b"\\Zx\\", b"\\.br\\", b"\xef\xbb\xbf",
    b"MSH|^~\\&|", b"\rMSH|", b"BHS|^~\\&\r", b"FTS|1\r", b"|" * 500, b"^" * 300, b"~" * 300,
    b"A" * 3000, b"20260314", b"1e9999", b"-1", b"P", b"AL", b"NE", b"{}", b"%s",
)  # fmt: skip
_SETS = (
    b"",
    b"8859/1",
    b"UNICODE UTF-8",
    b"ISO IR87",
    b"~ISO IR87",
    b"KLINGON",
    b"UNICODE UTF-16",
)
_MARKS = (
    b"|^~\\&",
    b"|^~\\&",
    b"|^~\\&",
    b"|^~\\&#",
    b"#*!@%",
    b"|^~\\",
    b"|&&&&",
    b"A^~\\&",
    b"|",
)
_TYPES = (b"ADT^A01^ADT_A01", b"ORU^R01", b"ACK", b"ADT", b"", b"^^^^", b"QBP^Q11^QBP_Q11")


class Fuzz:
    """Endless frames of one seed. frames: how many have been made."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._pool = [*_real(), *(self._grammar() for _ in range(400))]
        self.frames = 0

    def batch(self, size: int) -> tuple[bytes, int]:
        """Bytes for one connection, and how many whole frames the listener must read of them.

        Frames that close the connection come last, and noise between frames.
        """
        open_ones: list[bytes] = []
        while len(open_ones) < size:
            content = self.content()
            if _closes(content):
                if self._chance.random() < _ENDING:
                    break
                continue
            open_ones.append(START + content + END)
        else:
            content = b""
        self._chance.shuffle(open_ones)
        noise = (self._chance.choice(_TOKENS).replace(START, b"") for _ in open_ones)
        stream = b"".join(map(b"".join, zip(open_ones, noise, strict=True)))
        self.frames += len(open_ones) + 1
        return stream + self._last(content), len(open_ones)

    def content(self) -> bytes:
        """One content."""
        content = self._chance.choice(self._pool)
        for _ in range(self._chance.choice((0, 1, 1, 2, 3, 6))):
            content = self._mutate(content)
        return content

    def _last(self, content: bytes) -> bytes:
        """A frame that ends the connection: whole, torn, or without a header."""
        frame = START + (content or self._chance.choice(_TOKENS)) + END
        dice = self._chance.random()
        if dice < 0.3:
            return frame[: self._chance.randrange(len(frame))]
        return frame[:-1] if dice < 0.4 else frame

    def _mutate(self, content: bytes) -> bytes:
        chance = self._chance
        at = chance.randrange(len(content) + 1)
        to = min(len(content), at + chance.choice((0, 1, 1, 2, 8, 40)))
        match chance.randrange(6):
            case 0:
                return content[:at] + chance.choice(_TOKENS) + content[to:]
            case 1:
                return content[:at] + content[to:]
            case 2:
                return content[:at] + content[at:to] * 3 + content[to:]
            case 3:
                return content[:at] + chance.randbytes(to - at) + content[to:]
            case 4:
                other = chance.choice(self._pool)
                return content[:at] + other[chance.randrange(len(other) + 1) :][:2000]
            case _:
                return content.replace(
                    chance.choice(_TOKENS) or b"|", chance.choice(_TOKENS), 3
                )

    def _grammar(self) -> bytes:
        """A message whose parts are each legal somewhere."""
        chance = self._chance
        marks = chance.choice(_MARKS)
        field = marks[:1]
        head = field.join(
            (
                b"MSH",
                marks[1:],
                *(self._value() for _ in range(6)),
                chance.choice(_TYPES),
                b"F%d" % chance.randrange(1_000_000),
                b"P",
                b"2.%d" % chance.randrange(12),
                b"",
                b"",
                chance.choice((b"", b"AL", b"NE", b"ER", b"SU", b"?")),
                chance.choice((b"", b"AL", b"NE", b"ER", b"SU", b"?")),
                b"",
                chance.choice(_SETS),
            )
        )
        lines = [head]
        for _ in range(chance.randrange(8)):
            values = (self._value() for _ in range(chance.randrange(30)))
            lines.append(field.join((chance.choice(_SEGMENTS), *values)))
        return chance.choice((b"\r", b"\r", b"\n", b"\r\n")).join((*lines, b""))

    def _value(self) -> bytes:
        return self._chance.choice(
            (b"", b"A", b"1^2^3", b"a&b~c", self._chance.choice(_TOKENS))
        )


def _closes(content: bytes) -> bool:
    """The listener closes behind it, for its content or because it is more than one frame."""
    if END in content or START in content or b"\x1c" in content:
        return True
    try:
        header.read(content)
    except NotHl7:
        return bool(content.strip())
    return False


def _real() -> Iterator[bytes]:
    """The samples, and what others published where the corpus lies beside the project."""
    for folder in (ROOT / "samples/hl7", ROOT.parent / "shared/corpus/v2"):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.stat().st_size <= _LONGEST:
                yield path.read_bytes()
