"""The language models of a running engine: opened with the first call for each."""

import asyncio
import importlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portico.check.site import Site
from portico.clock import Clock
from portico.errors import JournalError, RequestError
from portico.events.emit import Emit
from portico.events.metrics import Metrics
from portico.flow.sessions.asking import Asked, Doer
from portico.flow.sessions.conversing import Conversing, ConversingWorld
from portico.flow.sessions.history import History
from portico.flow.sessions.prompting import Prompting, PromptingWorld
from portico.flow.sessions.reviewing import Reviewing, WaitingReview
from portico.flow.sessions.tooling import Tooling, ToolingWorld
from portico.ids import SignalId
from portico.journal.calls import Called, Calls, Egress, Spent
from portico.journal.folder import write_durably
from portico.journal.search import Search
from portico.llm.beside import Beside
from portico.llm.contract import Provider, Surroundings, ToolFailed
from portico.llm.granted import Frozen
from portico.llm.spending import Amount, Spending, amount, whose
from portico.llm.table import provider_type
from portico.model.call import MEANWHILE
from portico.spec.models import Budget, Chosen
from portico.spec.models import Provider as Settings
from portico.spec.rules import walk

KEY = "llm.key"
_RULES = "portico.steps.jsonrules"  # loaded with the first answer that a person changes
_SETTLE = 1.0  # seconds for what was sent to plugins, once these have ended
_AGAIN = 1.0  # seconds until the journal is asked again what was spent


@dataclass(frozen=True, slots=True)
class _Said:
    """What the site says of models, as prompting asks."""

    site: Site

    @property
    def providers(self) -> Mapping[str, Settings]:
        """By name."""
        return self.site.config.providers

    def of_agent(self, agent: str) -> tuple[Chosen | None, Budget | None]:
        """Its model and budget."""
        found = self.site.agents.get(agent)
        return (found.model, found.budget) if found else (None, None)


