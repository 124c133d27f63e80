"""`destination:` documents: the keys common to all types (SITE reference, section 3)."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from portico.errors import CharsetUnknown
from portico.hl7 import transcode
from portico.spec.alarming import Expect, NounAlarms, QueueLimit
from portico.spec.fields import (
    Count,
    Duration,
    Inner,
    Name,
    Options,
    Span,
    Text,
    count,
    kind_of,
    wrong,
)
from portico.spec.retry import RetryPolicy

_CODE = re.compile(r"[A-Za-z0-9_]{1,40}\*?|\*")
AS_IT_IS = "MSH-18"  # `charset` of a destination that takes a message in its own set
_RULE_HINT = "one of done, retry, {retry: 3}, reject"


def _rule(value: Any) -> str | int:
    """`done`, `retry`, `reject`, or the most retries of `{retry: N}`."""
    if isinstance(value, int) or value in ("done", "retry", "reject"):
        return value  # type: ignore[no-any-return]
    if isinstance(value, dict) and list(value) == ["retry"] and isinstance(value["retry"], str):
        try:
            return count(value["retry"])
        except ValueError as error:
            raise wrong("config.count", str(error)) from None
    found = repr(value) if isinstance(value, str) else kind_of(value)
    raise wrong("config.choice", f"{found} is not a choice here", _RULE_HINT)


def _charset(value: str) -> str:
    try:
        return value if value == AS_IT_IS else transcode.known(value) and value
    except CharsetUnknown as error:
        text, _, hint = str(error).partition("; ")
        raise wrong("config.charset", text, hint or "such as UNICODE UTF-8, 8859/1") from None


def _code(value: str) -> str:
    if not _CODE.fullmatch(value):
        raise wrong("config.value", f"{value!r} is not an answer code", "such as AE, 404, 5*")
    return value


Rule = Annotated[
    str | int,
    PlainValidator(_rule),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["done", "retry", "reject"]},
                {
                    "type": "object",
                    "properties": {"retry": {"type": ["integer", "string"]}},
                    "required": ["retry"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
# By answer code (`AE`, `2*`): `done`, `retry`, `reject`, or the most retries.
Answers = dict[Annotated[str, AfterValidator(_code)], Rule]


class Destination(Options):
    """A destination. options: the type's own keys, as its model; no key of the file.

    answers: only what the file says; policy.retry knows the rest. Durations in seconds.
    """

    destination: Name
    type: Name
    summary: Text = ""
    owner: Text = ""
    was: Name | None = None
    start: Literal["running", "paused"] = "running"
    timeout: Span = 30.0
    connect: Span = 10.0
    idle: Duration = 3600.0
    connections: Annotated[Count, Field(ge=1)] = 1
    order: Literal["key", "all", "none"] = "key"
    charset: Annotated[Text, AfterValidator(_charset)] = AS_IT_IS
    retry: RetryPolicy = RetryPolicy()
    answers: Answers = Field(default_factory=dict)
    on_reject: Literal["park", "stop"] = "park"
    queue: QueueLimit = QueueLimit()
    expect: Expect | None = None
    alarms: NounAlarms = NounAlarms()
    options: Inner = Field(None, exclude=True)

    @property
    def name(self) -> str:
        """The destination's name."""
        return self.destination
