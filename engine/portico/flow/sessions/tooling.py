"""Tooling: what becomes of a call of a tool that a model wants.

A tool outside the list, arguments outside its schema and what the site or a person refuses have
no effect: the model is told. What may do harm when it is done twice is in the journal before it
is sent; when nobody knows whether it was done, a person says so, and it is never sent again.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from portico import ids
from portico.clock import Clock
from portico.events.asking import ToolRefused, ToolUnclear
from portico.events.emit import Emit
from portico.events.metrics import Metrics
from portico.flow.sessions.asking import Asked, Doer
from portico.journal.calls import Called, Made
from portico.language.content import parse_json
from portico.llm.asking import Past, Pieces, Talk
from portico.llm.contract import ToolFailed, Use
from portico.llm.granted import Frozen, Granted
from portico.llm.tools.contract import ToolDesk
from portico.llm.tools.table import BUILTINS
from portico.model.call import Call, Reply
from portico.policy import talking

UNCLEAR = "tool.unclear"
_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode
_REFUSED = ("tool.unknown", "tool.never", "tool.arguments")
_IN_DOUBT = ("plugin.timeout", "plugin.died", "plugin.nonsense")  # it may have been done


class Conversation(Protocol):
    """What is known of the conversation (flow/sessions/conversing.py)."""

    asked: Asked
    talk: Talk
    frozen: Frozen
    desk: ToolDesk
    known: dict[bytes, Made]
    rounds: list[Past]


class ToolOutcome(msgspec.Struct):
    """What the model is told, as the journal keeps it."""

    told: Pieces


@dataclass(frozen=True, slots=True)
class ToolingWorld:
    """What tooling needs. plugin: calls a plugin's tool. person: has a person decide."""

    plugin: Doer
    person: Doer
    clock: Clock
    emit: Emit
    metrics: Metrics


@dataclass(slots=True)
class _Used:
    """One call on its way. place: round and index in it."""

    one: Conversation
    use: Use
    place: tuple[int, int]
    granted: Granted | None
    asked: Asked
    began: float
    arguments: dict[str, Any] = field(default_factory=dict)


