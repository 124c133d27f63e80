"""JSON read at the door: whole to be sure that it is JSON, and kept only where a place asks.

A hundredth of the cost of parsing it, so that intake may do it on the event loop. What is
nested deeper than DEPTH is told when a worker parses it. Source: RFC 8259.
"""

from typing import Any

import msgspec
from msgspec import Raw

from portico.errors import ContentInvalid
from portico.language import pointer
from portico.language.content import SIZE, PointView, parse_json
from portico.language.pointer import Tokens

_BOM = b"\xef\xbb\xbf"
_whole = msgspec.json.Decoder(Raw)
_object = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])


class JsonSkim(PointView):
    """A JSON text of which only the ways to the places are unpacked."""

    __slots__ = ("_inside", "content")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._inside: dict[Tokens, Any] = {}

    def check(self) -> str:
        """Reads all of it. Raises ContentInvalid."""
        if len(self.content) > SIZE:
            raise ContentInvalid(f"the JSON is larger than {SIZE >> 20} MiB")
        try:
            _whole.decode(self._bytes())
            if not self.content.isascii():
                self.content.decode()
        except RecursionError:
            raise ContentInvalid("the JSON is nested too deep") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ContentInvalid("the content is not JSON in UTF-8") from None
        return "application/json"

    def text_at(self, source: str) -> str | None:
        """The scalar as text, an object or list as compact JSON."""
        return pointer.text_of(self.value_at(source))

    def value_at(self, source: str) -> Any:
        """The JSON value, parsed for this answer."""
        tokens = pointer.tokens(source)
        raw = self._raw(tokens)
        return None if raw is None else parse_json(bytes(raw))

    def _bytes(self) -> bytes:
        return self.content.removeprefix(_BOM)

    def _raw(self, tokens: Tokens) -> bytes | Raw | None:
        if not tokens:
            return self._bytes()
        inside = self._unpacked(tokens[:-1])
        if isinstance(inside, dict):
            return inside.get(tokens[-1])
        found: Raw | None = pointer.get(inside, tokens[-1:])
        return found

    def _unpacked(self, tokens: Tokens) -> Any:
        """The members or items there; remembered, because places often share their way."""
        if tokens not in self._inside:
            raw = self._raw(tokens)
            head = bytes(raw).lstrip()[:1] if raw is not None else b""
            decoder: Any = {b"{": _object, b"[": _list}.get(head)
            self._inside[tokens] = decoder.decode(raw) if decoder else None
        return self._inside[tokens]
