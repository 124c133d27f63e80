"""UTF-16 messages: read as the same message in UTF-8.

MLLP and other framings by a delimiter cannot carry it: a character may hold the bytes that end
a frame, so half a message could look whole. Source: HL7 v2.5.1 table 0211; RFC 2781 (the byte
order is that of the mark, or of the M of MSH).
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from itertools import chain

from portico.errors import NotHl7

_CODECS = {
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    b"M\x00": "utf-16-le",
    b"\x00M": "utf-16-be",
}
HEADS = frozenset(_CODECS)
_NAME = re.compile(r"\s*(?:UNICODE)?[\s/_.-]*UTF[\s/_.-]*16\s*", re.IGNORECASE)


def codec_of(content: bytes) -> str | None:
    """The codec of a text that begins like a UTF-16 message, None for all else."""
    return _CODECS.get(content[:2])


def narrowed(content: bytes) -> bytes:
    """The message in UTF-8, with MSH-18 saying so. Raises NotHl7 when it is no UTF-16."""
    codec = codec_of(content)
    try:
        text = content.decode(codec or "utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        why = "the message begins as UTF-16 and is not; send UTF-8"
        raise NotHl7(why) from None
    head, end, rest = _line(text)
    fields = head.split(head[3:4] or "|")
    if len(fields) > 17 and _NAME.fullmatch(fields[17]):
        fields[17] = "UNICODE UTF-8"
        head = head[3].join(fields)
    # The mark says UTF-8 where MSH-18 is empty.
    return codecs.BOM_UTF8 + f"{head}{end}{rest}".encode()


def chunks_of(chunks: Iterable[bytes]) -> tuple[str | None, Iterator[bytes]]:
    """The codec of a file that is UTF-16, and its pieces in UTF-8; None and its own pieces.

    Raises NotHl7, as a piece is taken, for what is no UTF-16 after all.
    """
    pieces = iter(chunks)
    first = b""
    while len(first) < 2 and (piece := next(pieces, None)) is not None:
        first += piece
    whole, codec = chain((first,), pieces), codec_of(first)
    return codec, _utf8(whole, codec) if codec else whole


def _utf8(chunks: Iterable[bytes], codec: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        for chunk in chunks:
            yield decoder.decode(chunk).replace("\ufeff", "").encode()
        yield decoder.decode(b"", True).encode()
    except UnicodeError:
        raise NotHl7("the file begins as UTF-16 and is not; send UTF-8") from None


def _line(text: str) -> tuple[str, str, str]:
    """The first line, its end, and what follows."""
    found = re.search(r"[\r\n]", text)
    at = found.start() if found else len(text)
    return text[:at], text[at : at + 1], text[at + 1 :]
