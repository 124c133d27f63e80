"""What a provider of language models must do.

A provider makes one exchange: a prompt and a JSON Schema out, a JSON value in, or calls of
tools. It decides nothing about patients, budgets or retries, and keeps nothing between two
calls. A conversation is made of such exchanges (flow/sessions/conversing.py).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from portico.clock import Clock
from portico.errors import PorticoError
from portico.llm.beside import Beside
from portico.spec.models import Provider as Settings

MOST_TOKENS = 4096  # of one answer


class Tool(Struct, frozen=True):
    """What a model may call. schema: JSON Schema of its arguments."""

    name: str
    summary: str
    schema: dict[str, Any]


class Use(Struct, frozen=True):
    """A call of a tool that a model wants. arguments: JSON, or what the model took for it."""

    id: str
    name: str
    arguments: str


class Round(Struct, frozen=True):
    """An exchange that is over, and what the model was told: of each use what it gave, or
    what was wrong with the answer `text`."""

    text: str
    uses: tuple[Use, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One exchange. schema: of the answer. rounds: those before it. tools: what the model may
    call instead. timeout: seconds until the whole answer is there. leaving: awaited with the
    exact body before it leaves."""

    system: str
    prompt: str
    schema: Mapping[str, Any]
    rounds: tuple[Round, ...] = ()
    tools: tuple[Tool, ...] = ()
    model: str = ""
    timeout: float = 60.0
    most_tokens: int = MOST_TOKENS
    leaving: Callable[[bytes], Awaitable[None]] | None = None

    @property
    def size(self) -> int:
        """Bytes of all that is said: no fewer than its tokens."""
        said = (self.system, self.prompt, self.schema, self.rounds, self.tools)
        return len(msgspec.json.encode(said))


@dataclass(frozen=True, slots=True)
class Completion:
    """What came of it. text: the answer as the model wrote it, JSON or not; uses: the calls
    that it wants instead.

    sent, received: the exact bodies that left and came back. input_tokens, output_tokens: as
    the provider counts them.
    """

    text: str
    sent: bytes
    received: bytes
    input_tokens: int = 0
    output_tokens: int = 0
    uses: tuple[Use, ...] = ()


class ModelFailed(PorticoError):
    """A provider of language models gave no answer. transient: asking again may work. sent,
    received: the bodies, as far as they got; the text holds no word of either.
    """

    code = "llm.failed"

    def __init__(
        self, code: str, text: str, transient: bool, sent: bytes = b"", received: bytes = b""
    ) -> None:
        super().__init__(text)
        self.code = code
        self.transient = transient
        self.sent = sent
        self.received = received


class ToolFailed(PorticoError):
    """A model's call of a tool had no effect; the model is told the text, which holds no word
    of a message."""

    code = "tool.failed"

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Provider(Protocol):
    """One provider of the site."""

    async def complete(self, request: Request) -> Completion:
        """The answer, no later than the request's timeout. Raises ModelFailed, and what
        `leaving` raises."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a provider may use. sleep: seconds. beside: for exchanges that cost a loop much."""

    clock: Clock
    root: Path
    environ: Mapping[str, str]
    sleep: Callable[[float], Awaitable[None]]
    beside: Beside


@dataclass(frozen=True, slots=True)
class ProviderType:
    """One `type` of `providers`."""

    name: str
    summary: str
    build: Callable[[Settings, Surroundings], Provider]
