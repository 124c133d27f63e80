"""`openai` and `anthropic`: providers over HTTP, through pydantic-ai.

`openai` is every server that speaks OpenAI's Chat Completions (OpenAI, Together, Azure, vLLM,
Ollama), by `address`. The answer is asked for as the call of a tool whose parameters are the
schema; a model that writes text instead is taken at its word. The body of the request is
kept as it leaves the client and the body of the answer as it comes in. Nothing is asked twice
here: the engine's own retries and circuit are above. Imported where such a provider is used.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from typing import Any

import httpx2
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from portico.errors import SecretMissing
from portico.llm.beside import Back, Beside
from portico.llm.contract import (
    Completion,
    ModelFailed,
    Provider,
    ProviderType,
    Request,
    Round,
    Surroundings,
    Use,
)
from portico.spec.models import Provider as Settings

ANSWER = "answer"  # the tool that is called with the answer
_CONNECT = 10.0
_MOST_BYTES = 8 << 20  # of an answer
_MOST_COUNTED = 1_000_000_000  # tokens that one exchange is believed to have cost
_OF_THE_WIRE = (b"content-length", b"transfer-encoding", b"content-encoding")


class _Wire(httpx2.AsyncBaseTransport):
    """Keeps the bodies of one exchange. leaving: awaited with the one before it leaves."""

    def __init__(
        self, trust: ssl.SSLContext, leaving: Callable[[bytes], Awaitable[None]]
    ) -> None:
        self._leaving = leaving
        self._inner = httpx2.AsyncHTTPTransport(verify=trust, retries=0)
        self.sent = b""
        self.received = b""
        self.status = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it; the whole answer is read here."""
        request.headers["accept-encoding"] = "identity"
        self.sent = await request.aread()
        await self._leaving(self.sent)
        response = await self._inner.handle_async_request(request)
        self.status = response.status_code
        parts, size = [], 0
        try:
            async for chunk in response.aiter_bytes():  # unpacked, so that the bound holds
                parts.append(chunk)
                size += len(chunk)
                if size > _MOST_BYTES:
                    raise ModelFailed(
                        "llm.too_large", "the answer is too large", False, self.sent
                    )
        finally:
            self.received = b"".join(parts)
            await response.aclose()
        headers = [
            (name, value)
            for name, value in response.headers.raw
            if name.lower() not in _OF_THE_WIRE
        ]
        return httpx2.Response(
            response.status_code, headers=headers, content=self.received, request=request
        )

    async def aclose(self) -> None:
        """Close the connection."""
        await self._inner.aclose()


@cache
def _trust() -> ssl.SSLContext:
    """Whose certificates a provider may show."""
    return httpx2.create_ssl_context()


Make = Callable[[httpx2.AsyncClient, str], Model]


class Remote:
    """One provider. make: the model of a name, over that client. beside: where its exchanges
    are made, each of which costs a loop more than 2 ms."""

    def __init__(self, make: Make, beside: Beside) -> None:
        self._make, self._beside = make, beside

    async def complete(self, request: Request) -> Completion:
        """One exchange on a connection of its own, so that its bytes are told apart."""
        return await self._beside.do(partial(self._exchange, request))

    async def _exchange(self, request: Request, back: Back) -> Completion:
        limit = asyncio.timeout(None)

        async def leaving(sent: bytes) -> None:
            if request.leaving is not None:
                await back(partial(request.leaving, sent))
            # A journal that takes its time does not take it from the provider.
            limit.reschedule(asyncio.get_running_loop().time() + request.timeout)

        wire = _Wire(_trust(), leaving)
        timeout = httpx2.Timeout(request.timeout, connect=min(_CONNECT, request.timeout))
        client = httpx2.AsyncClient(transport=wire, timeout=timeout, follow_redirects=False)
        settings = ModelSettings(
            max_tokens=request.most_tokens, temperature=0.0, timeout=request.timeout
        )
        try:
            model = self._make(client, request.model)
            async with limit:
                said = await model.request(_messages(request), settings, _asking(request))
            uses = _uses(said)
            text = "" if uses else _text(said)
        except (ModelFailed, SecretMissing):
            raise
        except ModelHTTPError as error:
            raise _refused(error.status_code, wire) from None
        except Exception as error:  # noqa: BLE001  the fence of the libraries: answers of any shape
            raise _broken(error, wire) from None
        finally:
            await client.aclose()
        return Completion(text, wire.sent, wire.received, *_tokens(said, wire), uses)

    async def close(self) -> None:
        """Nothing stays open."""


def _messages(request: Request) -> list[ModelMessage]:
    messages: list[ModelMessage] = [
        ModelRequest(parts=[SystemPromptPart(request.system), UserPromptPart(request.prompt)])
    ]
    for one in request.rounds:
        messages += _round(one)
    return messages


