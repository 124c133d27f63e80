"""Reviewing: answers of models that wait for a person.

What waits is in memory alone: after a restart its Signal runs again, finds the model's answer
in the journal and asks again. What a person decides is a call of the journal, with who and
when; a replay goes by it. A step's answer that was rejected is a failure for good: it is shown
again once a person has released the Signal.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from portico import ids
from portico.clock import Clock
from portico.errors import RequestError
from portico.events.asking import ReviewAsked, ReviewDone
from portico.events.emit import Emit
from portico.flow.sessions.asking import Asked, CallRecord
from portico.ids import SignalId
from portico.journal.calls import Called
from portico.model.call import Call, Reply

REJECTED = "llm.rejected"
_STORED = 10.0  # seconds that a decision may take to be stored
_LOOK = 0.02


@dataclass(frozen=True, slots=True)
class WaitingReview:
    """One answer. name: `SIGNAL/AGENT/NUMBER`. since: nanoseconds since 1970."""

    name: str
    signal: SignalId
    agent: str
    call: Call
    since: int
    answer: Any
    decided: "asyncio.Future[Called]"

    @property
    def of_step(self) -> bool:
        """Whether it is the answer of a step, and no question about one of its tools."""
        return "into" in msgspec.json.decode(self.call.request)


class Reviewing:
    """The queue. record: where decisions are stored."""

    def __init__(self, record: CallRecord, clock: Clock, emit: Emit) -> None:
        self._record = record
        self._clock = clock
        self._emit = emit
        self._waiting: dict[str, WaitingReview] = {}

    @property
    def waiting(self) -> Mapping[str, WaitingReview]:
        """What waits, oldest first, by name."""
        return self._waiting

    async def do(self, asked: Asked) -> Called:
        """What a person makes of an answer; waits as long as it takes."""
        signal, call = asked.run.signal.id, asked.call
        text = ids.text(signal)
        name = f"{text}/{asked.agent}/{call.number}{asked.place}"
        decided: asyncio.Future[Called] = asyncio.get_running_loop().create_future()
        answer = msgspec.json.decode(call.request)["answer"]
        now = self._clock.time_ns()
        self._waiting[name] = WaitingReview(
            name, signal, asked.agent, call, now, answer, decided
        )
        self._emit(ReviewAsked(asked.agent, call.step, text))
        try:
            return await decided
        finally:
            del self._waiting[name]

    async def decide(self, name: str, verdict: str, who: str, answer: Any = None) -> None:
        """Take a person's decision; stored when it returns. Raises RequestError."""
        one = self._waiting.get(name)
        if one is None or one.decided.done():
            raise RequestError(f"no answer {name} waits for a person")
        given = answer if verdict == "edited" else one.answer
        outcome = msgspec.json.encode({"verdict": verdict, "answer": given})
        detail = msgspec.json.encode({"verdict": verdict, "by": who})
        micros = (self._clock.time_ns() - one.since) // 1000
        no = verdict == "rejected" and one.of_step
        fault = (REJECTED, "a person rejected the answer") if no else ("", "")
        reply = Reply(one.call.digest, outcome, *fault)
        one.decided.set_result(Called(reply, f"person:{who}", micros, detail))
        self._emit(ReviewDone(one.agent, one.call.step, ids.text(one.signal), verdict, who))
        await self._stored(one)

    async def _stored(self, one: WaitingReview) -> None:
        end = self._clock.monotonic() + _STORED
        while await self._record.find(one.signal, one.agent, one.call) is None:
            if self._clock.monotonic() > end:
                raise RequestError("the decision is taken, but not stored yet; look again")
            await asyncio.sleep(_LOOK)
