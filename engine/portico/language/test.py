"""Tests: what a condition asks of a place (SITE reference, section 2).

A test is a text (`*` stands for any run), a list (one of), or a mapping whose tests all hold.
It is compiled into two functions: `one` for a place with one value, `many` for a `[*]` place.
"""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Any, ClassVar

import re2

from portico.errors import PathInvalid
from portico.hl7.datetimes import DateTime
from portico.hl7.reading import DELETED
from portico.language import dates
from portico.language.context import Context
from portico.language.place import Place, Value

One = Callable[[Value, Context], bool]
Many = Callable[[list[Value], Context], bool]

_NUMBER = re.compile(r"[+-]?(?:\d{1,300}(?:\.\d{0,300})?|\.\d{1,300})", re.ASCII)
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"lt": lt, "le": le, "gt": gt, "ge": ge}
_SILENT = re2.Options()
_SILENT.log_errors = False


@dataclass(frozen=True, slots=True)
class Test:
    """A compiled test.

    one: of a value, None when absent. many: of every value of a `[*]` place, None for each
    absent one: one that fits is enough. whole: `many` says something of all of them, so it is
    never asked value by value. texts: when it is nothing but one of these texts, which ones.
    tables, places: what else it reads.
    """

    one: One
    many: Many
    whole: bool = False
    texts: frozenset[str] | None = None
    tables: frozenset[str] = frozenset()
    places: frozenset[Place] = frozenset()

    __test__: ClassVar[bool] = False  # pytest: not one of yours


def parse(source: object) -> Test:
    """The test of a YAML value. Raises ValueError or PathInvalid, with what would be right."""
    if isinstance(source, str):
        return _text(source)
    if isinstance(source, list | tuple):
        if not source:
            raise ValueError("an empty list never holds; name at least one text")
        return _one_of([parse(item) for item in source])
    if isinstance(source, dict):
        if not source:
            raise ValueError(f"an empty test; it is a text, a list, or one of {_words()}")
        return _all([_named(str(word), argument) for word, argument in source.items()])
    raise ValueError(f"expected a text, a list or a mapping of {_words()}")


def is_number(text: str) -> bool:
    """Whether it is a number as HL7's NM and JSON write it: no exponent, no space."""
    return _NUMBER.fullmatch(text) is not None


def _words() -> str:
    return ", ".join(_KINDS)


def _each(one: One, **more: Any) -> Test:
    """A test of single values: under `[*]` one is enough."""
    return Test(one, lambda values, context: any(one(v, context) for v in values), **more)


def _text(source: str) -> Test:
    if source == "":
        raise ValueError("an empty text never holds; write {exists: no}")
    if source == '""':
        raise ValueError("a deleted place equals no text; write {deleted: yes}")
    stars = source.count("*")
    if not stars:
        return _is(source)
    if stars > 1:
        parts = (re2.escape(part) for part in source.split("*"))
        return _matching(re2.compile("(?s)" + ".*".join(parts), _SILENT).fullmatch)
    head, _, tail = source.partition("*")
    return _around(head, tail)


def _around(head: str, tail: str) -> Test:
    least = len(head) + len(tail)

    def one(value: Value, _: Context) -> bool:
        if not isinstance(value, str) or len(value) < least:
            return False
        return value.startswith(head) and value.endswith(tail)

    return _each(one)


def _is(source: object) -> Test:
    wanted = _plain("is", source)
    return _each(lambda value, _: value == wanted, texts=frozenset((wanted,)))


def _matching(fullmatch: Callable[[str], object]) -> Test:
    return _each(lambda value, _: isinstance(value, str) and fullmatch(value) is not None)


def _one_of(tests: list[Test]) -> Test:
    tables = frozenset[str]().union(*(test.tables for test in tests))
    places = frozenset[Place]().union(*(test.places for test in tests))
    if all(test.texts is not None for test in tests):
        texts = frozenset[str]().union(*(test.texts or () for test in tests))
        return _each(lambda value, _: value in texts, texts=texts)
    return Test(
        lambda value, context: any(test.one(value, context) for test in tests),
        lambda values, context: any(test.many(values, context) for test in tests),
        any(test.whole for test in tests),
        None,
        tables,
        places,
    )


