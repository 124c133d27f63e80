"""Asking: what steps want of the engine is done once, journaled, and given back.

A call that was made before is answered from the journal: after a restart, so that nothing is
paid or done twice, and in a replay, so that it decides as the first run did. What leaves this
machine is in the journal before it leaves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from portico.errors import JournalError, JournalRefused, PorticoError
from portico.events.emit import Emit
from portico.events.running import CallFailed
from portico.flow.runs import Run
from portico.ids import SignalId
from portico.journal.calls import Called, Made
from portico.model.call import Call, Reply

CANCELLED = "call.cancelled"
_AGAIN = 1.0  # seconds until the journal is asked again

Replied = Callable[[Reply], None]
Value = TypeVar("Value")


class CallRecord(Protocol):
    """The journal's side (journal.calls). Every verb raises JournalError."""

    def find(self, signal: SignalId, agent: str, call: Call) -> Awaitable[Reply | None]:
        """The reply that is stored."""
        ...

    def made(self, signal: SignalId, agent: str, step: str) -> Awaitable[list[Made]]:
        """Every call of a step, oldest first."""
        ...

    def open(
        self, signal: SignalId, agent: str, call: Call, target: str, sent: bytes
    ) -> Awaitable[datetime]:
        """Store what is about to leave."""
        ...

    def keep(
        self,
        signal: SignalId,
        agent: str,
        call: Call,
        called: Called,
        opened: datetime | None = None,
    ) -> Awaitable[None]:
        """Store what was done."""
        ...


@dataclass(slots=True)
class Asked:
    """A call on its way. run: whose step asks, with its Signal and envelope. opened: the row
    of what has left for it; target, sent: to whom, and what. place: where inside a
    conversation; empty outside of one. ended: by a person."""

    agent: str
    run: Run
    call: Call
    record: CallRecord
    opened: datetime | None = None
    target: str = ""
    sent: bytes = b""
    place: str = ""
    ended: bool = False

    async def leaves(self, target: str, sent: bytes) -> None:
        """Store what is about to leave, once. Raises JournalRefused."""
        signal = self.run.signal.id
        if self.opened is None:
            self.opened = await patiently(
                lambda: self.record.open(signal, self.agent, self.call, target, sent)
            )
            self.target, self.sent = target, sent

    async def kept(self, called: Called) -> None:
        """Store what was done. Raises JournalRefused."""
        signal, opened = self.run.signal.id, self.opened
        await patiently(lambda: self.record.keep(signal, self.agent, self.call, called, opened))


Doer = Callable[[Asked], Awaitable[Called]]


class Broker:
    """Gives each call to who can do it. doers: by verb; what one raises becomes a Permanent
    error of the step, and what it answers as transient is asked again, not stored.
    """

    def __init__(self, record: CallRecord, doers: Mapping[str, Doer], emit: Emit) -> None:
        self._record = record
        self._doers = doers
        self._emit = emit
        self._tasks: dict[asyncio.Task[None], Asked] = {}
        self._own: dict[tuple[SignalId, str], set[asyncio.Task[None]]] = {}  # of each session

    def ask(self, agent: str, run: Run, call: Call, replied: Replied) -> None:
        """Have it done; `replied` is called once, unless the engine stops before. What the same
        session asked before, and nobody waits for any more, ends first: it may be the answer.
        """
        asked, whose = Asked(agent, run, call, self._record), (run.signal.id, agent)
        own = self._own.setdefault(whose, set())
        task = asyncio.ensure_future(self._ask(asked, replied, frozenset(own)))
        self._tasks[task] = asked
        own.add(task)
        task.add_done_callback(partial(self._over, whose))

    def _over(self, whose: tuple[SignalId, str], task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self._own[whose].discard(task)
        if not self._own[whose]:
            del self._own[whose]

    def asked(self, signal: SignalId) -> list[Asked]:
        """What a Signal's sessions wait for."""
        return [one for one in self._tasks.values() if one.run.signal.id == signal]

    def cancel(self, asked: Asked) -> None:
        """Do it no more; nobody hears of it. What has left for it stays in the journal."""
        if asked.ended:
            return  # its row is being closed
        asked.ended = True
        for task, one in tuple(self._tasks.items()):
            if one is asked:
                task.cancel()

    def stop(self) -> None:
        """Do nothing more: what was not answered is asked again by the next engine."""
        for task in self._tasks:
            task.cancel()

    @property
    def open(self) -> int:
        """Calls that are not answered yet."""
        return len(self._tasks)

    async def _ask(
        self, asked: Asked, replied: Replied, before: frozenset[asyncio.Task[None]]
    ) -> None:
        try:
            if before:
                await asyncio.wait(before)
            reply = await self._reply(asked)
        except asyncio.CancelledError:
            if asked.ended and asked.opened:  # else the next engine goes on with its row
                reply = Reply(asked.call.digest, error=CANCELLED, text="a person ended it")
                await asked.kept(Called(reply, asked.target, sent=asked.sent))
            raise
        except Exception as error:  # noqa: BLE001  the record of it cannot be stored
            reply = self._failed(asked, error)
        replied(reply)

    async def _reply(self, asked: Asked) -> Reply:
        """As stored, else as done now. Raises JournalRefused when it cannot be stored."""
        signal, agent, call = asked.run.signal.id, asked.agent, asked.call
        reply = await patiently(lambda: self._record.find(signal, agent, call))
        if reply is not None:
            return reply
        called = await self._done(asked)
        if asked.opened or called.sent or not called.reply.transient:
            await asked.kept(called)  # what left is told in any case
        return called.reply

    async def _done(self, asked: Asked) -> Called:
        call = asked.call
        doer = self._doers.get(call.verb)
        try:
            if doer is None:
                raise PorticoError(f"nobody does {call.verb!r} here")
            return await doer(asked)
        except Exception as error:  # noqa: BLE001  the fence of one call
            return Called(self._failed(asked, error))

    def _failed(self, asked: Asked, error: Exception) -> Reply:
        """The step fails for good, and whoever waits for its Signal goes on."""
        call, ours = asked.call, isinstance(error, PorticoError)
        self._emit(CallFailed(asked.agent, call.step, call.verb, type(error).__name__))
        text = str(error) if ours else type(error).__name__
        code = error.code if isinstance(error, PorticoError) else "step.permanent"
        return Reply(call.digest, error=code, text=text)


async def patiently(work: Callable[[], Awaitable[Value]]) -> Value:
    """What it gives, as soon as the journal can be reached. Raises JournalRefused."""
    while True:
        try:
            return await work()
        except JournalRefused:
            raise
        except JournalError:
            await asyncio.sleep(_AGAIN)
