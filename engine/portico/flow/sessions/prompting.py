"""Prompting: what an `llm` step asks becomes one exchange with a provider, or none.

In this order: which provider, whether the site lets it have such data, whether a budget, the
circuit and the rate let the call leave; then what can tell a patient is replaced, the exchange
is made, and the answer is put back. What left is told to the byte in the call's row.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from typing import Any, Protocol

import msgspec

from portico import ids
from portico.clock import Clock
from portico.events import genai
from portico.events.asking import ModelAnswered, ModelUnanswered, ProviderBack, ProviderDown
from portico.events.emit import Emit
from portico.events.metrics import Metrics
from portico.flow.sessions.asking import Asked
from portico.journal.calls import Called
from portico.llm import asking
from portico.llm.asking import Question
from portico.llm.circuit import Circuit, Pace
from portico.llm.contract import Completion, ModelFailed, Provider, Request, Use
from portico.llm.spending import Limit, Spending, amount, whose
from portico.model.call import Reply
from portico.spec.models import Budget, Chosen, Price, exceeds
from portico.spec.models import Provider as Settings
from portico.units import money_text


class SiteModels(Protocol):
    """What the site says of models."""

    @property
    def providers(self) -> Mapping[str, Settings]:
        """By name."""
        ...

    def of_agent(self, agent: str) -> tuple[Chosen | None, Budget | None]:
        """Its model and budget."""
        ...


@dataclass(frozen=True, slots=True)
class PromptingWorld:
    """What prompting needs. provider: opens the one of that name and those settings, which may
    take seconds the first time. key: of the tokens."""

    site: Callable[[], SiteModels]
    provider: Callable[[str, Settings], Awaitable[Provider]]
    key: Callable[[], bytes]
    clock: Clock
    emit: Emit
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class _Target:
    """Who is asked; empty: nobody can be."""

    name: str = ""
    model: str = ""
    settings: Settings = field(default_factory=Settings)

    @property
    def price(self) -> Price | None:
        """Of the model, where the site says it."""
        return self.settings.prices.get(self.model)


class Prompting:
    """Does the calls of `llm` steps. spending: as the journal knew it at the start."""

    def __init__(self, world: PromptingWorld, spending: Spending) -> None:
        self._world = world
        self.spending = spending
        self._circuits: dict[str, Circuit] = {}
        self._paces: dict[str, Pace] = {}

    async def do(self, asked: Asked) -> Called:
        """One exchange; what goes wrong with it is an answer, too."""
        wanted, began = asking.decode(asked.call.request), self._world.clock.monotonic()
        target = _Target()
        detail: dict[str, Any] = {"prompt": wanted.prompt, "phi": wanted.phi}
        try:
            target = self._chosen(asked.agent, wanted)
            done = await self._exchange(asked, wanted, target, detail)
            reply = Reply(asked.call.digest, asking.outcome(done.text, done.uses))
            sent, received, outcome = done.sent, done.received, "ok"
        except ModelFailed as error:
            reply = Reply(asked.call.digest, b"", error.code, str(error), error.transient)
            sent, received, outcome = error.sent, error.received, error.code
        seconds = self._world.clock.monotonic() - began
        name, model = target.name, target.model
        self._world.metrics.prompted(name, model, asked.agent, outcome, seconds)
        self._tell(asked, target, detail.get("usage", {}), outcome, seconds)
        told = msgspec.json.encode({"model": model, **detail})
        return Called(reply, f"{name}:{model}", int(seconds * 1e6), told, sent, received)

    def _tell(
        self, asked: Asked, target: _Target, usage: Any, outcome: str, seconds: float
    ) -> None:
        who = (asked.agent, asked.call.step, ids.text(asked.run.signal.id))
        whom = (genai.CHAT, target.name, target.settings.type, target.model)
        if outcome != "ok":
            self._world.emit(ModelUnanswered(*whom, *who, outcome, seconds))
            return
        cost = float(usage.get("cost", 0))
        tokens = (usage["input"], usage["output"])
        self._world.emit(ModelAnswered(*whom, *who, *tokens, cost, seconds))

    def _chosen(self, agent: str, wanted: Question) -> _Target:
        """Who is asked. Raises ModelFailed."""
        site = self._world.site()
        own = Chosen(*wanted.model) if wanted.model else None
        chosen = own or site.of_agent(agent)[0] or Chosen.default(site.providers)
        name = chosen.provider
        settings = site.providers.get(name)
        if settings is None:
            raise ModelFailed("llm.no_provider", f"there is no provider {name!r}", False)
        if exceeds(wanted.phi, settings.phi):
            text = f"provider {name} may have phi: {settings.phi}, the step has {wanted.phi}"
            raise ModelFailed("llm.phi", text, False)
        return _Target(name, chosen.model or settings.model, settings)

    async def _exchange(
        self, asked: Asked, wanted: Question, target: _Target, detail: dict[str, Any]
    ) -> Completion:
        """The answer, put back. detail: is told what leaves under which policy, and its cost.
        Raises ModelFailed."""
        world, settings, name = self._world, target.settings, target.name
        limits = self._limits(asked, wanted, target)
        self._admit(limits)
        await self._paced(name, settings, wanted.timeout)
        veil = asking.veil(wanted, world.key, settings.detect)
        leaving = partial(asked.leaves, f"{name}:{target.model}")
        request = replace(asking.request(wanted, target.model, veil), leaving=leaving)
        self._admit(limits)  # others may have left meanwhile
        if not self._circuit(name).passes(world.clock.monotonic()):
            text = f"provider {name} fails; it is tried again soon"
            raise ModelFailed("llm.circuit", text, True)
        detail |= {
            "policy": {"phi": settings.phi, "agreement": settings.agreement},
            "address": settings.address,
            "replaced": len(wanted.identifiers),
            "detected": settings.detect or wanted.detect,
        }
        done = await self._booked(asked, target, request, detail)
        if veil is None:
            return done
        uses = tuple(Use(u.id, u.name, asking.back(veil, u.arguments)) for u in done.uses)
        return Completion(asking.back(veil, done.text), done.sent, done.received, uses=uses)

    async def _booked(
        self, asked: Asked, target: _Target, request: Request, detail: dict[str, Any]
    ) -> Completion:
        """The exchange; its cost, or most likely cost, is booked however it ends."""
        keys = whose(target.name, asked.agent, asked.call.step)
        most = amount(target.price, request.size, request.most_tokens)
        self.spending.reserve(keys, most)
        came = went = 0
        try:
            done = await self._made(target, request)
            came, went = done.input_tokens, done.output_tokens
        except ModelFailed as error:
            came = _estimated(error)
            raise
        except asyncio.CancelledError:  # a person ended it; what has left may be charged for
            came = len(asked.sent) // 4
            raise
        finally:
            used = amount(target.price, came, went)
            self.spending.settle(keys, most, used, self._world.clock.time_ns() / 1e9)
            detail["usage"] = {"input": came, "output": went}
            if target.price is not None:
                detail["usage"]["cost"] = money_text(used.money)
            money = used.money / 1e6
            whom = target.name, target.model, asked.agent
            self._world.metrics.spent(*whom, came, went, money)
        return done

    async def _made(self, target: _Target, request: Request) -> Completion:
        """The exchange, with whom its policy was judged for, whatever a reload has made of that
        name since; the circuit learns from it. Raises ModelFailed."""
        name = target.name
        circuit, clock = self._circuit(name), self._world.clock
        try:
            provider = await self._world.provider(name, target.settings)
            done = await provider.complete(request)
        except ModelFailed as error:
            fault = error
        except BaseException:  # ended, or not journaled: that says nothing of the provider
            circuit.trying = False
            raise
        else:
            self._worked(name)
            return done
        if not fault.transient:
            self._worked(name)  # it answers: the fault is ours
        elif circuit.failed(clock.monotonic()):
            self._world.emit(ProviderDown(name, fault.code, circuit.failures))
        raise fault

    def _worked(self, name: str) -> None:
        if self._circuit(name).worked():
            self._world.emit(ProviderBack(name))

    def _circuit(self, name: str) -> Circuit:
        return self._circuits.setdefault(name, Circuit())

    def _limits(self, asked: Asked, wanted: Question, target: _Target) -> list[Limit]:
        """Every budget that this call is booked on. Raises ModelFailed."""
        found = []
        if target.settings.budget is not None:
            found.append(Limit.of(("provider", target.name), target.settings.budget))
        budget = self._world.site().of_agent(asked.agent)[1]
        if budget is not None:
            found.append(Limit.of(("agent", asked.agent), budget))
        if wanted.budget:
            tokens, per, money = wanted.budget
            span = inf if per is None else per
            found.append(Limit(("step", asked.agent, asked.call.step), span, tokens, money))
        if target.price is None and any(limit.money is not None for limit in found):
            text = f"provider {target.name} has no price for {target.model!r}"
            raise ModelFailed("llm.budget", text, False)
        return found

    def _admit(self, limits: list[Limit]) -> None:
        """Raises ModelFailed: for good when a budget is spent, else until a call is back."""
        reached, soon = self.spending.may(limits, self._world.clock.time_ns() / 1e9)
        if reached is not None:
            raise ModelFailed("llm.budget", f"the budget of {reached} is spent", soon)

    async def _paced(self, name: str, settings: Settings, within: float) -> None:
        """Wait for the provider's rate, no longer than the call may take."""
        if settings.rate is None:
            return
        pace = self._paces.get(name)
        if pace is None or (pace.calls, pace.per) != (settings.rate.calls, settings.rate.per):
            pace = self._paces[name] = Pace(settings.rate.calls, settings.rate.per)
        end = self._world.clock.monotonic() + within
        while wait := pace.wait(now := self._world.clock.monotonic()):
            if now + wait > end:
                raise ModelFailed("llm.rate", f"provider {name} has its rate of calls", True)
            await asyncio.sleep(wait)


def _estimated(error: ModelFailed) -> int:
    """Tokens that an exchange without an answer may have been charged for."""
    refused = error.code.startswith("llm.http_4")
    return 0 if refused else len(error.sent) // 4
