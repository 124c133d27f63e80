"""Places: where a value stands (SITE, section 2). The shape of the text says the kind.

| shape | kind |
|---|---|
| `PID-5` `PID-3[2].1` `OBX[*2=ED]-5` `ZPI` | HL7 |
| `/order/id` | a point in JSON, XML or CSV content |
| `channel` `type` `received` `header/x` | the envelope |
| `finding` `finding/code` | what a step put aside |

A place is valued, absent (None: no segment, empty field, JSON null or empty text) or deleted
(DELETED: HL7 `""`).
"""

import difflib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from portico import ids
from portico.hl7.path import Path
from portico.hl7.reading import DELETED, Deleted, Reading
from portico.language import dates, pointer
from portico.language.content import PointView
from portico.language.context import TEXTS, WORDS, Context

Value = str | Deleted | None

_HL7 = re.compile(r"[A-Z][A-Z0-9]{2}([-\[].*)?", re.ASCII | re.DOTALL)
_ASIDE = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


class Place:
    """A place, whatever its kind. Equal by its text.

    many: it can give several values (`[*]`, `flags`); a test then asks for one that fits.
    """

    __slots__ = ("many", "source")

    def __init__(self, source: str, many: bool = False) -> None:
        self.source = source
        self.many = many

    @staticmethod
    def parse(text: str) -> "Place":
        """The place of a text. Raises ValueError or PathInvalid, with what would be right."""
        return _parse(text)

    def text(self, context: Context) -> Value:
        """The first value there, as text."""
        raise NotImplementedError

    def texts(self, context: Context) -> "list[str | Deleted]":
        """Every value there, deleted ones too, in order; absent ones are left out."""
        value = self.text(context)
        return [] if value is None else [value]

    def slots(self, context: Context) -> list[Value]:
        """Every value there, in order, with None for the absent ones of a `[*]` place."""
        return list(self.texts(context))

    def value(self, context: Context) -> Any:
        """The JSON value there, a text for HL7 and the envelope; None: absent or deleted."""
        found = self.text(context)
        return None if found is DELETED else found

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)


class Hl7Place(Place):
    """A path in an HL7 message; absent in any other content."""

    __slots__ = ("path",)

    def __init__(self, source: str, path: Path | None = None) -> None:
        self.path = path or Path.parse(source)
        super().__init__(source, self.path.every)

    @staticmethod
    def of(path: Path) -> "Hl7Place":
        """The place of a path."""
        return Hl7Place(str(path), path)

    def text(self, context: Context) -> Value:
        """Unescaped; a whole field with its delimiters."""
        view = context.view
        return view.text(self.path) if isinstance(view, Reading) else None

    def texts(self, context: Context) -> "list[str | Deleted]":
        """One for each segment of a `[*]` path that has it."""
        view = context.view
        return view.texts(self.path) if isinstance(view, Reading) else []

    def slots(self, context: Context) -> list[Value]:
        """One for each segment that fits, in order, None where it has nothing there."""
        view = context.view
        if not isinstance(view, Reading):
            return []
        return view.slots(self.path) if self.many else list(view.texts(self.path))


class PointerPlace(Place):
    """A JSON Pointer, a path of XML or a column of CSV, as the content is; else absent."""

    __slots__ = ()

    def __init__(self, source: str) -> None:
        super().__init__(source)
        if "[" not in source:  # with one it is a path of XML, whose texts may hold anything
            pointer.parse(source)

    @property
    def tokens(self) -> pointer.Tokens:
        """The JSON Pointer. Raises PathInvalid when the place is none."""
        return pointer.tokens(self.source)

    def text(self, context: Context) -> Value:
        """A scalar as text, what has parts as compact JSON or as XML."""
        view = context.view
        return view.text_at(self.source) if isinstance(view, PointView) else None

    def value(self, context: Context) -> Any:
        """The JSON value as parsed; the text of XML and CSV."""
        view = context.view
        return view.value_at(self.source) if isinstance(view, PointView) else None


class EnvelopePlace(Place):
    """A word of the envelope."""

    __slots__ = ("name", "word")

    def __init__(self, source: str) -> None:
        super().__init__(source, source == "flags")
        self.word, _, name = source.partition("/")
        self.name = name.lower() if self.word == "header" else name

    def text(self, context: Context) -> Value:
        """`received` is ISO 8601 in UTC; `flags` are joined by line feeds."""
        found = context.envelope.get(self.word)
        if found is None:
            return None
        if self.word in TEXTS:
            return found or None
        text: str | None = _WORDS[self.word](found, self.name)
        return text

    def texts(self, context: Context) -> "list[str | Deleted]":
        """The flags one by one; of any other word its one text."""
        if self.word == "flags":
            return list(context.envelope.get("flags") or ())
        return super().texts(context)


def _from_mapping(found: Mapping[str, str], name: str) -> str | None:
    return found.get(name) or None


_WORDS: dict[str, Any] = {
    "size": lambda found, _: str(found),
    "part": lambda found, _: str(found),
    "received": lambda found, _: dates.iso(dates.of_nanoseconds(found)),
    "id": lambda found, _: ids.text(found),
    "flags": lambda found, _: "\n".join(found) or None,
    "header": _from_mapping,
    "query": _from_mapping,
}


class AsidePlace(Place):
    """A value that a step put aside with `into`, or a point inside it."""

    __slots__ = ("name", "tokens")

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.name, slash, rest = source.partition("/")
        self.tokens = pointer.parse(slash + rest)

    def text(self, context: Context) -> Value:
        """The scalar as text, an object or list as compact JSON."""
        return pointer.text_of(self.value(context))

    def value(self, context: Context) -> Any:
        """The JSON value as the step gave it."""
        return pointer.get(context.aside.get(self.name), self.tokens)


def aside_name(text: str) -> str:
    """A name for `into`. Raises ValueError when it is none, or a word of the envelope."""
    if text in WORDS:
        raise ValueError(f"{text!r} is a word of the envelope; choose another name")
    if not _ASIDE.fullmatch(text):
        raise ValueError(f"{text!r} is not a name (a-z, 0-9, _; a letter first)")
    return text


@lru_cache(maxsize=4096)
def _parse(text: str) -> Place:
    if text.startswith("/"):
        return PointerPlace(text)
    if _HL7.fullmatch(text):
        return Hl7Place(text)
    word, slash, name = text.partition("/")
    if word in ("header", "query"):
        if not name:
            raise ValueError(f"{word!r} needs a name; try '{word}/x'")
        return EnvelopePlace(text)
    if word in WORDS:
        if slash:
            raise ValueError(f"{word!r} has nothing below it; write {word!r}")
        return EnvelopePlace(text)
    if _ASIDE.fullmatch(word):
        return AsidePlace(text)
    raise ValueError(f"{text!r} is not a place; try {_near(text)!r}")


def _near(text: str) -> str:
    """The likely wish, in the words of the language."""
    loose = re.fullmatch(r"\s*([A-Za-z][A-Za-z0-9]{2})[-.:](\d+)(?:[-.:](\d+))?.*", text)
    if loose:
        inner = f".{loose[3]}" if loose[3] else ""
        return f"{loose[1].upper()}-{loose[2]}{inner}"
    close = difflib.get_close_matches(text.lower().strip(), WORDS, 1)
    return close[0] if close else "PID-5.1"
