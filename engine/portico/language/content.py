"""Content views: what a place reads, one kind for each `content:` of a channel.

`open_content` is the seam: XML and CSV get a view here when their channels come.
"""

from decimal import Decimal
from typing import Any

import msgspec

from portico.errors import ContentInvalid
from portico.hl7.reading import Reading
from portico.hl7.view import MessageView
from portico.language import pointer
from portico.language.pointer import Tokens

DEPTH = 64  # nested objects and lists of one JSON content
SIZE = 64 << 20  # bytes of one JSON content: parsed, it takes many times its size
KINDS = ("hl7", "json", "bytes")
PLANNED = ("xml", "csv")

_SPACE = b" \t\r\n\x0b"
_BOM = b"\xef\xbb\xbf"
_DECODER = msgspec.json.Decoder(float_hook=Decimal)  # `2.10` stays `2.10`


class JsonView:
    """A JSON text, parsed when first read. Read-only: `value` is never changed in place."""

    __slots__ = ("_parsed", "_value", "content")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._parsed = False
        self._value: Any = None

    @staticmethod
    def holding(value: Any) -> "JsonView":
        """A view of a value that was parsed already. Its `content` is empty."""
        view = JsonView(b"")
        view._parsed, view._value = True, value
        return view

    @property
    def value(self) -> Any:
        """The parsed value; decimals are Decimal. Raises ContentInvalid."""
        if not self._parsed:
            self._value, self._parsed = parse_json(self.content), True
        return self._value

    def at(self, tokens: Tokens) -> Any:
        """What stands at that point, None when nothing does. Raises ContentInvalid."""
        return pointer.get(self.value, tokens)


# An HL7 message as it came or under edit, or JSON; None is opaque bytes.
View = Reading | JsonView | None


def open_content(
    kind: str, content: bytes, charset: str = "ascii", on_charset_error: str = "refuse"
) -> View:
    """The view of a content of that kind; `auto` looks at its first bytes.

    Raises NotHl7, CharsetUnknown or ContentInvalid; JSON is parsed at its first reading.
    """
    if kind == "auto":
        kind = sniff(content)
    if kind == "hl7":
        return MessageView(content, charset, on_charset_error)
    if kind == "json":
        return JsonView(content)
    if kind == "bytes":
        return None
    raise ContentInvalid(missing_kind(kind))


def missing_kind(kind: str) -> str:
    """Why there is no view of that kind."""
    if kind in PLANNED:
        return f"content: {kind} is not available yet; {', '.join(KINDS)} are"
    return f"content {kind!r} is unknown; it is one of {', '.join(KINDS)}"


def sniff(content: bytes) -> str:
    """`hl7`, `json` or `bytes` by the first bytes: for Signals that agents emit."""
    head = content[:64].removeprefix(_BOM).lstrip(_SPACE)
    if head.startswith(b"MSH"):
        return "hl7"
    return "json" if head[:1] in (b"{", b"[", b'"') else "bytes"


def parse_json(content: bytes) -> Any:
    """The value of a JSON text in UTF-8, at most SIZE bytes and DEPTH deep.

    Raises ContentInvalid, which never quotes the content. Source: RFC 8259.
    """
    if len(content) > SIZE:
        raise ContentInvalid(f"the JSON is larger than {SIZE >> 20} MiB")
    try:
        value = _DECODER.decode(content.removeprefix(_BOM))
    except RecursionError:
        raise ContentInvalid(f"the JSON is nested deeper than {DEPTH}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ContentInvalid("the content is not JSON in UTF-8") from None
    if content.count(b"[") + content.count(b"{") > DEPTH and not _shallow(value):
        raise ContentInvalid(f"the JSON is nested deeper than {DEPTH}")
    return value


def _shallow(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return True
    return False


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode_json(value: Any) -> bytes:
    """Compact JSON in UTF-8. Raises ContentInvalid for what JSON cannot carry."""
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError):
        raise ContentInvalid("the value holds what JSON cannot carry") from None
