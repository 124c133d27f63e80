"""Previewing: what a replay would do, found by running its agents and storing nothing.

The agents run for real, in their workers, outside any order: what their code does besides
happens. What they emit runs on in the agents that answer it. What a step asks of the engine (a
model, a plugin) is not done, since it would leave this machine unrecorded: the verdict is
`call`, and what would follow is not known.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from portico.agents.item import Item
from portico.flow.acts.remaking import Remade
from portico.flow.arrivals.recalling import Emitted, Recaller
from portico.flow.sessions.submitting import Submitter
from portico.model import crews
from portico.model.signal import Signal
from portico.model.verdict import Failure, Kind, SessionResult
from portico.workers.backlog import Outcome

_ABREAST = 8  # Signals that run at the same time, so that live traffic keeps its workers
_DEEPEST = 5  # agents behind each other; a Signal may go round for ever
_GONE = Failure("step.transient", "the agent has left the site, or the engine stops")


@dataclass(slots=True)
class Preview:
    """Counts. agents: (agent, verdict); destinations: messages each would be owed; signals:
    emitted ones; skipped: reasons; faults: (agent, step, code).
    """

    runs: int = 0
    agents: Counter[tuple[str, str]] = field(default_factory=Counter)
    destinations: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    faults: Counter[tuple[str, str, str]] = field(default_factory=Counter)


class Previewing:
    """Runs Signals without storing anything."""

    def __init__(self, pool: Submitter, recaller: Recaller) -> None:
        self._pool, self._recaller = pool, recaller

    async def preview(self, remade: Sequence[Remade]) -> Preview:
        """What would become of these."""
        told, room = Preview(), asyncio.Semaphore(_ABREAST)

        async def one(made: Remade) -> None:
            async with room:
                await self._signal(made, made.versions, told, 0)

        for made in remade:
            if made.why_not:
                told.skipped[made.why_not] += 1
        runs = [made for made in remade if not made.why_not]
        told.runs = len(runs)
        await asyncio.gather(*(one(made) for made in runs))
        return told

    async def _signal(
        self, made: Remade | Emitted, versions: Mapping[str, str], told: Preview, depth: int
    ) -> None:
        for agent in sorted(made.agents):
            crew = crews.name(agent, versions[agent]) if versions else agent
            result = await self._run(crew, made.signal, made.envelope)
            told.agents[agent, result.kind] += 1
            if result.failure is not None and result.kind is Kind.FAULT:
                told.faults[agent, result.failure.step, result.failure.code] += 1
            told.destinations.update(output.destination for output in result.outputs)
            for emission in result.emissions if depth < _DEEPEST else ():
                told.signals[emission.signal] += 1
                emitted = self._recaller.emitted(made.signal, emission)
                await self._signal(emitted, {}, told, depth + 1)

    async def _run(
        self, agent: str, signal: Signal, envelope: dict[str, object]
    ) -> SessionResult:
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        item = Item(signal.id, signal.content, envelope, signal.order_key)
        try:
            self._pool.submit(agent, item, "", _teller(done))
        except KeyError:  # a reload has just taken it away
            return SessionResult(Kind.FAULT, failure=_GONE)
        result = (await done).result
        return result if result is not None else SessionResult(Kind.FAULT, failure=_GONE)


def _teller(done: "asyncio.Future[Outcome]") -> Callable[[Outcome], None]:
    def tell(outcome: Outcome) -> None:
        if not done.done():
            done.set_result(outcome)

    return tell
