"""All agents' workers: the engine's one way to have an item run.

Everything happens on the running loop; only what is a coroutine waits for anything. `done` is
called exactly once for each item, later than `submit` returns, and must not raise.

Agents that want more workers than there may be share them by weight: who waits with fewer for
its weight gets a place of who has more, whose worker ends with what it has.

Items of one group are run in their order and never two at a time. When one is to be tried
again (`failure.transient`), holds its key (`hold`) or cost its worker, all of its group that
was submitted before `done` heard of it is given back as not run, in order, and what is
submitted from then on is run: the caller decides what that is. A worker's death charges one
item at most, as `step.timeout` or `step.crashed`; a crash is transient at first attempts.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from portico.agents.item import Item
from portico.clock import Clock
from portico.errors import ConfigError, Permanent, WorkerError
from portico.events.emit import Emit
from portico.events.running import AgentRetired, NurseryLost
from portico.ids import SignalId
from portico.model.verdict import Failure, Kind, SessionResult
from portico.workers import sharing
from portico.workers.backlog import Done, Outcome
from portico.workers.crew import Crew, ItemLook
from portico.workers.editions import CrewTerms, Proof
from portico.workers.nursery import Nursery
from portico.workers.protocol import ITEM_LIMIT, REPLIED_LIMIT, Load
from portico.workers.staff import Staff
from portico.workers.worker import End

_TICK_SECONDS = 0.1
_CUT_SECONDS = 3.0
_PARENTS, _PARENT_SECONDS = 3, 10.0  # tries to load a plan, and how long each waits for one


class Pool:
    """The crews of all agents.

    most: workers in all beyond every agent's fewest; quotas: the same for the agents of one
    owner, by name.
    """

    def __init__(self, nursery: Nursery, *, clock: Clock, emit: Emit, most: int = 4) -> None:
        self._nursery = nursery
        self._clock = clock
        self._emit = emit
        self._most = most
        self.quotas: Mapping[str, int] = {}
        self._crews: dict[str, Crew] = {}
        self._leaving: set[Crew] = set()
        self._ticker: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Wait for the nursery. Raises ConfigError when a module to preload is missing."""
        await self._nursery.attach(self._lost)
        self._tick()

    async def prove(
        self,
        agent: str,
        document: dict[str, Any],
        root: str,
        terms: CrewTerms,
        memory: int = 256 << 20,
    ) -> Proof:
        """Load an agent's plan in a worker, beside what is in force; `adopt` or `discard` it.

        document: as `agents.plan` compiles it; root: the site's folder; memory: bytes that a
        worker may allocate. Raises ConfigError with the reason.
        """
        crew = self._crews.get(agent)
        if crew is None:
            crew = Crew(
                agent, self._nursery, self._clock, self._emit, partial(self.may_grow, agent)
            )
            self._crews[agent] = crew
        try:
            return await self._prove(crew, Load(agent, document, root, memory), terms)
        except ConfigError:
            await self._part_if_vacant(agent)
            raise

    async def _prove(self, crew: Crew, plan: Load, terms: CrewTerms) -> Proof:
        """That the parent of the workers ends meanwhile says nothing of the plan."""
        fault: Exception = WorkerError("the parent of the workers does not come back")
        for _ in range(_PARENTS):
            try:
                await asyncio.wait_for(self._nursery.there(), _PARENT_SECONDS)
                return await crew.staff.prove(plan, terms)
            except WorkerError as error:
                fault = error
            except TimeoutError:
                break
        raise ConfigError(f"agent {plan.agent} does not load: {fault}") from fault

    def adopt(self, proof: Proof) -> None:
        """Let a proven plan answer in place of what did.

        Sessions that run end as they began; what waits is run by the new version.
        """
        self._crews[proof.agent].staff.adopt(proof)

    async def discard(self, proof: Proof) -> None:
        """Let a proven plan go: another of the same reload failed."""
        if proof.agent in self._crews:
            self._crews[proof.agent].staff.discard(proof)
            await self._part_if_vacant(proof.agent)

    async def activate(
        self,
        agent: str,
        document: dict[str, Any],
        root: str,
        terms: CrewTerms,
        memory: int = 256 << 20,
    ) -> str:
        """Prove and adopt one agent; its version. Raises ConfigError: what was stays."""
        proof = await self.prove(agent, document, root, terms, memory)
        self.adopt(proof)
        return proof.version

    def submit(self, agent: str, item: Item, group: str, done: Done) -> None:
        """Have an item run; group: its order key, empty for none.

        Raises KeyError when no such agent is active.
        """
        if len(item.content) > ITEM_LIMIT:
            _too_large(done, f"content beyond {ITEM_LIMIT} bytes")
        elif item.replied > REPLIED_LIMIT:
            _too_large(done, f"its steps were given more than {REPLIED_LIMIT} bytes in all")
        else:
            self._crews[agent].submit(item, group, done)

    def cancel(self, agent: str, signal: SignalId, failure: Failure) -> bool:
        """End an item that waits or runs, soon; `done` hears this failure, unless its own
        result comes first. False when the agent has no such item."""
        return agent in self._crews and self._crews[agent].cancel(signal, failure)

    def look(self, agent: str, signal: SignalId) -> ItemLook | None:
        """Where an item is, and what it says; None when the agent has no such item."""
        return self._crews[agent].look(signal) if agent in self._crews else None

    def give_back(self, agent: str) -> None:
        """Give back what waits for a worker of this agent."""
        if agent in self._crews:
            self._crews[agent].give_back()

    async def retire(self, agent: str) -> None:
        """Give back what waits, let what runs end, then end the agent's workers."""
        await self._part(agent)
        self._emit(AgentRetired(agent))

    async def stop(self, grace: float) -> None:
        """The same for all agents, within `grace` seconds; then by force. The last act."""
        crews = [*self._crews.values(), *self._leaving]
        left = [crew.leave(End.STOPPED) for crew in crews]
        self._crews = {}
        if left:
            _, late = await asyncio.wait(left, timeout=grace)
            if late:
                for crew in crews:
                    crew.staff.cut()
                await asyncio.wait(late, timeout=_CUT_SECONDS)
        if self._ticker:
            self._ticker.cancel()
        await self._nursery.stop()

    def status(self) -> dict[str, dict[str, Any]]:
        """By agent: version, workers, starting, idle, busy, backlog, quarantined, pids."""
        return {agent: crew.status() for agent, crew in self._crews.items()}

    async def _part_if_vacant(self, agent: str) -> None:
        if agent in self._crews and self._crews[agent].staff.vacant():
            await self._part(agent)

    async def _part(self, agent: str) -> None:
        crew = self._crews.pop(agent)
        self._leaving.add(crew)
        await crew.leave(End.RETIRED)
        self._leaving.discard(crew)

    def may_grow(self, agent: str) -> bool:
        """Whether it may have a worker beyond its fewest."""
        if sum(staff.extras() for staff in self._of()) >= self._most:
            return False
        owner = self._crews[agent].staff.terms.owner if agent in self._crews else ""
        return not self._spent(owner)

    def _spent(self, owner: str) -> bool:
        """Whether the agents of an owner have what they may have."""
        quota, theirs = self.quotas.get(owner), self._of(owner)
        return quota is not None and sum(staff.extras() for staff in theirs) >= quota

    def _of(self, owner: str | None = None) -> list[Staff]:
        """The staffs of an owner's agents, or of all."""
        staffs = [crew.staff for crew in self._crews.values()]
        return [staff for staff in staffs if owner in (None, staff.terms.owner)]

    def _share(self) -> None:
        """Who waits with less than its part gets a place of who has the most for its weight."""
        for agent, crew in self._crews.items():
            if crew.starved and crew.staff.wants() and not self.may_grow(agent):
                owner = crew.staff.terms.owner
                others = self._of(owner) if self._spent(owner) else self._of()
                giver = sharing.giver(crew.staff, others, self._clock.monotonic())
                if giver is not None:
                    giver.yield_one()
                    crew.staff.grow()

    def _tick(self) -> None:
        for crew in (*self._crews.values(), *self._leaving):
            crew.tick()
        self._share()
        self._ticker = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)

    def _lost(self, pid: int, seconds: float) -> None:
        self._emit(NurseryLost(pid, seconds))


def _too_large(done: Done, text: str) -> None:
    result = SessionResult(Kind.FAULT, failure=Failure(Permanent.code, text))
    asyncio.get_running_loop().call_soon(done, Outcome(result))
