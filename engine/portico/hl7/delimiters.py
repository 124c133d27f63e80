"""MSH-1 and MSH-2: which byte separates what in one message."""

import re
from functools import lru_cache
from typing import NamedTuple

from portico.errors import NotHl7

_LONGEST = 8  # characters of MSH-2: four or five by the standard, a few more in the field
_SPACE = b" \t\r\n\x0b\x0c"
_UTF16 = (b"\xff\xfe", b"\xfe\xff", b"\x00M", b"M\x00")


class Delimiters(NamedTuple):
    """One byte each. What MSH-2 does not name is empty and then separates nothing.

    Source: HL7 v2.5.1 chapter 2, section 2.5.4; the truncation character is of v2.7.
    """

    field: bytes = b"|"
    component: bytes = b"^"
    repetition: bytes = b"~"
    escape: bytes = b"\\"
    subcomponent: bytes = b"&"
    truncation: bytes = b""

    @staticmethod
    def of(content: bytes) -> "Delimiters":
        """The delimiters of a message. Raises NotHl7 when MSH-1 or MSH-2 cannot be used.

        Three characters of MSH-2 are enough, more than five are read as five. A character that
        stands twice counts once, so the doubled backslash of `^~\\\\&`, which source code
        leaves behind, reads as the standard set.
        """
        return after(content, begin(content))


def begin(content: bytes) -> int:
    """The offset of `MSH` behind a UTF-8 byte order mark and white space. Raises NotHl7."""
    if content.startswith(b"MSH"):
        return 0
    start = 3 if content.startswith(b"\xef\xbb\xbf") else 0
    size = len(content)
    while start < size and content[start] in _SPACE:
        start += 1
    if content.startswith(b"MSH", start):
        return start
    if content.startswith(_UTF16):
        raise NotHl7("the message is UTF-16, which is not supported; send UTF-8")
    raise NotHl7("the message does not begin with MSH")


def after(content: bytes, start: int) -> Delimiters:
    """The delimiters of the MSH segment at this offset. Raises NotHl7."""
    return _parse(content[start + 3 : start + 5 + _LONGEST])


@lru_cache(maxsize=512)
def _parse(head: bytes) -> Delimiters:
    field = head[:1]
    if not field or not 0x20 < field[0] < 0x7F or field.isalnum():
        raise NotHl7("MSH-1 is not a separator")
    named = re.split(b"[\r\n" + re.escape(field) + b"]", head[1:])[0]
    if not 3 <= len(named) <= _LONGEST:
        raise NotHl7("MSH-2 does not name the delimiters")
    if named[:1].isalnum() or not all(0x20 < byte < 0x7F for byte in named):
        raise NotHl7("MSH-2 holds what cannot be a delimiter")
    distinct = [bytes((byte,)) for byte in dict.fromkeys(named)]
    return Delimiters(field, *(distinct + [b""] * 5)[:5])
