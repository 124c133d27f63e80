"""`channel:` documents (SITE reference, section 3)."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, PlainValidator, WithJsonSchema

from portico.errors import CharsetUnknown
from portico.hl7 import charset
from portico.language.order import Order
from portico.language.place import Place
from portico.spec.alarming import Expect, NounAlarms
from portico.spec.content import Content
from portico.spec.fields import (
    ONE_OR_MANY,
    Duration,
    Name,
    Options,
    Text,
    kind_of,
    wrong,
)
from portico.spec.order import OrderBy
from portico.spec.rules import PlaceField, TemplateField

CHARSET_WORDS = ("refuse", "replace")


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


def _charset_name(name: str) -> str:
    try:
        charset.codec_of((), name)
    except CharsetUnknown as error:
        text, _, hint = str(error).partition("; ")
        raise wrong(
            "config.charset", text, hint or "such as 8859/15 or UNICODE UTF-8"
        ) from None
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
    """When the sender is answered, and how. timeout: seconds.

    reply: `ack`, `result` or a destination. deferred: a destination.
    """

    when: Literal["journaled", "processed", "delivered"] = "journaled"
    mode: Literal["auto", "original", "enhanced", "none"] = "auto"
    timeout: Duration = 30.0
    reply: Name = "ack"
    deferred: Name | None = None
    on_error: Literal["AE", "AR", "close"] = "AE"
    on_refuse: Literal["AE", "AR"] = "AE"
    text: TemplateField | None = None


class Retention(Options):
    """How long the journal keeps. Seconds."""

    bodies: Duration = 30 * 86_400.0
    headers: Duration = 365 * 86_400.0


class Channel(Options):
    """A channel."""

    beneath = dict.fromkeys(("type", "listen", "address", "path", "limit", "tls"), "source")
    channel: Name
    summary: Text = ""
    owner: Text = ""
    was: Name | None = None
    start: Literal["running", "paused"] = "running"
    source: Annotated[
        Source,
        PlainValidator(source_of),
        WithJsonSchema({"type": "object"}),
    ]
    content: Content = Content()
    charset: Charset = Charset()
    batch: Batch = Batch()
    order_by: OrderBy = Order(("sender",))
    unmatched: Literal["drop", "park", "refuse"] = "drop"
    duplicates: Duplicates = Duplicates()
    acknowledge: Acknowledge = Acknowledge()
    retention: Retention = Retention()
    expect: Expect | None = None
    alarms: NounAlarms = NounAlarms()

    @property
    def name(self) -> str:
        """The channel's name."""
        return self.channel
