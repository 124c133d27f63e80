"""Prompting: what an `llm` step asks becomes one exchange with a provider, or none.

In this order: which provider, whether the site lets it have such data, whether a budget, the
circuit and the rate let the call leave; then what can tell a patient is replaced, the exchange
is made, and the answer is put back. What left is told to the byte in the call's row.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import msgspec

from portico.clock import Clock
from portico.events.asking import ProviderBack, ProviderDown
from portico.events.emit import Emit
from portico.events.metrics import Metrics
from portico.flow.sessions.asking import Asked
from portico.journal.calls import Called
from portico.llm import asking
from portico.llm.asking import Wanted
from portico.llm.circuit import Circuit, Pace
from portico.llm.contract import Completion, ModelFailed, Provider, Request, Use
from portico.llm.spending import Limit, Spending, whose
from portico.model.call import Reply
from portico.spec.models import Budget, Chosen, exceeds
from portico.spec.models import Provider as Settings


class Site(Protocol):
    """What the site says of models."""

    @property
    def providers(self) -> Mapping[str, Settings]:
        """By name."""
        ...

    def of_agent(self, agent: str) -> tuple[Chosen | None, Budget | None]:
        """Its model and budget."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What prompting needs. provider: opens one, which may take seconds the first time. key: of
    the tokens."""

    site: Callable[[], Site]
    provider: Callable[[str], Awaitable[Provider]]
    key: Callable[[], bytes]
    clock: Clock
    emit: Emit
    metrics: Metrics


class Prompting:
    """Does the calls of `llm` steps. spending: as the journal knew it at the start."""

    def __init__(self, world: World, spending: Spending) -> None:
        self._world = world
        self.spending = spending
        self._circuits: dict[str, Circuit] = {}
        self._paces: dict[str, Pace] = {}

    async def do(self, asked: Asked) -> Called:
        """One exchange; what goes wrong with it is an answer, too."""
        wanted, began = asking.decode(asked.call.request), self._world.clock.monotonic()
        name, model = "", ""
        try:
            name, model, settings = self._chosen(asked.agent, wanted)
            done, detail = await self._exchange(asked, wanted, (name, model), settings)
            reply = Reply(asked.call.digest, _said(done))
            sent, received, outcome = done.sent, done.received, "ok"
        except ModelFailed as error:
            reply = Reply(asked.call.digest, b"", error.code, str(error), error.transient)
            sent, received, outcome = error.sent, error.received, error.code
            detail = {"model": model, "prompt": wanted.prompt, "phi": wanted.phi}
        seconds = self._world.clock.monotonic() - began
        self._world.metrics.prompted(name, model, asked.agent, outcome, seconds)
        micros = int(seconds * 1e6)
        target = f"{name}:{model}"
        told = msgspec.json.encode(detail)
        return Called(reply, target, micros, told, sent, received)

    def _chosen(self, agent: str, wanted: Wanted) -> tuple[str, str, Settings]:
        """Provider, model and settings. Raises ModelFailed."""
        site = self._world.site()
        own = Chosen(*wanted.model) if wanted.model else None
        chosen = own or site.of_agent(agent)[0] or default(site.providers)
        name = chosen.provider
        settings = site.providers.get(name)
        if settings is None:
            raise ModelFailed("llm.no_provider", f"there is no provider {name!r}", False)
        if exceeds(wanted.phi, settings.phi):
            text = f"provider {name} may have phi: {settings.phi}, the step has {wanted.phi}"
            raise ModelFailed("llm.phi", text, False)
        return name, chosen.model or settings.model, settings

    async def _exchange(
        self, asked: Asked, wanted: Wanted, target: tuple[str, str], settings: Settings
    ) -> tuple[Completion, dict[str, Any]]:
        name, model = target
        world, step = self._world, asked.call.step
        limits = self._limits(asked, wanted, name, settings)
        self._admit(limits)
        await self._paced(name, settings, wanted.timeout)
        veil = asking.veil(wanted, world.key)
        leaving = partial(asked.leaves, f"{name}:{model}")
        request = replace(asking.request(wanted, model, veil), leaving=leaving)
        if not self._circuit(name).passes(world.clock.monotonic()):
            text = f"provider {name} fails; it is tried again soon"
            raise ModelFailed("llm.circuit", text, True)
        self._admit(limits)  # others may have left meanwhile
        keys = whose(name, asked.agent, step)
        reserved = len(request.prompt) + len(request.system) + request.most_tokens
        self.spending.reserve(keys, reserved)
        used = 0
        try:
            done = await self._made(name, request)
            used = done.input_tokens + done.output_tokens
        except ModelFailed as error:
            used = len(error.sent) // 4 if error.sent else 0  # perhaps paid for: an estimate
            raise
        finally:
            self.spending.settle(keys, reserved, used, world.clock.time_ns() / 1e9)
        world.metrics.tokens(name, model, asked.agent, done.input_tokens, done.output_tokens)
        detail = {
            "model": model,
            "prompt": wanted.prompt,
            "phi": wanted.phi,
            "policy": {"phi": settings.phi, "agreement": settings.agreement},
            "address": settings.address,
            "usage": {"input": done.input_tokens, "output": done.output_tokens},
            "replaced": len(wanted.identifiers),
        }
        if veil is not None:
            uses = tuple(Use(u.id, u.name, veil.back(u.arguments)) for u in done.uses)
            done = Completion(veil.back(done.text), done.sent, done.received, uses=uses)
        return done, detail

    async def _made(self, name: str, request: Request) -> Completion:
        """The exchange; the circuit learns from it. Raises ModelFailed."""
        circuit, clock = self._circuit(name), self._world.clock
        try:
            provider = await self._world.provider(name)
            async with asyncio.timeout(request.timeout):
                done = await provider.complete(request)
        except TimeoutError:
            fault = ModelFailed("llm.timeout", "no answer in time", True)
        except ModelFailed as error:
            fault = error
        except asyncio.CancelledError:
            circuit.trying = False
            raise
        else:
            if circuit.worked():
                self._world.emit(ProviderBack(name))
            return done
        if not fault.transient:
            circuit.worked()  # it answers: the fault is ours
        elif circuit.failed(clock.monotonic()):
            self._world.emit(ProviderDown(name, fault.code, circuit.failures))
        raise fault

    def _circuit(self, name: str) -> Circuit:
        return self._circuits.setdefault(name, Circuit())

    def _limits(
        self, asked: Asked, wanted: Wanted, name: str, settings: Settings
    ) -> list[Limit]:
        """Every budget that this call is booked on."""
        found = []
        if settings.budget is not None:
            found.append(Limit(("provider", name), settings.budget.tokens, settings.budget.per))
        budget = self._world.site().of_agent(asked.agent)[1]
        if budget is not None:
            found.append(Limit(("agent", asked.agent), budget.tokens, budget.per))
        if wanted.budget:
            tokens, per = wanted.budget
            found.append(Limit(("step", asked.agent, asked.call.step), int(tokens), per))
        return found

    def _admit(self, limits: list[Limit]) -> None:
        """Raises ModelFailed: for good when a budget is spent, else until a call is back."""
        reached, soon = self.spending.may(limits, self._world.clock.time_ns() / 1e9)
        if reached is not None:
            whom = " ".join(reached.key)
            text = f"the budget of {whom} is spent: {reached.tokens} tokens"
            raise ModelFailed("llm.budget", text, soon)

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


def _said(done: Completion) -> bytes:
    """The outcome of a call: the answer, and the tools that the model wants."""
    return msgspec.json.encode({"text": done.text, "uses": done.uses})


def default(providers: Mapping[str, Settings]) -> Chosen:
    """The provider of a step that names none: the only one, or the one called `default`."""
    return Chosen(next(iter(providers)) if len(providers) == 1 else "default")
