"""Conversing: a model that uses tools, from a step's question to its answer.

Each exchange and each call of a tool is a row of the journal, and so is each turn: it is opened
when the turn starts and closed once, by how it ended. After a crash the conversation is talked
through again: what has a row is taken from there, so that no recorded answer is paid for twice,
and a tool that may do harm is never called twice (flow/sessions/tooling.py).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import msgspec

from portico import ids
from portico.clock import Clock, moment
from portico.errors import RequestError
from portico.flow.sessions.asking import Asked, Doer, patiently
from portico.flow.sessions.tooling import Tooling
from portico.journal.calls import OPEN, Called, Made
from portico.llm.asking import Past, Pieces, Talk, decode_talk
from portico.llm.contract import ModelFailed, Use
from portico.llm.granted import Frozen
from portico.llm.tools.contract import JournalView, ToolDesk
from portico.model.call import Call, Reply
from portico.policy import talking


class _Said(msgspec.Struct):
    """The outcome of one exchange (flow/sessions/prompting.py)."""

    text: str
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True)
class ConversationStatus:
    """One conversation. since: monotonic; doing: `model` or `tools`."""

    name: str
    agent: str
    step: str
    since: float
    doing: str
    exchanges: int
    uses: int


class Conversations(Protocol):
    """Conversations with models. Ours lives as long as its engine and is talked through again
    by the next one; a durable one of many days would be another."""

    def start(self, asked: Asked) -> str:
        """Begin with a step's question; its name."""
        ...

    def input(self, name: str, text: str) -> None:
        """What is said once the turn before has ended: it begins another."""
        ...

    def status(self, name: str) -> ConversationStatus:
        """How far it is. Raises RequestError."""
        ...

    def cancel(self, name: str) -> None:
        """End it; nobody hears of it any more. Raises RequestError."""
        ...

    async def result(self, name: str) -> Called:
        """What came of the last turn, once it has ended."""
        ...


@dataclass(slots=True)
class Conversation:
    """One of them, in memory. known: what its step did before, by digest. rounds: so far."""

    asked: Asked
    talk: Talk
    frozen: Frozen
    desk: ToolDesk
    since: float
    inputs: deque[str] = field(default_factory=deque)
    known: dict[bytes, Made] = field(default_factory=dict)
    rounds: list[Past] = field(default_factory=list)
    doing: str = "model"
    exchanges: int = 0
    uses: int = 0
    task: "asyncio.Task[Called] | None" = None


@dataclass(frozen=True, slots=True)
class ConversingWorld:
    """What conversing needs. frozen: what a step of an agent may use. exchange: makes one with
    a model."""

    frozen: Callable[[str, str], Frozen]
    exchange: Doer
    tooling: Tooling
    journal: JournalView
    clock: Clock


