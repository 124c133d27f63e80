"""What an operator wants to hear of: `alarms`, `expect`, `hours`, and where it is told."""

import re
from datetime import time
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, model_validator

from portico.spec.fields import (
    ONE_OR_MANY,
    Address,
    Count,
    Duration,
    HostPort,
    Name,
    Options,
    Shown,
    Size,
    Switch,
    Text,
    kind_of,
    wrong,
)
from portico.spec.secrets import SecretField

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")


def _time(value: Any) -> time:
    if isinstance(value, time):
        return value
    if isinstance(value, str) and (match := _TIME.fullmatch(value)):
        return time(int(match[1]), int(match[2]))
    found = repr(value) if isinstance(value, str) else kind_of(value)
    raise wrong("config.time", f"{found} is not a time of day", "such as 07:00")


def _mail_address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise wrong(
            "config.value", f"{text!r} is not a mail address", "such as it@hospital.org"
        )
    return text


TimeOfDay = Annotated[
    time,
    PlainValidator(_time),
    Shown(lambda value: f"{value:%H:%M}"),
    WithJsonSchema({"type": "string", "pattern": _TIME.pattern, "examples": ["07:00"]}),
]
MailAddress = Annotated[Text, AfterValidator(_mail_address)]


class Hours(Options):
    """A rhythm of the week. `to` at or before `from`: until that time of the next day."""

    days: Annotated[tuple[Literal[*DAYS], ...], ONE_OR_MANY] = DAYS  # type: ignore[valid-type]
    from_: TimeOfDay = Field(alias="from")
    to: TimeOfDay


class Expect(Options):
    """A message at least that often, seconds. during: a name of `hours`; empty: always."""

    every: Annotated[Duration, Field(gt=0)]
    during: Annotated[str, Name] = ""


class NounAlarms(Options):
    """What a channel or destination raises an alarm about. waiting: seconds.

    to: names of the site's `alarms.to`; None: all of them.
    """

    waiting: Duration = 300.0
    parked: Annotated[Count, Field(ge=1)] = 1
    to: Annotated[tuple[Name, ...] | None, ONE_OR_MANY] = None


class Mail(Options):
    """A mail server and whom to write to. trust: a file of CA certificates; None: the
    system's.
    """

    server: Address
    from_: MailAddress = Field(alias="from")
    to: Annotated[tuple[MailAddress, ...], ONE_OR_MANY]
    user: Text = ""
    password: SecretField | None = None
    starttls: Switch = True
    trust: Text = ""

    @model_validator(mode="after")
    def _private(self) -> Self:
        if not self.starttls and self.server.host not in LOOPBACK:
            text = f"mail to {self.server} would travel in the clear"
            raise wrong("config.value", text, "leave `starttls: no` out")
        return self


class Sink(Options):
    """One place to tell alarms to: exactly one of the two."""

    webhook: SecretField | None = None
    mail: Mail | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.webhook is None) == (self.mail is None):
            raise wrong("config.value", "expected one of webhook, mail")
        return self


class SiteAlarms(Options):
    """certificates: how long before one expires, seconds. to: sinks by name."""

    certificates: Duration = 30 * 86_400.0
    to: dict[Name, Sink] = Field(default_factory=dict)


class Disk(Options):
    """Free bytes where the data folder lies: sources close below `close`, open above
    `reopen`.
    """

    close: Size = 2 << 30
    reopen: Size = 4 << 30

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.reopen < self.close:
            raise wrong("config.value", "`reopen` is below `close`", "have it above")
        return self


class QueueLimit(Options):
    """How many may be queued before the channels that send here stop reading."""

    limit: Annotated[Count, Field(ge=1)] | None = None


def loopback(where: HostPort) -> bool:
    """Whether only this machine can reach it."""
    return where.host in LOOPBACK or where.host.startswith("127.")
