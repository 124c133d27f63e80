"""Once: a call of a `plugin` step that may do harm when it is made twice.

Its row is in the journal before the plugin has it (Asked.leaves). When an engine died before
the answer came, nobody knows whether it was done: it is not made again, the step fails as
unclear, and a person releases the Signal, which calls again, or discards it.
"""

import asyncio

from portico import ids
from portico.events.asking import ToolUnclear
from portico.events.emit import Emit
from portico.flow.sessions.asking import Asked, Doer, patiently
from portico.journal.calls import OPEN, Called
from portico.model.call import Reply
from portico.plugins.faults import PluginUnclear


class Once:
    """Makes the calls of steps. call: has the plugin do one, and opens its row before, where
    it must not be done twice. What was sent is ended, and kept, though the engine stops."""

    def __init__(self, call: Doer, emit: Emit) -> None:
        self._call = call
        self._emit = emit
        self._late: set[asyncio.Task[None]] = set()

    async def do(self, asked: Asked) -> Called:
        """The plugin's answer, or that nobody knows it."""
        signal, agent, step = asked.run.signal.id, asked.agent, asked.call.step
        for made in await patiently(lambda: asked.record.made(signal, agent, step)):
            if made.own and made.error == OPEN and made.digest == asked.call.digest:
                asked.opened = made.at
                return self._unclear(asked, made.target, made.sent)
        task = asyncio.ensure_future(self._call(asked))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if asked.ended:
                task.cancel()
            else:
                self._outlive(asked, task)
            raise

    async def settle(self, limit: float) -> None:
        """Wait until what was sent is kept, at most so many seconds."""
        if self._late:
            await asyncio.wait(self._late, timeout=limit)

    def _unclear(self, asked: Asked, target: str, sent: bytes) -> Called:
        signal = ids.text(asked.run.signal.id)
        self._emit(ToolUnclear(asked.agent, asked.call.step, target, signal))
        text = f"the engine ended while {target} worked: nobody knows whether it was done"
        reply = Reply(asked.call.digest, error=PluginUnclear.code, text=text)
        return Called(reply, target, sent=sent)

    def _outlive(self, asked: Asked, task: "asyncio.Task[Called]") -> None:
        async def kept() -> None:
            called = await task
            if asked.opened is not None:
                await asked.kept(called)

        late = asyncio.ensure_future(kept())
        self._late.add(late)
        late.add_done_callback(self._late.discard)
