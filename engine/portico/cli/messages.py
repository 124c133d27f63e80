"""Messages from files, as `send` and `load` take them."""

import re
import sys
from pathlib import Path

from portico.errors import FrameBroken
from portico.wire.mllp import START, MllpDecoder

_NEXT = re.compile(rb"[\r\n]+(?=MSH[^A-Za-z0-9\s])")
_LINE_END = re.compile(rb"\r\n|\n")
_STANDARD_INPUT = "-"


def read(path: Path, as_is: bool) -> list[bytes]:
    """The messages of a file, `-` for standard input; may be none.

    A file may hold several, each beginning with MSH, or MLLP blocks. Line ends become CR as
    HL7 wants them (2.5.1, section 2.6). as_is: the file is one message, not one byte changed.
    """
    if str(path) == _STANDARD_INPUT:
        content = sys.stdin.buffer.read()
    else:
        content = path.read_bytes()
    return [content] if as_is else split(content)


def split(content: bytes) -> list[bytes]:
    """The messages of a content, which may hold several. Raises FrameBroken for a block that
    has no end: a part of a message is none.
    """
    if content.startswith(START):
        decoder = MllpDecoder(len(content))
        found = decoder.feed(content) + decoder.settle()
        if decoder.unfinished:
            raise FrameBroken("the last MLLP block has no end (1C 0D): the file was cut off")
        return found
    return [_LINE_END.sub(b"\r", part) for part in _NEXT.split(content) if part.strip()]