def _all(tests: list[Test]) -> Test:
    """All hold; under `[*]` those of single values hold for the same value."""
    if len(tests) == 1:
        return tests[0]
    single = tuple(test.one for test in tests if not test.whole)
    whole = tuple(test.many for test in tests if test.whole)

    def many(values: list[Value], context: Context) -> bool:
        fits = not single or any(all(one(v, context) for one in single) for v in values)
        return fits and all(holds(values, context) for holds in whole)

    return Test(
        lambda value, context: all(test.one(value, context) for test in tests),
        many,
        bool(whole),
        None,
        frozenset[str]().union(*(test.tables for test in tests)),
        frozenset[Place]().union(*(test.places for test in tests)),
    )


def _named(word: str, argument: object) -> Test:
    if word not in _KINDS:
        close = difflib.get_close_matches(word, _KINDS, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"tests are {_words()}"
        raise ValueError(f"{word!r} is not a test; {hint}")
    try:
        return _KINDS[word](argument)
    except (ValueError, PathInvalid) as error:
        raise ValueError(f"{word}: {error}") from None


def _plain(word: str, argument: object) -> str:
    if not isinstance(argument, str) or not argument:
        raise ValueError(f"{word} takes one text")
    return argument


def _switch(argument: object) -> bool:
    if argument in ("yes", "no"):
        return argument == "yes"
    raise ValueError("write yes or no")


def _not(argument: object) -> Test:
    test = parse(argument)
    return Test(
        lambda value, context: not test.one(value, context),
        lambda values, context: not test.many(values, context),
        True,
        None,
        test.tables,
        test.places,
    )


def _every(argument: object) -> Test:
    test = parse(argument)
    return Test(
        lambda value, context: value is not None and test.one(value, context),
        lambda values, context: bool(values) and all(test.one(v, context) for v in values),
        True,
        None,
        test.tables,
        test.places,
    )


def _exists(argument: object) -> Test:
    wanted = _switch(argument)
    return Test(
        lambda value, _: isinstance(value, str) is wanted,
        lambda values, _: any(isinstance(v, str) for v in values) is wanted,
        True,
    )


def _deleted(argument: object) -> Test:
    wanted = _switch(argument)
    return Test(
        lambda value, _: (value is DELETED) is wanted,
        lambda values, _: any(v is DELETED for v in values) is wanted,
        True,
    )


def _matches(argument: object) -> Test:
    try:
        pattern = re2.compile(_plain("matches", argument), _SILENT)
    except re2.error as error:
        said = error.args[0].decode("utf-8", "replace") if error.args else "it cannot be read"
        raise ValueError(f"{said} (no look-around, no back-reference)") from None
    return _matching(pattern.fullmatch)


def _ordered(word: str) -> Callable[[object], Test]:
    holds = _ORDERS[word]

    def build(argument: object) -> Test:
        bound = _plain(word, argument)
        date = dates.read(bound) if len(bound) > 4 and not _quantity(bound) else None
        if date is not None:
            return _each(lambda value, _: _by_date(value, date, holds))
        if not is_number(bound):
            raise ValueError(
                f"{bound!r} is neither a number nor a date; try '5' or '2026-01-31'"
            )
        number = Decimal(bound)
        return _each(lambda value, _: _by_number(value, number, holds))

    return build


def _quantity(bound: str) -> bool:
    """Digits that are no whole date are a number: 19991 or 200001, but 19990101 is a date."""
    return bound.isdigit() and len(bound) < 8


def _by_number(value: Value, bound: Decimal, holds: Callable[[Any, Any], bool]) -> bool:
    return isinstance(value, str) and is_number(value) and holds(Decimal(value), bound)


def _by_date(value: Value, bound: DateTime, holds: Callable[[Any, Any], bool]) -> bool:
    date = dates.read(value) if isinstance(value, str) else None
    return date is not None and holds(dates.compare(date, bound), 0)


def _in_table(argument: object) -> Test:
    name = _plain("in_table", argument)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is not the name of a table (transforms/tables/NAME.csv)")
    return _each(
        lambda value, context: value in context.tables[name], tables=frozenset((name,))
    )


def _within(argument: object) -> Test:
    place = Place.parse(_plain("within", argument))

    def one(value: Value, context: Context) -> bool:
        if not isinstance(value, str):
            return False
        return any(isinstance(text, str) and value in text for text in place.texts(context))

    return _each(one, places=frozenset((place,)))


_KINDS: dict[str, Callable[[object], Test]] = {
    "is": _is,
    "not": _not,
    "matches": _matches,
    "exists": _exists,
    "deleted": _deleted,
    **{word: _ordered(word) for word in _ORDERS},
    "in_table": _in_table,
    "within": _within,
    "every": _every,
}
