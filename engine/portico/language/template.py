"""Templates: text with places in braces, `{PID-5.1}`, `{PID-7:%Y%m%d}`, `{part:03}`.

`{{` is an opening brace; a closing brace outside a place is itself. Absent and deleted places
give nothing; a `[*]` place is joined by line feeds.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from portico.errors import ContentInvalid
from portico.hl7.reading import Deleted
from portico.language import dates
from portico.language.context import Context
from portico.language.place import Place, Value

Escape = Callable[[str], str]

_PART = re.compile(r"\{\{|\{([^{}]*)\}|\{")
_HOLE = re.compile(r"(.+?)(?::(%.*|0[1-9]\d?))?", re.DOTALL)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_FILE = 200  # bytes of a file name; file systems end at 255, temporary names need some


class _Hole:
    """One `{P}` or `{P:layout}`."""

    __slots__ = ("_date", "_width", "place")

    def __init__(self, place: Place, layout: str | None) -> None:
        self.place = place
        dated = layout is not None and layout.startswith("%")
        self._date = dates.formatter(layout) if dated and layout else None
        self._width = int(layout) if layout and not dated else 0

    def text(self, context: Context) -> str:
        if self.place.many:
            values = self.place.texts(context)
            return "\n".join(self._laid(v) for v in values if not isinstance(v, Deleted))
        value = self.place.text(context)
        return self._laid(value) if isinstance(value, str) else ""

    def nth(self, context: Context, slots: dict[Place, list[Value]], index: int) -> str:
        if self.place not in slots:
            return self.text(context)
        values = slots[self.place]
        value = values[index] if index < len(values) else None
        return self._laid(value) if isinstance(value, str) else ""

    def _laid(self, value: str) -> str:
        if self._date is None:
            return value.zfill(self._width)
        date = dates.read(value)
        if date is None:
            raise ContentInvalid(f"{self.place} is not a date", self.place.source)
        try:
            return self._date(date)
        except ValueError as error:
            raise ContentInvalid(f"{self.place}: {error}", self.place.source) from None


class Template:
    """A compiled template. Equal by its text.

    places: all that it reads. constant: whether it reads none.
    """

    __slots__ = ("_parts", "constant", "places", "source")

    def __init__(self, source: str, parts: "tuple[str | _Hole, ...]") -> None:
        self.source = source
        self._parts = parts
        self.places = tuple(p.place for p in parts if isinstance(p, _Hole))
        self.constant = not self.places

    @staticmethod
    def parse(text: str) -> "Template":
        """The template of a text. Raises ValueError or PathInvalid, with what is right."""
        return _parse(text)

    def render(self, context: Context, escape: Escape | None = None) -> str:
        """The text; `escape` is applied to what places give, not to what was written.

        Raises ContentInvalid when a value is not the date that a layout asks for.
        """
        texts = []
        for part in self._parts:
            if isinstance(part, str):
                texts.append(part)
            else:
                text = part.text(context)
                texts.append(escape(text) if escape is not None else text)
        return "".join(texts)

    def pieces(self, context: Context) -> list[tuple[Place | None, str]]:
        """What `render` joins: (None, text) as written, (place, text) as it gives."""
        return [
            (None, part) if isinstance(part, str) else (part.place, part.text(context))
            for part in self._parts
        ]

    def count(self, context: Context) -> int:
        """How many texts `each` can tell apart: the most slots of a `[*]` place."""
        return max((len(p.slots(context)) for p in self.places if p.many), default=0)

    def each(self, context: Context, count: int) -> list[str]:
        """As many texts: the first reads the first slot of every `[*]` place, and so on."""
        slots = {p: p.slots(context) for p in self.places if p.many}
        return [
            "".join(
                part if isinstance(part, str) else part.nth(context, slots, index)
                for part in self._parts
            )
            for index in range(count)
        ]

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"Template({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)


def file_name(text: str) -> str:
    """A text as one file name: anything but `A-Za-z0-9._-` becomes `_`; never hidden."""
    safe = _UNSAFE.sub("_", text)[:_FILE]
    return "_" + safe[1:] if safe.startswith(".") else safe or "_"


@lru_cache(maxsize=4096)
def _parse(text: str) -> Template:
    if "${" in text:
        raise ValueError("a template holds no '${...}': secrets never enter a message")
    parts: list[str | _Hole] = []
    end = 0
    for match in _PART.finditer(text):
        parts.append(text[end : match.start()])
        parts.append(_part(match))
        end = match.end()
    parts.append(text[end:])
    return Template(text, tuple(_joined(parts)))


def _part(match: re.Match[str]) -> "str | _Hole":
    if match[0] == "{{":
        return "{"
    if match[1] is None:
        raise ValueError("a '{' without its '}'; write '{{' for a brace")
    hole = _HOLE.fullmatch(match[1])
    if hole is None:
        raise ValueError("'{}' names no place; write '{{' for a brace")
    if hole[1] == "now":
        raise ValueError("there is no 'now', so that replays agree; use 'received'")
    return _Hole(Place.parse(hole[1]), hole[2])


def _joined(parts: "list[str | _Hole]") -> "list[str | _Hole]":
    """Neighbouring texts as one, empty ones left out."""
    joined: list[str | _Hole] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return joined