class Modelling:
    """What the engine has of models. environ: its environment."""

    def __init__(
        self,
        site: Site,
        environ: Mapping[str, str],
        calls: Calls,
        clock: Clock,
        emit: Emit,
        metrics: Metrics,
        plugin: Doer,
    ) -> None:
        self._site = site
        self._calls = calls
        self._clock = clock
        self._around = Surroundings(
            clock, site.root, environ, asyncio.sleep, Beside("providers")
        )
        self._open: dict[str, tuple[Settings, Provider]] = {}
        self._key = b""
        self._loading: asyncio.Task[None] | None = None
        self.reviewing = Reviewing(calls, clock, emit)
        world = PromptingWorld(
            lambda: _Said(self._site), self._provider, self._token_key, clock, emit, metrics
        )
        self._prompting = Prompting(world, Spending())
        self.searcher: Callable[[], Search] | None = None
        tools = ToolingWorld(plugin, self.reviewing.do, clock, emit, metrics)
        self._tooling = Tooling(tools)
        talking = ConversingWorld(
            self._granted,
            self.do,
            self._tooling,
            History(self._search, clock),
            clock,
        )
        self.conversing = Conversing(talking)

    @property
    def doers(self) -> dict[str, Doer]:
        """By verb."""
        review = self.reviewing.do
        talk = self.conversing.do
        return {"llm": self.do, "converse": talk, "review": review, MEANWHILE: review}

    def follow(self, site: Site) -> None:
        """Decide by this site from now on."""
        self._site = site
        spans = [self._prompting.spending.longest]
        spans += [one.budget.per for one in site.config.providers.values() if one.budget]
        spans += [one.budget.per for one in site.agents.values() if one.budget]
        spans += [per for one in site.agents.values() for per in _spans(one.steps)]
        if max(spans) > self._prompting.spending.longest:
            self._prompting.spending.longest = max(spans)
            if self._loading is not None and self._loading.done():
                self._loading = None  # what it must know now was not read, or is forgotten

    async def do(self, asked: Asked) -> Called:
        """A call of a step; one waits until what was spent is known, the first, and the first
        after a reload that looks back further."""
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._load())
        await asyncio.shield(self._loading)
        return await self._prompting.do(asked)

    @property
    def waiting(self) -> Mapping[str, WaitingReview]:
        """Answers that wait for a person (api.models)."""
        return self.reviewing.waiting

    async def decide(self, name: str, verdict: str, who: str, answer: Any = None) -> None:
        """Take a person's decision (api.models)."""
        one = self.reviewing.waiting.get(name)
        if one is not None and verdict == "edited":
            await asyncio.to_thread(self._fits, one, answer)
        await self.reviewing.decide(name, verdict, who, answer)

    async def egress(self, signal: SignalId) -> list[Egress]:
        """Every call of a Signal (api.models)."""
        return await self._calls.egress(signal)

    async def stop(self) -> None:
        """Close every provider."""
        if self._loading is not None:
            self._loading.cancel()
        await self._tooling.settle(_SETTLE)
        for _, provider in self._open.values():
            await provider.close()
        await self._around.beside.close(_SETTLE)

    def _fits(self, one: WaitingReview, answer: Any) -> None:
        """Raises RequestError where an answer breaks the step's schema, as the site has it."""
        agent = self._site.agents.get(one.agent)
        for step in walk(agent.steps) if agent else ():
            if (step["verb"], step["name"]) == ("llm", one.call.step) and one.of_step:
                rules = importlib.import_module(_RULES).JsonRules
                schema = (self._site.root / step["args"]["output"]).read_bytes()
                for broken in rules(schema).broken(answer):
                    raise RequestError(f"{broken.text}; the model's answer still waits")

    def _granted(self, agent: str, step: str) -> Frozen:
        """What a step's model may use."""
        found = self._site.agents.get(agent)
        frozen: Frozen = found.granted.get(step, Frozen()) if found else Frozen()
        return frozen

    def _search(self) -> Search:
        if self.searcher is None:
            raise ToolFailed("tool.failed", "the journal is not open yet")
        return self.searcher()

    async def _load(self) -> None:
        """What was spent within the longest span of a budget, in an engine before this, too."""
        spending, longest = self._prompting.spending, 0.0
        while longest != spending.longest:  # a reload may come meanwhile
            longest = spending.longest
            try:
                rows = await self._calls.spent(max(0.0, self._clock.time_ns() / 1e9 - longest))
            except JournalError:
                longest = 0.0
                await asyncio.sleep(_AGAIN)
        spending.load(map(self._booked, rows))

    def _booked(self, spent: Spent) -> tuple[float, tuple[tuple[str, ...], ...], Amount]:
        """As an account has it; what names no price has today's."""
        provider, _, model = spent.target.partition(":")
        settings = self._site.config.providers.get(provider)
        price = settings.prices.get(model) if settings else None
        cost = amount(price, spent.input, spent.output)
        if spent.money is not None:
            cost = cost._replace(money=spent.money)
        return spent.at, whose(provider, spent.agent, spent.step), cost

    async def _provider(self, name: str, settings: Settings) -> Provider:
        """Open. The libraries of some take seconds to load: in a thread."""
        before = self._open.get(name)
        if before is not None and before[0] == settings:
            return before[1]
        kind = await asyncio.to_thread(provider_type, settings.type)
        made = kind.build(settings, self._around)
        self._open[name] = settings, made
        return made

    def _token_key(self) -> bytes:
        """The key of tokens: of this data folder, made with the first use."""
        if not self._key:
            path = self._site.root / self._site.config.data / KEY
            self._key = key_of(path)
        return self._key


def _spans(steps: Sequence[Mapping[str, Any]]) -> Iterator[float]:
    """Seconds of the budgets of `llm` steps."""
    for step in walk(steps):
        args = step["args"]
        if step["verb"] == "llm" and isinstance(args, dict) and args.get("budget"):
            yield Budget.model_validate(args["budget"]).per


def key_of(path: Path) -> bytes:
    """The 32 bytes of a key file that only its owner reads; made where there is none."""
    if not path.exists():
        write_durably(path, secrets.token_hex(32))
    return bytes.fromhex(path.read_text("ascii").strip())
