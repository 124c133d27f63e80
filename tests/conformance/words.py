"""Messages and answers, made and cut without the engine's own code."""

import itertools
from collections import defaultdict

START, END = b"\x0b", b"\x1c\r"
_numbers = itertools.count(1)


def frames(said: bytes) -> list[bytes]:
    """The contents of whole frames and nothing else, cut without our decoder."""
    parts = said.split(END)
    assert parts.pop() == b"", said
    assert all(part.startswith(START) for part in parts), said
    return [part[1:] for part in parts]


def fields(content: bytes, segment: bytes) -> list[bytes]:
    """A segment's fields, cut without our view: item n is field n, for MSH and BHS too."""
    separator = content[3:4]
    for line in content.split(b"\r"):
        if line.startswith(segment + separator):
            cut = line.split(separator)
            return [cut[0], separator, *cut[1:]] if segment[1:] in (b"SH", b"HS") else cut
    return []


def codes(said: list[bytes]) -> dict[bytes, list[str]]:
    """The codes that came back for each MSA-2, in their order."""
    found: dict[bytes, list[str]] = defaultdict(list)
    for content in said:
        msa = fields(content, b"MSA")
        found[msa[2]].append(msa[1].decode())
    return found


def fresh() -> str:
    """A control id that nobody has had."""
    return f"C{next(_numbers):05d}"


def message(
    control_id: str = "",
    *,
    sex: str = "A",
    kind: str = "ADT^A01^ADT_A01",
    version: str = "2.5.1",
    accept: str = "",
    application: str = "",
    charset: str = "",
    processing: str = "P",
) -> bytes:
    """A synthetic message. sex: PID-8, which tells the judge what to do with it."""
    return (
        f"MSH|^~\\&|HIS^1.2.3^ISO|WARD^A&B|PORTICO|HOUSE^9|20260314091500||{kind}"
        f"|{control_id or fresh()}|{processing}|{version}|||{accept}|{application}||{charset}\r"
        f"EVN||20260314091500\rPID|1||900001^^^HOUSE^MR||EXAMPLE^ADA||19700101|{sex}\r"
    ).encode()
