"""Beside: an event loop of its own, in a thread of its own, for work that costs a loop much.

The engine's loop hands work over and awaits what comes of it; what the work asks of the engine
is done by who waits for it, in the engine's loop. The thread begins with the first work.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

Value = TypeVar("Value")
Call = Callable[[], Awaitable[None]]
Back = Callable[[Call], Awaitable[None]]


class Beside:
    """One thread, for the work of one loop. name: of the thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._begun: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        self._over = asyncio.Event()
        self._closed = False

    async def do(self, work: Callable[[Back], Coroutine[Any, Any, Value]]) -> Value:
        """What the work gives, or raises; it is cancelled with who waits here.

        work: given `back`, which has a call made here and waits for it; what the call raises
        is raised here, and the work is cancelled. Once closed, all work counts as cancelled.
        """
        if self._closed:
            raise asyncio.CancelledError
        home = asyncio.get_running_loop()
        calls: asyncio.Queue[tuple[Call, Future[None]] | None] = asyncio.Queue()

        async def back(call: Call) -> None:
            made: Future[None] = Future()
            home.call_soon_threadsafe(calls.put_nowait, (call, made))
            await asyncio.wrap_future(made)

        there = asyncio.run_coroutine_threadsafe(work(back), self._place())
        done = asyncio.wrap_future(there)
        done.add_done_callback(lambda _: calls.put_nowait(None))
        try:
            while (wanted := await calls.get()) is not None:
                call, made = wanted
                if made.set_running_or_notify_cancel():
                    await call()
                    made.set_result(None)
            return done.result()
        finally:
            done.cancel()

    async def close(self, seconds: float) -> None:
        """Cancel what is under way and end the thread; one that has not ended in that time is
        left behind, and keeps no process from ending."""
        self._closed = True
        if self._begun is not None:
            (loop, thread), self._begun = self._begun, None
            loop.call_soon_threadsafe(self._over.set)
            await asyncio.to_thread(thread.join, seconds)

    def _place(self) -> asyncio.AbstractEventLoop:
        if self._begun is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(
                target=self._live, args=(loop,), name=self._name, daemon=True
            )
            thread.start()
            self._begun = loop, thread
        return self._begun[0]

    def _live(self, loop: asyncio.AbstractEventLoop) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._over.wait())
