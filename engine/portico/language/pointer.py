"""JSON Pointers: the point that `/order/items/0/id` names inside a JSON value.

Source: RFC 6901. A list's end is written `-` (RFC 6902, section 4.1).
"""

import json
import re
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from portico.errors import PathInvalid

Tokens = tuple[str, ...]

_encode = msgspec.json.Encoder(decimal_format="number").encode
_INDEX = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)


def parse(text: str) -> Tokens:
    """`/a~1b/0` to `("a/b", "0")`; the empty text is the whole value. Raises ValueError."""
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r} is not a JSON Pointer; try '/{text}'")
    if re.search(r"~(?![01])", text):
        raise ValueError(f"{text!r} holds a '~' that is not '~0' or '~1'")
    return tuple(t.replace("~1", "/").replace("~0", "~") for t in text.split("/")[1:])


@lru_cache(maxsize=4096)
def tokens(text: str) -> Tokens:
    """`parse`, remembered. Raises PathInvalid: the text is a place of another kind."""
    try:
        return parse(text)
    except ValueError as error:
        raise PathInvalid(str(error), text) from None


def get(value: Any, tokens: Tokens) -> Any:
    """What stands there; None when nothing does."""
    for token in tokens:
        if isinstance(value, dict):
            value = value.get(token)
        elif isinstance(value, list) and _INDEX.fullmatch(token):
            at = int(token)
            value = value[at] if at < len(value) else None
        else:
            return None
    return value


def put(value: Any, tokens: Tokens, new: Any) -> Any:
    """The value with `new` at that point, missing objects made on the way; changed in place.

    A list grows by one item at its end. Raises ValueError where a scalar is in the way.
    """
    if not tokens:
        return new
    head, rest = tokens[0], tokens[1:]
    if value is None:
        value = {}
    if isinstance(value, dict):
        value[head] = put(value.get(head), rest, new)
    elif isinstance(value, list) and (head == "-" or _INDEX.fullmatch(head)):
        at = len(value) if head == "-" else int(head)
        if at > len(value):
            raise ValueError(f"the list has {len(value)} items, there is no item {head}")
        if at == len(value):
            value.append(None)
        value[at] = put(value[at], rest, new)
    else:
        raise ValueError(f"{head!r} cannot be set below a {_kind(value)}")
    return value


def drop(value: Any, tokens: Tokens) -> None:
    """Take that member or item away, in place; nothing happens when there is none."""
    if not tokens:
        return
    holder = get(value, tokens[:-1])
    last = tokens[-1]
    if isinstance(holder, dict):
        holder.pop(last, None)
    elif isinstance(holder, list) and _INDEX.fullmatch(last) and int(last) < len(holder):
        del holder[int(last)]


def text_of(value: Any) -> str | None:
    """A JSON value as the text that conditions compare: scalars as written, no quotes, but a
    number without its exponent: `1e-7` is `0.0000001`.

    null and the empty text are absent: None. Objects and lists are their compact JSON, whose
    numbers stand as they were written: `2.10` is not 2.1 to a laboratory.
    """
    if isinstance(value, str):
        return value or None
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, int | Decimal):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:  # half a character, which msgspec does not carry
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"a {_kind(value)} is not JSON")


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", str: "text", bool: "true/false"}
    return names.get(type(value), "number")
