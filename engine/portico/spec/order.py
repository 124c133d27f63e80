"""`order_by`: what a message's order keys are (SITE reference, `channel`)."""

from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from portico.errors import MessageError
from portico.language.order import Order
from portico.language.place import Place
from portico.spec.fields import kind_of, wrong

ORDER_WORDS = ("sender", "connection", "channel", "none")
_HINT = "try PID-3.1, or one of " + ", ".join(ORDER_WORDS)
_WITH_HINT = "such as {key: PID-3.1, with: MRG-1.1}"


def order_of(value: Any) -> Order:
    """One word; places of which the first valued one counts; or `{key: …, with: …}`.

    Raises a finding's error.
    """
    if isinstance(value, Order):
        return value
    if not isinstance(value, dict):
        return Order(_keys(value))
    if set(value) != {"key", "with"}:
        raise wrong("config.type", "an order key with others has `key` and `with`", _WITH_HINT)
    beside = _keys(value["with"])
    if any(isinstance(one, str) for one in beside):
        raise wrong("config.place", "`with` names places, not words", _WITH_HINT)
    return Order(_keys(value["key"]), tuple(one for one in beside if isinstance(one, Place)))


def _keys(value: Any) -> tuple[str | Place, ...]:
    if isinstance(value, dict):
        raise wrong("config.type", "expected a place, a list of places or a word", _HINT)
    items = list(value) if isinstance(value, list | tuple) else [value]
    if not items:
        raise wrong("config.value", "no place is named", _HINT)
    return tuple(map(_place, items))


def _place(item: Any) -> str | Place:
    if isinstance(item, Place) or (isinstance(item, str) and item in ORDER_WORDS):
        return item
    if not isinstance(item, str):
        raise wrong("config.type", f"expected a place, found {kind_of(item)}", _HINT)
    try:
        return Place.parse(item)
    except (ValueError, MessageError) as error:
        text, _, hint = str(error).partition("; ")
        raise wrong("config.place", text, hint or _HINT) from None


_PLACES: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
    ]
}
OrderBy = Annotated[
    Order,
    PlainValidator(order_of),
    WithJsonSchema(
        {
            "anyOf": [
                *_PLACES["anyOf"],
                {
                    "type": "object",
                    "required": ["key", "with"],
                    "properties": {"key": _PLACES, "with": _PLACES},
                    "additionalProperties": False,
                },
            ],
            "examples": ["PID-3.1", *ORDER_WORDS],
        }
    ),
]
