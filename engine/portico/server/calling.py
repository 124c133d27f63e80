"""Callers on the parts of a running engine (api.calling): Signals for agents, their results."""

import asyncio
from collections.abc import Awaitable, Callable

from portico import ids
from portico.api.calling import SignalOutcome
from portico.api.shapes import Reloaded
from portico.errors import NounUnknown, RequestError
from portico.flow.arrivals.calling import Called
from portico.flow.runs import Ending
from portico.model.signal import SignalKind
from portico.model.states import SignalState
from portico.server.parts import House


class Calling:
    """The verb. reload: check the site and swap it in."""

    def __init__(self, house: House, reload: Callable[[], Awaitable[Reloaded]]) -> None:
        self._house = house
        self._reload = reload

    async def call(
        self, agent: str, content: bytes, kind: SignalKind, who: str, wait: float
    ) -> SignalOutcome:
        """Journal it, and wait for its end so many seconds (api.calling.Callers)."""
        house = self._house
        if agent not in house.site.agents:
            raise NounUnknown("agent", agent, house.site.agents)
        self._admit(agent)
        user = who.rpartition("(")[2].rstrip(")")
        called = Called(house.recaller, agent, content, user, kind)
        called.waited = kind == "run" and wait > 0
        signal = ids.text(called.signal.id)
        house.journal.writer.accept(called)
        await called.kept
        if kind != "run":
            reloaded = await self._reload() if kind == "sync" else None
            return SignalOutcome(signal, SignalState.FILTERED, reloaded=reloaded)
        if not called.waited:
            return SignalOutcome(signal, SignalState.WAITING)
        try:
            return _outcome(signal, await asyncio.wait_for(called.answer, wait))
        except TimeoutError:
            return SignalOutcome(signal, SignalState.WAITING)
        finally:
            house.forget(called.signal.id)

    def _admit(self, agent: str) -> None:
        """Raises RequestError when as many wait for agents of this owner as may."""
        site, crews = self._house.site, self._house.pool.status()
        owner = site.agents[agent].owner
        quota = site.config.workers.quotas.get(owner)
        if quota is None or quota.waiting is None:
            return
        theirs = [name for name, one in site.agents.items() if one.owner == owner]
        waiting = sum(crews[name]["backlog"] for name in theirs if name in crews)
        if waiting >= quota.waiting:
            self._house.base.metrics.turned_away(agent)
            text = f"{waiting} Signals wait for agents of {owner!r} already"
            raise RequestError(f"{text} (workers.quotas); try again later")


def _outcome(signal: str, ending: Ending) -> SignalOutcome:
    why, refusal = ending.failure, ending.refusal
    if why is not None:
        code, text = why.code, why.text
    else:
        code, text = ("step.refused", refusal.seen) if refusal else ("", "")
    return SignalOutcome(signal, ending.state, code, text, ending.deliveries, ending.value)