class Conversing:
    """Conversations by replay."""

    def __init__(self, world: ConversingWorld) -> None:
        self._world = world
        self._open: dict[str, Conversation] = {}

    async def do(self, asked: Asked) -> Called:
        """The answer to a step. What was wrong with earlier ones is said again, in turns that
        the journal knows."""
        name = self.start(asked)
        for _, wrong in self._open[name].talk.turns:
            self.input(name, wrong)
        try:
            return await self.result(name)
        finally:
            self.cancel(name)

    def start(self, asked: Asked) -> str:
        """Begin with a step's question (Conversations)."""
        talk = decode_talk(asked.call.request)
        frozen = self._world.frozen(asked.agent, asked.call.step)
        name = _name(asked)
        desk = talking.desk(talk, frozen, self._world.journal)
        one = Conversation(asked, talk, frozen, desk, self._world.clock.monotonic())
        self._open[name] = one
        one.task = asyncio.ensure_future(self._talked(one))
        return name

    def input(self, name: str, text: str) -> None:
        """Said once the turn before has ended (Conversations)."""
        self._one(name).inputs.append(text)

    def status(self, name: str) -> ConversationStatus:
        """How far it is (Conversations)."""
        one = self._one(name)
        asked = one.asked
        about = name, asked.agent, asked.call.step, one.since
        return ConversationStatus(*about, one.doing, one.exchanges, one.uses)

    def cancel(self, name: str) -> None:
        """End it (Conversations)."""
        one = self._one(name)
        del self._open[name]
        assert one.task is not None
        one.task.cancel()

    async def result(self, name: str) -> Called:
        """What came of the last turn (Conversations)."""
        one = self._one(name)
        assert one.task is not None
        return await one.task

    def told(self, asked: Asked) -> str:
        """How far the conversation of a call is, for people; empty where it is none."""
        name = _name(asked)
        if name not in self._open:
            return ""
        found = self.status(name)
        return (
            f"exchange {found.exchanges}, {found.uses} calls of tools, waits for {found.doing}"
        )

    def _one(self, name: str) -> Conversation:
        if name not in self._open:
            raise RequestError(f"there is no conversation {name}")
        return self._open[name]

    async def _talked(self, one: Conversation) -> Called:
        """All turns, one after the other; the last is the step's call."""
        await self._recall(one)
        try:
            text = await self._turn(one)
            while one.inputs:
                wrong = one.inputs.popleft()
                one.rounds.append(Past(text, (), ((("", wrong),),)))
                text = await self._turn(one)
        except ModelFailed as error:
            return self._ended(one, error)
        given = [text for kind, text in talking.given(one.rounds) if kind]
        outcome = msgspec.json.encode({"text": text, "given": given})
        reply = Reply(one.asked.call.digest, outcome)
        return Called(reply, micros=self._micros(one), detail=_detail(one))

    def _ended(self, one: Conversation, error: ModelFailed) -> Called:
        reply = Reply(one.asked.call.digest, b"", error.code, str(error), error.transient)
        return Called(reply, micros=self._micros(one), detail=_detail(one))

    def _micros(self, one: Conversation) -> int:
        """Since the turn started, in an engine before this one too."""
        opened, now = one.asked.opened, moment(self._world.clock.time_ns())
        return max(0, (now - opened) // timedelta(microseconds=1)) if opened else 0

    async def _recall(self, one: Conversation) -> None:
        """What its step did before; its turn goes on in the row that a dead engine opened."""
        asked = one.asked
        signal, agent, step = asked.run.signal.id, asked.agent, asked.call.step
        for made in await patiently(lambda: asked.record.made(signal, agent, step)):
            if made.own and made.error == OPEN and made.digest == asked.call.digest:
                asked.opened = made.at
            if made.settled or made.final or made.digest not in one.known:
                one.known[made.digest] = made
        await asked.leaves("", b"")

    async def _turn(self, one: Conversation) -> str:
        """Exchanges until there is an answer. Raises ModelFailed."""
        for _ in range(one.frozen.rounds):
            said = await self._said(one)
            if not said.uses:
                return said.text
            told = await self._told(one, said.uses)
            one.rounds.append(Past(said.text, said.uses, told))
        text = f"no answer after {one.frozen.rounds} exchanges (rounds)"
        raise ModelFailed("llm.rounds", text, False)

    async def _said(self, one: Conversation) -> _Said:
        """One exchange, or what the journal has of it. Raises ModelFailed."""
        asked, one.doing = one.asked, "model"
        one.exchanges += 1
        wanted = talking.exchange(one.talk, one.frozen, one.rounds)
        request = msgspec.json.encode(wanted, order="sorted")
        call = Call("llm", asked.call.step, asked.call.number, request)
        made = one.known.get(call.digest)
        if made is not None and not made.error:
            return msgspec.json.decode(made.outcome, type=_Said)
        if made is not None and made.final:
            raise ModelFailed(made.error, made.text, False)
        inner = Asked(asked.agent, asked.run, call, asked.record)
        called = await self._world.exchange(inner)
        reply = called.reply
        if inner.opened or not reply.transient:
            await inner.kept(called)
        if reply.error:
            raise ModelFailed(reply.error, reply.text, reply.transient)
        return msgspec.json.decode(reply.outcome, type=_Said)

    async def _told(self, one: Conversation, uses: tuple[Use, ...]) -> tuple[Pieces, ...]:
        """What each tool gave. Those that only read or write this conversation come first, in
        order; the others run side by side."""
        one.doing = "tools"
        one.uses += len(uses)
        tooling, gate = self._world.tooling, asyncio.Semaphore(one.frozen.parallel)
        first: dict[int, Pieces] = {}
        for index, use in enumerate(uses):
            if index >= talking.MOST_USES:
                first[index] = (
                    ("", f"at most {talking.MOST_USES} calls at once [tool.too_many]"),
                )
            elif tooling.pure(one, use):
                first[index] = await tooling.use(one, index, use)

        async def used(index: int, use: Use) -> Pieces:
            if index in first:
                return first[index]
            async with gate:
                return await tooling.use(one, index, use)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(used(*each)) for each in enumerate(uses)]
        return tuple(task.result() for task in tasks)


def _name(asked: Asked) -> str:
    return f"{ids.text(asked.run.signal.id)}/{asked.agent}/{asked.call.number}"


def _detail(one: Conversation) -> bytes:
    return msgspec.json.encode({"exchanges": one.exchanges, "uses": one.uses})
