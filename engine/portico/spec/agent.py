"""`agent:` documents (SITE reference, section 3), and the normal form that is compiled."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from portico.language.content import AUTO, Content
from portico.language.order import Order
from portico.spec.channel import Charset
from portico.spec.document import Document, Location
from portico.spec.fields import (
    ONE_OR_MANY,
    Count,
    Inner,
    Name,
    Options,
    Size,
    Span,
    Text,
    not_yet,
    wrong,
)
from portico.spec.finding import Finding
from portico.spec.models import Budget, ModelField
from portico.spec.order import OrderBy
from portico.spec.retry import RetryPolicy
from portico.spec.rules import GROUP, ConditionField, Spot, StepReader
from portico.spec.secrets import plain
from portico.spec.shape import fit

_LONGEST = 1e8  # seconds that stand for `forever` where JSON knows no infinity


class Limits(Options):
    """What one run may use. time: seconds in the worker; memory: bytes; parts: of a split."""

    time: Span = 30.0
    memory: Size = 256 << 20
    parts: Annotated[Count, Field(ge=1)] = 10_000


class Pool(Options):
    """Worker processes of an agent. weight: its part where agents want more than there are."""

    fewest: Count = 1
    most: Annotated[Count, Field(ge=1)] = 4
    weight: Annotated[Count, Field(ge=1, le=100)] = 1


def _raw(value: Any) -> Any:
    if value in ([], {}, ""):
        raise wrong("config.value", "an agent needs at least one step", "such as - send: lab")
    return value


def _places_only(order: Order) -> Order:
    """An agent's order is by content; the words belong to its channel."""
    for key in order.keys:
        if isinstance(key, str):
            raise not_yet(f"order_by: {key} of an agent")
    return order


class At(str):
    """`file:line` of a step; `spot` is where it stands in its document."""

    __slots__ = ("spot",)
    spot: Location

    @classmethod
    def of(cls, document: Document, spot: Location) -> "At":
        """The place of a spot."""
        at = cls(f"{document.path}:{document.line_of(spot)}")
        at.spot = spot
        return at


class Agent(Options):
    """An agent. `on_error` and `steps` are in the normal form of spec.rules.StepReader.

    content, charset: those of the channels it answers. contents: by channel, where they
    differ, and by `signal:NAME`, where its `emit` says what it is.
    charsets: MSH-18 by destination, of those that it sends to and that have one of their own.
    tools: the schemas of plugins' tools that it calls, by `plugin.tool`. granted: what its
    `llm` steps may use, by step (llm.granted.Frozen).
    """

    agent: Name
    summary: Text = ""
    owner: Text = ""
    was: Name | None = None
    start: Literal["running", "paused"] = "running"
    goal: Text
    on: ConditionField
    steps: Annotated[Any, PlainValidator(_raw), WithJsonSchema({"type": ["array", "object"]})]
    order_by: Annotated[OrderBy, AfterValidator(_places_only)] | None = None
    on_error: Annotated[Any, WithJsonSchema({"type": ["string", "object"]})] = "park"
    limits: Limits = Limits()
    pool: Pool = Pool()
    retry: RetryPolicy = RetryPolicy()
    isolation: Literal["warm", "fresh"] = "warm"
    trust: Literal["site", "none"] = "site"
    model: ModelField | None = None
    budget: Budget | None = None
    capabilities: Annotated[tuple[Name, ...], ONE_OR_MANY] = ()
    content: Inner = Field(AUTO, exclude=True)
    contents: Inner = Field({}, exclude=True)
    charset: Inner = Field(Charset(), exclude=True)
    charsets: Inner = Field({}, exclude=True)
    tools: Inner = Field({}, exclude=True)
    granted: Inner = Field({}, exclude=True)

    @property
    def name(self) -> str:
        """The agent's name."""
        return self.agent

    def plain(self) -> dict[str, Any]:
        """The document that agents.plan compiles: JSON values alone."""
        return {
            "agent": self.agent,
            "goal": self.goal,
            "on": plain(self.on.source),
            "content": self.content.plain(),
            **({"contents": _plain(self.contents)} if self.contents else {}),
            **({"charsets": dict(self.charsets)} if self.charsets else {}),
            **({"tools": self.tools} if self.tools else {}),
            **({"granted": _granted(self.granted)} if self.granted else {}),
            "charset": {"name": self.charset.name, "on_error": self.charset.on_error},
            "order_by": [str(place) for place in self.order_by.keys] if self.order_by else [],
            "beside": [str(place) for place in self.order_by.beside] if self.order_by else [],
            "on_error": plain(self.on_error),
            "limits": {**self.limits.model_dump(), "time": min(self.limits.time, _LONGEST)},
            **({"trust": self.trust} if self.trust != "site" else {}),
            "steps": plain(self.steps),
        }


def _granted(granted: dict[str, Any]) -> dict[str, Any]:
    return {step: frozen.plain() for step, frozen in granted.items()}


def _plain(contents: dict[str, Content]) -> dict[str, Any]:
    return {channel: content.plain() for channel, content in contents.items()}


@dataclass(frozen=True, slots=True)
class ParsedAgent:
    """What an agent's document holds.

    agent: None when anything is wrong. steps: normal forms of all that could be read, those of
    its `on_error` too; their arguments are not looked into: that needs the catalog of verbs.
    """

    agent: Agent | None
    steps: list[dict[str, Any]]
    findings: list[Finding]


def read(document: Document, value: Any) -> ParsedAgent:
    """The agent of a document whose value is `value` (references replaced)."""
    agent, findings = fit(Agent, value, document)

    def complain(spot: Spot, words: str) -> None:
        text, _, hint = words.partition("; ")
        findings.append(document.finding(spot, _CODES.get(spot[-1], "config.step"), text, hint))

    reader = StepReader(lambda spot: At.of(document, spot), complain)
    raw = value if isinstance(value, dict) else {}
    steps = reader.steps(raw["steps"]) if raw.get("steps") else []
    on_error = reader.on_error(raw.get("on_error", "park"))
    inner = on_error[GROUP] if isinstance(on_error, dict) and GROUP in on_error else []
    if agent is not None and not findings:
        done = {"steps": steps, "on_error": on_error}
        return ParsedAgent(agent.model_copy(update=done), steps + inner, [])
    return ParsedAgent(None, steps + inner, findings)


_CODES: dict[str | int, str] = {
    "name": "config.name",
    "when": "config.condition",
    "on_error": "config.on_error",
}
