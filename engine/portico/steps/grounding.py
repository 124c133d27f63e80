"""No new identifiers: what looks like one in an answer must stand in what the model was given.

Looks like one: an e-mail address; a date; five digits or more in a row, also with single
spaces, dots, hyphens or slashes between them; a word of letters and at least three digits; and
our own tokens of de-identified values. Compared without regard to case and to separators.
Numbers that JSON carries as such count when they are whole. Values of `enum`, `const` and of a
code table that a check names are a closed list, and no news.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

_LIKE = re.compile(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|\b(?:NAME|ID|ADDRESS|PHONE)_[0-9a-f]{8}\w*"
    r"|\b\d{4}-\d\d-\d\d\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b"
    r"|\d(?:[ ./()-]{0,2}\d){4,}"
    r"|\b(?=\w*[A-Za-z])(?=(?:\w*\d){3})\w+\b"
)
_BARE = re.compile(r"[\W_]+")


def news(answer: Any, given: Iterable[str], closed: Iterable[str]) -> str:
    """The pointer of the first value that holds a new identifier; `none` when there is none.

    given: all texts that the model had. closed: values that need not occur there.
    """
    known = "\n".join(_BARE.sub("", text.casefold()) for text in given)
    exempt = frozenset(closed)
    for at, text in _texts(answer, "", exempt):
        if text not in exempt and any(_bare(one) not in known for one in _LIKE.findall(text)):
            return at or "/"
    return "none"


def _bare(text: str) -> str:
    return _BARE.sub("", text.casefold())


def _texts(value: Any, at: str, names: frozenset[str]) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield at, key
            shown = key if key in names else "*"  # a name of its own may tell a patient
            yield from _texts(each, f"{at}/{shown}", names)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _texts(each, f"{at}/{number}", names)
    elif isinstance(value, str):
        yield at, value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield at, str(value)
    elif isinstance(value, float | Decimal) and value == int(value):
        yield at, str(int(value))


def closed(schema: Any) -> Iterator[str]:
    """The texts of every `enum`, `const` and property name of a JSON Schema."""
    if isinstance(schema, Mapping):
        for key, each in schema.items():
            if key == "enum" and isinstance(each, list):
                yield from (str(one) for one in each)
            elif key == "const":
                yield str(each)
            elif key == "properties" and isinstance(each, Mapping):
                yield from each
            yield from closed(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from closed(each)
