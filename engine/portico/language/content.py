"""Content kinds and their views: what a place reads, one view for each `content:`.

The modules of XML and CSV are imported when the first such content is opened.
"""

import importlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from portico.errors import ContentInvalid
from portico.hl7 import wide
from portico.hl7.reading import Reading
from portico.hl7.view import MessageView
from portico.language import pointer
from portico.language.pointer import Tokens

DEPTH = 64  # nested objects and lists of one JSON content
SIZE = 64 << 20  # bytes of one JSON, XML or CSV content: parsed, it takes many times its size
KINDS = ("hl7", "json", "xml", "csv", "bytes")

_SPACE = b" \t\r\n\x0b"
_BOM = b"\xef\xbb\xbf"
_UTF16_MSH = (b"\xff\xfeM\x00", b"\xfe\xff\x00M", b"M\x00S\x00", b"\x00M\x00S")
_UTF16_XML = (b"\xff\xfe<\x00", b"\xfe\xff\x00<", b"<\x00", b"\x00<")
_MOST_EXPONENT, _MOST_DIGITS = 400, 1000  # more than a double holds; `1e999999` costs minutes


def _decimal(text: str) -> Decimal:
    """`2.10` stays `2.10`. Raises ValueError for what nobody can compute with."""
    value = Decimal(text) if len(text) <= _MOST_DIGITS else Decimal("NaN")
    if not value.is_finite() or abs(value.adjusted()) > _MOST_EXPONENT:
        raise ValueError("a number out of range")
    return value


_DECODER = msgspec.json.Decoder(float_hook=_decimal)


class Content(Struct, frozen=True):
    """What the bytes of a channel are (`content:` of SITE).

    type: of KINDS, or `auto`: by the first bytes. namespaces: (prefix, URI) pairs that XPath
    uses; depth: of elements (xml). separator: one character; header: whether the first row
    names the columns (csv).
    """

    type: str = "hl7"
    namespaces: tuple[tuple[str, str], ...] = ()
    depth: int = DEPTH
    separator: str = ","
    header: bool = True

    @staticmethod
    def of(raw: "str | Mapping[str, Any] | Content") -> "Content":
        """The content of a name, or of what `plain` gave. Raises ContentInvalid."""
        if isinstance(raw, Content):
            return raw
        given: dict[str, Any] = {"type": raw} if isinstance(raw, str) else dict(raw)
        if given.get("type") not in (*KINDS, "auto"):
            known = ", ".join(KINDS)
            raise ContentInvalid(f"content {given.get('type')!r} is unknown; one of {known}")
        pairs = tuple(sorted(given.pop("namespaces", {}).items()))
        return Content(**given, namespaces=pairs)

    def plain(self) -> str | dict[str, Any]:
        """Its name, or with it what differs from the defaults: as JSON carries it."""
        given = {
            name: getattr(self, name)
            for name in self.__struct_fields__
            if getattr(self, name) != getattr(AUTO, name)
        }
        if set(given) <= {"type"}:
            return self.type
        if "namespaces" in given:
            given["namespaces"] = dict(self.namespaces)
        return {**given, "type": self.type}

    def seen(self, content: bytes) -> "Content":
        """Itself; of `auto` what the first bytes say."""
        return self if self.type != "auto" else Content(sniff(content))

    def like(self, content: bytes) -> "Content":
        """What bytes that came out of this content are: by their first bytes, with this one's
        options when they are of its kind."""
        kind = sniff(content)
        if kind == self.type or (kind == "bytes" and self.type == "csv"):
            return self
        return Content(kind)


AUTO = Content("auto")


class PointView:
    """A view that a place beginning with `/` reads; a subclass for each such kind."""

    __slots__ = ()

    def check(self) -> str:
        """The envelope's `type`: a media type, or the root of XML.

        Raises ContentInvalid when the content is not what it says; of CSV only the beginning is
        looked at.
        """
        raise NotImplementedError

    def text_at(self, source: str) -> str | None:
        """The text there; None when nothing is there, or it is empty. Raises ContentInvalid."""
        raise NotImplementedError

    def value_at(self, source: str) -> Any:
        """The JSON value there, of a tree or table its text. Raises ContentInvalid."""
        return self.text_at(source)


class JsonView(PointView):
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

    def check(self) -> str:
        """Parses it."""
        self.value  # noqa: B018 -- it raises
        return "application/json"

    def at(self, tokens: Tokens) -> Any:
        """What stands at that point, None when nothing does. Raises ContentInvalid."""
        return pointer.get(self.value, tokens)

    def text_at(self, source: str) -> str | None:
        """The scalar as text, an object or list as compact JSON."""
        return pointer.text_of(self.value_at(source))

    def value_at(self, source: str) -> Any:
        """The JSON value as parsed."""
        return pointer.get(self.value, pointer.tokens(source))


# An HL7 message as it came or under edit, JSON, XML or CSV; None is opaque bytes.
View = Reading | PointView | None


def open_content(
    kind: Content | str,
    content: bytes,
    charset: str = "ascii",
    on_charset_error: str = "refuse",
) -> View:
    """The view of a content of that kind; a bare name stands for its defaults.

    Raises NotHl7, CharsetUnknown or ContentInvalid; all but HL7 is parsed at its first reading.
    """
    kind = Content.of(kind).seen(content)
    if kind.type == "hl7":
        content = wide.narrowed(content) if content[:2] in wide.HEADS else content
        return MessageView(content, charset, on_charset_error)
    if kind.type == "json":
        return JsonView(content)
    if kind.type in _MADE:
        module, name = _MADE[kind.type]
        made = getattr(importlib.import_module(module), name)
        view: PointView = made(content, kind, charset, on_charset_error)
        return view
    return None


_MADE = {
    "xml": ("portico.language.xmlview", "XmlView"),
    "csv": ("portico.language.csvview", "CsvView"),
}


def sniff(content: bytes) -> str:
    """`hl7`, `json`, `xml` or `bytes` by the first bytes: for Signals that agents emit."""
    head = content[:64].removeprefix(_BOM).lstrip(_SPACE)
    if head.startswith(b"MSH") or content.startswith(_UTF16_MSH):
        return "hl7"
    if head[:1] in (b"{", b"[", b'"'):
        return "json"
    return "xml" if head[:1] == b"<" or content.startswith(_UTF16_XML) else "bytes"


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
    except (msgspec.ValidationError, ArithmeticError):
        raise ContentInvalid("the JSON holds a number out of range") from None
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