def _round(one: Round) -> list[ModelMessage]:
    """What the model said, and what it was told."""
    if not one.uses:
        [wrong] = one.told
        return [
            ModelResponse(parts=[TextPart(one.text)]),
            ModelRequest(parts=[UserPromptPart(wrong)]),
        ]
    called = [ToolCallPart(use.name, use.arguments or "{}", use.id) for use in one.uses]
    pairs = zip(one.uses, one.told, strict=True)
    gave = [ToolReturnPart(use.name, told, use.id) for use, told in pairs]
    return [ModelResponse(parts=called), ModelRequest(parts=gave)]


def _asking(request: Request) -> ModelRequestParameters:
    answer = _tool(ANSWER, "Give the answer.", request.schema)
    return ModelRequestParameters(
        function_tools=[_tool(one.name, one.summary, one.schema) for one in request.tools],
        output_mode="tool",
        output_tools=[answer],
        allow_text_output=False,
    )


def _tool(name: str, summary: str, schema: Mapping[str, Any]) -> ToolDefinition:
    return ToolDefinition(
        name=name, description=summary, parameters_json_schema=dict(schema), strict=False
    )


def _tokens(said: ModelResponse, wire: _Wire) -> tuple[int, int]:
    """Input and output as the provider counts them; where it does not, a quarter of bytes."""
    usage = said.usage
    if not (usage.input_tokens or usage.output_tokens):
        return len(wire.sent) // 4, len(wire.received) // 4
    came, went = usage.input_tokens or 0, usage.output_tokens or 0
    return min(max(came, 0), _MOST_COUNTED), min(max(went, 0), _MOST_COUNTED)


def _uses(said: ModelResponse) -> tuple[Use, ...]:
    """The calls of tools that the model wants; an answer beside them came too early."""
    return tuple(
        Use(part.tool_call_id, part.tool_name, part.args_as_json_str())
        for part in said.parts
        if isinstance(part, ToolCallPart) and part.tool_name != ANSWER
    )


def _text(said: ModelResponse) -> str:
    for part in said.parts:
        if isinstance(part, ToolCallPart) and part.tool_name == ANSWER:
            return part.args_as_json_str()
    texts = [part.content for part in said.parts if isinstance(part, TextPart)]
    return "".join(texts).strip().removeprefix("```json").removesuffix("```").strip()


def _refused(status: int, wire: _Wire) -> ModelFailed:
    transient = status in (408, 409, 425, 429, 529) or status >= 500
    text = f"the provider answered HTTP {status}"
    return ModelFailed(f"llm.http_{status}", text, transient, wire.sent, wire.received)


def _broken(error: Exception, wire: _Wire) -> ModelFailed:
    """Of what stands below an error of the library: too slow, no connection, or no answer."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ModelFailed):
            return cause
        if isinstance(cause, TimeoutError | httpx2.TimeoutException):
            return ModelFailed(
                "llm.timeout", "no answer in time", True, wire.sent, wire.received
            )
        if isinstance(cause, httpx2.TransportError | OSError):
            text = "the provider cannot be reached, or the connection was lost"
            return ModelFailed("llm.unreachable", text, True, wire.sent, wire.received)
        cause = cause.__cause__ or cause.__context__
    if wire.status >= 400:
        return _refused(wire.status, wire)
    text = f"the provider's answer cannot be read ({type(error).__name__})"
    return ModelFailed("llm.garbage", text, True, wire.sent, wire.received)


def _key(settings: Settings, around: Surroundings) -> str:
    """As it is now: who has changed it need not end the engine. Raises SecretMissing."""
    return settings.key.reveal(around.root, around.environ) if settings.key else "none"


def _openai(settings: Settings, around: Surroundings) -> Provider:
    def make(client: httpx2.AsyncClient, model: str) -> Model:
        api = AsyncOpenAI(
            api_key=_key(settings, around),
            base_url=settings.address or "https://api.openai.com/v1",
            http_client=_any(client),
            max_retries=0,
        )
        return OpenAIChatModel(model, provider=OpenAIProvider(openai_client=api))

    return Remote(make, around.beside)


def _anthropic(settings: Settings, around: Surroundings) -> Provider:
    def make(client: httpx2.AsyncClient, model: str) -> Model:
        api = AsyncAnthropic(
            api_key=_key(settings, around),
            base_url=settings.address or "https://api.anthropic.com",
            http_client=_any(client),
            max_retries=0,
        )
        return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=api))

    return Remote(make, around.beside)


def _any(client: httpx2.AsyncClient) -> Any:
    return client


OPENAI = ProviderType("openai", "A server that speaks OpenAI's Chat Completions", _openai)
ANTHROPIC = ProviderType("anthropic", "Anthropic's Messages", _anthropic)
