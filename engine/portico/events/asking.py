"""What an operator sees of providers of language models, and of answers that wait."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from portico.events import genai
from portico.events.emit import Event


@dataclass(frozen=True, slots=True)
class ModelAnswered(Event):
    """An exchange with a model is over. kind: the provider's type; cost: by its price."""

    level: ClassVar[str] = "debug"
    labels: ClassVar[tuple[str, ...]] = ("agent",)
    names: ClassVar[Mapping[str, str]] = genai.NAMES

    operation: str
    provider: str
    kind: str
    model: str
    agent: str
    step: str
    signal: str
    input_tokens: int
    output_tokens: int
    cost: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ModelUnanswered(Event):
    """A model was not asked, or gave no answer. code: such as `llm.timeout`."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("agent", "code")
    names: ClassVar[Mapping[str, str]] = genai.NAMES

    operation: str
    provider: str
    kind: str
    model: str
    agent: str
    step: str
    signal: str
    code: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ProviderDown(Event):
    """A provider failed that often in a row; its calls fail at once until a trial works.

    code: of the last failure, such as `llm.http_429`.
    """

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("code",)

    provider: str
    code: str
    failures: int


@dataclass(frozen=True, slots=True)
class ProviderBack(Event):
    """A provider that failed has answered a trial: its calls leave again."""

    provider: str


@dataclass(frozen=True, slots=True)
class ReviewAsked(Event):
    """An answer waits for a person: `portico review`. signal: its id."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("agent",)

    agent: str
    step: str
    signal: str


@dataclass(frozen=True, slots=True)
class ReviewDone(Event):
    """A person decided. verdict: `approved edited rejected`."""

    labels: ClassVar[tuple[str, ...]] = ("agent",)

    agent: str
    step: str
    signal: str
    verdict: str
    by: str


@dataclass(frozen=True, slots=True)
class ToolRefused(Event):
    """A model wanted a tool that it does not have, must not use, or with arguments that do not
    fit; nothing was done. code: `tool.unknown tool.never tool.arguments`."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("agent", "code")

    agent: str
    step: str
    code: str


@dataclass(frozen=True, slots=True)
class ToolUnclear(Event):
    """Nobody knows whether a call of a tool was done, and it is not made again: a person says
    so, of a model's tool in `portico review`, of a step's by `portico release` or `discard`."""

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("agent",)

    agent: str
    step: str
    tool: str
    signal: str