class Tooling:
    """Makes the calls of tools. Those that leave are ended, and kept, though their conversation
    is stopped meanwhile."""

    def __init__(self, world: ToolingWorld) -> None:
        self._world = world
        self._acting: set[asyncio.Task[Pieces]] = set()

    def pure(self, one: Conversation, use: Use) -> bool:
        """Whether it gives the same each time, and touches nothing but its conversation."""
        granted = talking.granted(one.frozen, use)
        return granted is not None and granted.builtin and BUILTINS[granted.call].pure

    async def use(self, one: Conversation, index: int, use: Use) -> Pieces:
        """What the model is told."""
        used = self._used(one, index, use)
        made = one.known.get(used.asked.call.digest)
        if made is not None and made.settled and not self.pure(one, use):
            return msgspec.json.decode(made.outcome, type=ToolOutcome).told
        try:
            granted, used.arguments = talking.allowed(one.frozen, use)
            if made is not None and not made.settled and not granted.idempotent:
                return await self._unclear(used)
            if granted.approve == "review":
                await self._agreed(used, granted)
            if granted.builtin:
                pieces = await BUILTINS[granted.call].run(one.desk, used.arguments)
                return await self._kept(used, pieces, made=made)
        except ToolFailed as error:
            return await self._failed(used, error.code, str(error), made)
        task = asyncio.ensure_future(self._sent(used, granted))
        self._acting.add(task)
        task.add_done_callback(self._acting.discard)
        try:
            return await asyncio.shield(task)
        except _InDoubt:
            return await self._unclear(used)

    async def settle(self, limit: float) -> None:
        """Wait for what was sent, at most so many seconds."""
        if self._acting:
            await asyncio.wait(self._acting, timeout=limit)

    def _used(self, one: Conversation, index: int, use: Use) -> _Used:
        place = len(one.rounds), index
        asked = _inner(one, "tool", {"place": place, "name": use.name, "with": use.arguments})
        now = self._world.clock.monotonic()
        return _Used(one, use, place, talking.granted(one.frozen, use), asked, now)

    async def _sent(self, used: _Used, granted: Granted) -> Pieces:
        """Call a plugin's tool. Raises _InDoubt."""
        one, call = used.one, granted.call
        await used.asked.leaves(call, _encode(used.arguments))
        wanted = {"call": call, "arguments": used.arguments, "timeout": one.talk.timeout}
        inner = _inner(one, "plugin", wanted)
        inner.opened = used.asked.opened  # the one row of both
        try:
            called = await self._world.plugin(inner)
        except Exception as error:  # noqa: BLE001  the fence of one call
            reply = Reply(b"", error="plugin.died", text=type(error).__name__)
            called = Called(reply)
        reply = called.reply
        if reply.error in _IN_DOUBT and not granted.idempotent:
            await self._close(used, b"", UNCLEAR, reply.text)
            raise _InDoubt
        if reply.error:
            return await self._failed(used, reply.error, reply.text)
        pieces = talking.pieces(granted, parse_json(reply.outcome))
        return await self._kept(used, pieces, reply.outcome)

    async def _agreed(self, used: _Used, granted: Granted) -> None:
        """Wait for a person. Raises ToolFailed when the answer is no."""
        said = await self._asked_person(used, "may it be called?")
        if said["verdict"] == "rejected":
            raise ToolFailed("tool.rejected", f"a person refused {used.use.name}")
        if said["verdict"] == "edited":
            used.arguments = talking.fitting(granted, said["answer"])

    async def _unclear(self, used: _Used) -> Pieces:
        """A person says what came of it: that it was done, what it gave, or that it was not."""
        name = used.use.name
        signal = ids.text(used.one.asked.run.signal.id)
        asked = used.one.asked
        self._world.emit(ToolUnclear(asked.agent, asked.call.step, name, signal))
        said = await self._asked_person(used, "was it done? it will not be called again")
        used.asked = self._used(used.one, used.place[1], used.use).asked
        if said["verdict"] == "rejected":
            text = f"{name} was not done, and is not called again"
            return await self._failed(used, UNCLEAR, text)
        if said["verdict"] == "edited":
            given = _encode(said["answer"])
            return await self._kept(used, (("free", given.decode()),), given)
        return await self._kept(used, (("", f"{name} was done; what it gave is not known"),))

    async def _asked_person(self, used: _Used, question: str) -> dict[str, Any]:
        told = {"tool": used.use.name, "arguments": used.arguments, "question": question}
        asked = _inner(used.one, "review", {"answer": told, "place": used.place})
        asked.place = ".{}.{}".format(*used.place)
        made = used.one.known.get(asked.call.digest)
        if made is not None and made.settled:
            outcome = made.outcome
        else:
            called = await self._world.person(asked)
            await asked.kept(called)
            outcome = called.reply.outcome
        said: dict[str, Any] = msgspec.json.decode(outcome)
        return said

    async def _failed(
        self, used: _Used, code: str, text: str, made: Made | None = None
    ) -> Pieces:
        """It had no effect that counts; the model is told why."""
        if code in _REFUSED and made is None:
            asked = used.one.asked
            self._world.emit(ToolRefused(asked.agent, asked.call.step, code))
        return await self._kept(used, (("", f"{text} [{code}]"),), code=code, made=made)

    async def _kept(
        self,
        used: _Used,
        pieces: Pieces,
        received: bytes = b"",
        code: str = "",
        made: Made | None = None,
    ) -> Pieces:
        """Stored, unless it was."""
        if sum(len(text) for _, text in pieces) > talking.MOST_TEXT:
            code = "tool.too_large"
            pieces = (("", f"it gave more than {talking.MOST_TEXT} characters [{code}]"),)
        if made is None or not made.settled:
            outcome = msgspec.json.encode(ToolOutcome(pieces))
            await self._close(used, outcome, code, "", received)
        return pieces

    async def _close(
        self, used: _Used, outcome: bytes, code: str, text: str = "", received: bytes = b""
    ) -> None:
        """The row of the call."""
        world, agent = self._world, used.one.asked.agent
        target = used.granted.call if used.granted is not None else "unknown"
        seconds = world.clock.monotonic() - used.began
        world.metrics.tool_used(agent, target, code or "ok")
        raw = used.use.arguments.encode("utf-8", "replace")
        sent = _encode(used.arguments) if used.arguments else raw
        reply = Reply(used.asked.call.digest, outcome, code, text)
        detail = msgspec.json.encode({"round": used.place[0] + 1})
        await used.asked.kept(Called(reply, target, int(seconds * 1e6), detail, sent, received))


class _InDoubt(Exception):
    """Nobody knows whether it was done."""


def _inner(one: Conversation, verb: str, request: dict[str, Any]) -> Asked:
    """A call inside the one of the step."""
    asked = one.asked
    call = Call(verb, asked.call.step, asked.call.number, _encode(request))
    return Asked(asked.agent, asked.run, call, asked.record)
