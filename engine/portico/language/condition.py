"""Conditions: `{P: test, ...}`, `any`, `all`, `not`; a list is `any` (SITE, section 2).

Compiled once to nested functions; one on `channel` or `type` costs a fraction of a microsecond.
"""

from collections.abc import Callable, Iterable
from typing import Any

from portico.errors import PathInvalid
from portico.language import test
from portico.language.context import TEXTS, Context
from portico.language.place import EnvelopePlace, Place
from portico.language.test import Test

Holds = Callable[[Context], bool]
Allowed = dict[str, frozenset[str]]


class Condition:
    """A compiled condition. Equal by its source.

    holds(context): whether it holds. places, tables: all that it reads. allowed: for a word of
    the envelope the texts that it must be for the condition to hold; a word that may be
    anything is not in it.
    """

    __slots__ = ("allowed", "holds", "places", "source", "tables")

    def __init__(
        self,
        source: Any,
        holds: Holds,
        allowed: Allowed,
        places: frozenset[Place],
        tables: frozenset[str],
    ) -> None:
        self.source = source
        self.holds = holds
        self.allowed = allowed
        self.places = places
        self.tables = tables

    @staticmethod
    def parse(source: object) -> "Condition":
        """The condition of a YAML value. Raises ValueError, with what would be right."""
        return _parse(source)

    def __repr__(self) -> str:
        return f"Condition({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and other.source == self.source

    def __hash__(self) -> int:
        return hash(repr(self.source))


def _parse(source: object) -> Condition:
    if isinstance(source, list | tuple):
        return _any(source)
    if not isinstance(source, dict):
        raise ValueError(
            "expected a condition such as {channel: adt_in} or {PV1-2: I}, or a list of them"
        )
    if not source:
        raise ValueError("an empty condition; name a place and what it must be")
    parts = [_entry(str(key), value) for key, value in source.items()]
    return _all(source, parts)


def _entry(key: str, value: object) -> Condition:
    try:
        if key in _WORDS:
            return _WORDS[key](value)
        return _leaf({key: value}, Place.parse(key), test.parse(value))
    except (ValueError, PathInvalid) as error:
        text = str(error)
        raise ValueError(text if repr(key) in text else f"{key}: {text}") from None


def _leaf(source: object, place: Place, asked: Test) -> Condition:
    texts = asked.texts
    allowed: Allowed = {}
    if isinstance(place, EnvelopePlace) and place.word in TEXTS:
        holds = _of_word(place.word, asked)
        allowed = {place.word: texts} if texts is not None else {}
    elif place.many:
        many, slots = asked.many, place.slots
        holds = lambda context: many(slots(context), context)  # noqa: E731
    else:
        one, text = asked.one, place.text
        holds = lambda context: one(text(context), context)  # noqa: E731
    return Condition(source, holds, allowed, asked.places | {place}, asked.tables)


def _of_word(word: str, asked: Test) -> Holds:
    """The test of a text of the envelope with the fewest calls: these run for every message."""
    texts, one = asked.texts, asked.one
    if texts is not None and len(texts) == 1:
        (wanted,) = texts
        return lambda context: context.envelope.get(word) == wanted
    if texts is not None:
        return lambda context: context.envelope.get(word) in texts
    return lambda context: one(context.envelope.get(word) or None, context)


def _items(value: object) -> list[Condition]:
    if not isinstance(value, list | tuple):
        value = [value]
    if not value:
        raise ValueError("an empty list of conditions")
    return [_parse(item) for item in value]


def _all(source: object, parts: list[Condition]) -> Condition:
    if len(parts) == 1:
        (only,) = parts
        return Condition(source, only.holds, only.allowed, only.places, only.tables)
    allowed: Allowed = {}
    for part in parts:
        for word, texts in part.allowed.items():
            allowed[word] = allowed[word] & texts if word in allowed else texts
    return Condition(source, _both(parts), allowed, *_reads(parts))


def _both(parts: list[Condition]) -> Holds:
    # The envelope costs nothing to read, the content must be found: ask in that order.
    ordered = sorted(parts, key=lambda part: not part.allowed)
    if len(ordered) == 2:
        first, second = ordered[0].holds, ordered[1].holds
        return lambda context: first(context) and second(context)
    tests = tuple(part.holds for part in ordered)

    def holds(context: Context) -> bool:
        for part in tests:  # a generator costs more than the tests
            if not part(context):
                return False
        return True

    return holds


def _any(value: object) -> Condition:
    parts = _items(value)
    tests = tuple(part.holds for part in parts)
    words = set.intersection(*(set(part.allowed) for part in parts))
    allowed = {
        word: frozenset[str]().union(*(part.allowed[word] for part in parts)) for word in words
    }

    def holds(context: Context) -> bool:
        return any(part(context) for part in tests)

    return Condition(value, holds, allowed, *_reads(parts))


def _not(value: object) -> Condition:
    part = _parse(value)
    inner = part.holds
    return Condition(value, lambda context: not inner(context), {}, part.places, part.tables)


def _reads(parts: Iterable[Condition]) -> tuple[frozenset[Place], frozenset[str]]:
    parts = list(parts)
    places = frozenset[Place]().union(*(part.places for part in parts))
    return places, frozenset[str]().union(*(part.tables for part in parts))


_WORDS: dict[str, Callable[[object], Condition]] = {
    "any": _any,
    "all": lambda value: _all(value, _items(value)),
    "not": _not,
}
