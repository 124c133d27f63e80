"""`channel:` documents (SITE reference, section 3)."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema

from portico.errors import CharsetUnknown, MessageError
from portico.hl7 import charset
from portico.language.place import Place
from portico.spec.fields import (
    ONE_OR_MANY,
    Duration,
    Later,
    Name,
    Options,
    Text,
    kind_of,
    not_yet,
    wrong,
)
from portico.spec.rules import PlaceField, TemplateField

ORDER_WORDS = ("sender", "connection", "channel", "none")
CHARSET_WORDS = ("refuse", "replace")
_CONTENTS = ("hl7", "json", "bytes")
_LATER_CONTENTS = ("xml", "csv")


@dataclass(frozen=True, slots=True)
class Source:
    """`source:`. options: the mapping without `type`; once checked, the type's own model."""

    type: str
    options: Any


def source_of(value: Any) -> Source:
    """The source of a mapping with a `type`. Raises a finding's error."""
    if isinstance(value, Source):
        return value
    if not isinstance(value, dict):
        raise wrong("config.type", f"expected a mapping, found {kind_of(value)}", _SOURCE_HINT)
    kind = value.get("type")
    if not isinstance(kind, str):
        raise wrong("config.missing_key", "'type' is missing", _SOURCE_HINT)
    return Source(str(kind), {key: each for key, each in value.items() if key != "type"})


_SOURCE_HINT = "such as {type: mllp, listen: 127.0.0.1:2575}"


def _content(value: Any) -> Any:
    kind = value.get("type") if isinstance(value, dict) else value
    if kind in _LATER_CONTENTS:
        raise not_yet(f"content {kind}")
    return kind if isinstance(value, dict) and len(value) == 1 else value


def order_keys(value: Any) -> Any:
    """What `order_by` names: one word, or places of which the first valued one counts."""
    if isinstance(value, dict):
        if "key" in value and "with" in value:
            raise not_yet("an order key with others (`with`)")
        raise wrong("config.type", "expected a place, a list of places or a word", _ORDER_HINT)
    if value in ORDER_WORDS:
        return (value,)
    items = list(value) if isinstance(value, list | tuple) else [value]
    if not items:
        raise wrong("config.value", "no place is named", _ORDER_HINT)
    return tuple(_order_place(item) for item in items)


_ORDER_HINT = "try PID-3.1, or one of " + ", ".join(ORDER_WORDS)


def _order_place(item: Any) -> str | Place:
    if isinstance(item, Place) or item in ORDER_WORDS:
        return item  # type: ignore[no-any-return]
    if not isinstance(item, str):
        raise wrong("config.type", f"expected a place, found {kind_of(item)}", _ORDER_HINT)
    try:
        return Place.parse(item)
    except (ValueError, MessageError) as error:
        text, _, hint = str(error).partition("; ")
        raise wrong("config.place", text, hint or _ORDER_HINT) from None


def _charset_name(name: str) -> str:
    try:
        charset.codec_of((), name)
    except CharsetUnknown as error:
        text, _, hint = str(error).partition("; ")
        raise wrong("config.charset", text, hint) from None
    return name


def _on_charset_error(value: Any) -> Any:
    if isinstance(value, dict) and list(value) == ["fallback"]:
        name = value["fallback"]
        if isinstance(name, str) and name not in CHARSET_WORDS:
            return _charset_name(name)
    elif isinstance(value, str) and value in CHARSET_WORDS:
        return value
    hint = "one of refuse, replace, {fallback: NAME}"
    raise wrong("config.choice", "not a choice here", hint)


OrderBy = Annotated[
    tuple[Any, ...],
    PlainValidator(order_keys),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
                {"type": "object", "required": ["key", "with"]},
            ],
            "examples": ["PID-3.1", *ORDER_WORDS],
        }
    ),
]
Content = Annotated[
    Literal["hl7", "json", "bytes"],
    BeforeValidator(_content),
    WithJsonSchema({"anyOf": [{"enum": [*_CONTENTS, *_LATER_CONTENTS]}, {"type": "object"}]}),
]


class Charset(Options):
    """What is read when MSH-18 is empty, and what a byte outside it means.

    on_error: `refuse`, `replace`, or the character set to fall back to.
    """

    short = "name"
    name: Annotated[Text, AfterValidator(_charset_name)] = "ascii"
    on_error: Annotated[
        str,
        PlainValidator(_on_charset_error),
        WithJsonSchema(
            {
                "anyOf": [
                    {"enum": ["refuse", "replace"]},
                    {"type": "object", "required": ["fallback"]},
                ]
            }
        ),
    ] = "refuse"


class Duplicates(Options):
    """How a repeat is known, for how long, and what becomes of it. window: seconds."""

    key: Annotated[tuple[PlaceField, ...], ONE_OR_MANY] = tuple(
        Place.parse(text) for text in ("MSH-3", "MSH-4", "MSH-10")
    )
    window: Duration = 7 * 86_400.0
    same: Literal["answer", "process"] = "answer"
    changed: Literal["process", "park", "refuse"] = "process"


class Batch(Options):
    """FHS/BHS envelopes and several messages in one: a Signal each. counts `no`: refused."""

    short = "counts"
    counts: Literal["strict", "lenient", "no"] = "strict"
    reply: Literal["all", "errors", "none"] = "all"


class Acknowledge(Options):
    """When the sender is answered, and how. timeout: seconds."""

    when: Literal["journaled", "processed", "delivered"] = "journaled"
    mode: Literal["auto", "original", "enhanced", "none"] = "auto"
    timeout: Duration = 30.0
    reply: Annotated[str, Later("a reply that is not an ACK of ours", "ack")] = "ack"
    deferred: Annotated[str | None, Later("the deferred application ACK")] = None
    on_error: Literal["AE", "AR", "close"] = "AE"
    on_refuse: Literal["AE", "AR"] = "AE"
    text: TemplateField | None = None


class Retention(Options):
    """How long the journal keeps. Seconds."""

    bodies: Duration = 30 * 86_400.0
    headers: Duration = 365 * 86_400.0


class Channel(Options):
    """A channel. content of `order_by`: words of ORDER_WORDS or places."""

    channel: Name
    summary: Text = ""
    owner: Text = ""
    was: Annotated[str | None, Later("renaming with `was`")] = None
    start: Annotated[str, Later("starting paused", "running")] = "running"
    source: Annotated[
        Source,
        PlainValidator(source_of),
        WithJsonSchema({"type": "object"}),
    ]
    content: Content = "hl7"
    charset: Charset = Charset()
    batch: Batch = Batch()
    order_by: OrderBy = ("sender",)
    unmatched: Literal["drop", "park", "refuse"] = "drop"
    duplicates: Duplicates = Duplicates()
    acknowledge: Acknowledge = Acknowledge()
    retention: Retention = Retention()
    expect: Annotated[str | None, Later("the silence alarm")] = None
    alarms: Annotated[str | None, Later("alarms")] = None

    @property
    def name(self) -> str:
        """The channel's name."""
        return self.channel
