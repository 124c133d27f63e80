"""Where a Signal's sessions are at this moment, and how a person ends them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from portico import ids
from portico.errors import RequestError
from portico.events.delivering import SessionCancelled
from portico.events.emit import Emit
from portico.flow.sessions.asking import Asked, Broker
from portico.flow.sessions.running import Running
from portico.flow.sessions.submitting import Submitter
from portico.flow.sessions.withdrawing import Withdrawing
from portico.ids import SignalId
from portico.model.verdict import Failure
from portico.workers.faults import StepCancelled
from portico.workers.saying import Saying

_REVIEW = "review"  # verbs that wait for a person begin so


@dataclass(frozen=True, slots=True)
class SessionPlace:
    """Where one session is. state: `queued` for a worker (place 1 goes next), `running` (in
    this process, for so many seconds), `asking` (what its step waits for), `waiting` for a
    retry or for others of its order key, `paused` with its agent. number: of the try.
    """

    agent: str
    state: str
    place: int = 0
    pid: int = 0
    seconds: float = 0.0
    asks: str = ""
    number: int = 1
    saying: Saying = field(default_factory=Saying)


@dataclass(frozen=True, slots=True)
class Looking:
    """What it looks at. agents: those in force. told: how far a conversation is. withdrawing:
    of what waits for agents that are paused."""

    running: Running
    pool: Submitter
    broker: Broker
    agents: Callable[[], Iterable[str]]
    emit: Emit
    told: Callable[[Asked], str]
    withdrawing: Withdrawing

    def places(self, signal: SignalId) -> list[SessionPlace]:
        """Every session in memory that has not concluded, by agent."""
        found = {
            one.agent: SessionPlace(one.agent, "waiting", number=one.number)
            for one in self.running.waiting(signal)
        }
        for asked in self.broker.asked(signal):
            told = self.told(asked) or asked.call.verb
            asks = f"{asked.call.step} ({told})"
            found[asked.agent] = SessionPlace(asked.agent, "asking", asks=asks)
        for agent in self.agents():
            look = self.pool.look(agent, signal)
            if look is not None:
                state = "queued" if look.place else "running"
                at = look.place, look.pid, look.seconds
                found[agent] = SessionPlace(agent, state, *at, saying=look.saying)
        return [found[agent] for agent in sorted(found)]

    async def paused(self, signal: SignalId) -> list[SessionPlace]:
        """Every session that waits for an agent that is paused. Raises JournalError."""
        return [
            SessionPlace(one, "paused")
            for one in sorted(await self.withdrawing.waiting(signal))
        ]

    async def cancel(self, signal: SignalId, who: str) -> list[str]:
        """End them, within seconds or when their turn comes: they are parked. Their agents.

        Raises JournalError; RequestError when there is none, or a person's answer is awaited.
        """
        failure = Failure(StepCancelled.code, f"cancelled by {who}")
        self._reviewed(signal)
        ended = await self.withdrawing.cancel(signal, failure)
        for one in self.broker.asked(signal):
            self.broker.cancel(one)
        ended |= {agent for agent in self.agents() if self.pool.cancel(agent, signal, failure)}
        for attempt in self.running.waiting(signal):
            self.running.cancel(attempt, failure)
            ended.add(attempt.agent)
        if not ended:
            raise RequestError("no session of this Signal runs or waits in this engine")
        for agent in sorted(ended):
            self.emit(SessionCancelled(agent, who, ids.text(signal)))
        return sorted(ended)

    def _reviewed(self, signal: SignalId) -> None:
        """Raises RequestError when a person's answer is waited for."""
        for one in self.broker.asked(signal):
            if one.call.verb.startswith(_REVIEW):
                raise RequestError(f"{one.agent} waits for a person: see `portico review`")
