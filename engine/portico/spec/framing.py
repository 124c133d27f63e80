"""`frame:` of TCP sources and destinations: how messages are told apart in a stream."""

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from portico.spec.fields import Count, Options, Text, wrong
from portico.wire.frames import Delimited, Fixed, Framing, Prefixed, Whole

# ASCII control characters by their names (ECMA-48), and the usual pair.
_CONTROLS = (
    "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI "
    "DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US"
).split()
_NAMES = {**{name: bytes([code]) for code, name in enumerate(_CONTROLS)}, "CRLF": b"\r\n"}
_HINT = "one of {length: 4}, {end: LF}, {start: STX, end: ETX}, {fixed: 80}, close"


def mark(text: str) -> bytes:
    """The bytes of `STX`, `CR LF` or of any other text; `0x1C` is a byte too."""
    words = text.split()
    if words and all(
        word in _NAMES or re.fullmatch(r"0x[0-9A-Fa-f]{2}", word) for word in words
    ):
        return b"".join(_NAMES.get(word) or bytes([int(word, 16)]) for word in words)
    return text.encode()


def _mark(text: str) -> str:
    if not text:
        raise wrong("config.value", "a mark cannot be empty", "such as LF, STX, 'CR LF'")
    return text


Mark = Annotated[Text, AfterValidator(_mark)]


class Frame(Options):
    """One of `length` (bytes of a prefix that counts the content), `end` (a mark, with `start`
    before it if said), `fixed` (bytes), or by: `close`, one message a connection.
    """

    short: ClassVar[str] = "by"
    length: Literal["1", "2", "4", "8"] | None = None
    endian: Literal["big", "little"] = "big"
    end: Mark | None = None
    start: Mark | None = None
    fixed: Annotated[Count, Field(ge=1)] | None = None
    by: Literal["close"] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [self.length, self.end, self.fixed, self.by]
        if sum(way is not None for way in ways) != 1:
            raise wrong("config.value", "a frame is told in one way", _HINT)
        if self.start is not None and self.end is None:
            raise wrong("config.value", "'start' needs an 'end'", _HINT)
        if "endian" in self.model_fields_set and self.length is None:
            raise wrong("config.value", "'endian' is of a 'length'", _HINT)
        return self

    @property
    def framing(self) -> Framing:
        """What cuts and writes such frames."""
        if self.length is not None:
            return Prefixed(int(self.length), self.endian)
        if self.end is not None:
            return Delimited(mark(self.end), mark(self.start) if self.start else b"")
        return Fixed(self.fixed) if self.fixed is not None else Whole()
