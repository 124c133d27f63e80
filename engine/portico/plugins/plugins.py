"""All plugins of a site, running: the engine's one way to have a tool called."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from portico.clock import Clock
from portico.events.emit import Emit
from portico.events.metrics import Metrics
from portico.plugins import contract
from portico.plugins.crew import Crew, CrewWorld, Leaving, LiveCall, at_once
from portico.plugins.faults import PluginAway, PluginError
from portico.spec.plugin import Plugin, Tool

_TICK = 1.0
_CUT_SECONDS = 3.0

T = TypeVar("T")
Known = Mapping[str, tuple[Plugin, Mapping[str, Tool]]]


class Plugins:
    """The crews by name. What is known of calls that run lives here, in memory alone."""

    def __init__(
        self,
        root: Path,
        environ: Mapping[str, str],
        *,
        clock: Clock,
        emit: Emit,
        metrics: Metrics,
    ) -> None:
        self._world = CrewWorld(clock, emit, metrics, environ, root)
        self._crews: dict[str, Crew] = {}
        self._known: Known = {}
        self._live: dict[int, LiveCall] = {}
        self._calls = 0
        self._leaving: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.Task[None] | None = None
        for name in ("mcp", "client"):  # the SDK's loggers quote what servers say
            logging.getLogger(name).disabled = True

    def adopt(self, known: Known) -> None:
        """Follow a site: start what came, replace what changed, end what went."""
        self._known = known
        for name, crew in list(self._crews.items()):
            if known.get(name) != (crew.plugin, crew.tools):
                self._part(name, "retired")
        for name, (plugin, tools) in known.items():
            if name not in self._crews:
                self._crews[name] = Crew(plugin, tools, self._world)
                self._crews[name].fill()
        if known and self._ticker is None:
            self._ticker = asyncio.get_running_loop().create_task(self._watch())

    async def warm(self, limit: float) -> None:
        """Wait until the first processes answer, or have failed to, at most so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await asyncio.gather(*(crew.warm() for crew in self._crews.values()))

    async def call(
        self,
        agent: str,
        signal: str,
        called: str,
        arguments: dict[str, Any],
        limit: float,
        leaving: Leaving = at_once,
    ) -> bytes:
        """What `plugin.tool` gives, as JSON. limit: seconds, at most the plugin's own.

        agent, signal: for whom. leaving: awaited before a process has it, unless the plugin is
        idempotent. Raises PluginError.
        """
        name, _, tool = called.partition(".")
        crew = self._crews.get(name)
        if crew is None or tool not in crew.tools:
            raise PluginAway(f"the site has no {called} any more", transient=False)
        clock = self._world.clock
        began, outcome = clock.monotonic(), "done"
        self._calls += 1
        number = self._calls
        live = self._live[number] = LiveCall(agent, called, signal, began)

        def progress(done: float, total: float | None) -> None:
            live.progress, live.total = done, total

        try:
            does = crew.tools[tool]
            await _aside(arguments, partial(contract.check_input, name, does, arguments))
            most = min(limit, crew.plugin.limits.timeout)
            first = at_once if crew.plugin.idempotent else leaving
            result = await crew.call(agent, tool, arguments, most, progress, first)
            outcome_of = partial(contract.outcome, crew.plugin, does, result)
            return await _aside(result.structured_content, outcome_of)
        except PluginError as error:
            outcome = error.code.rpartition(".")[2]
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            del self._live[number]
            self._world.metrics.plugin_called(name, outcome, clock.monotonic() - began)

    async def stop(self, grace: float) -> None:
        """End all, within `grace` seconds, then by force."""
        if self._ticker is not None:
            self._ticker.cancel()
        crews = list(self._crews.values())
        for name in list(self._crews):
            self._part(name, "stopped")
        if self._leaving:
            _, late = await asyncio.wait(self._leaving, timeout=grace)
            for crew in crews if late else ():
                crew.cut()
            if late:
                await asyncio.wait(late, timeout=_CUT_SECONDS)

    def status(self) -> dict[str, dict[str, Any]]:
        """By plugin: version, processes, busy, idle, queue, quarantined, memory, cpu, pids."""
        return {name: crew.status() for name, crew in self._crews.items()}

    def live(self, signals: Iterable[str] = ()) -> Iterator[LiveCall]:
        """The calls that run or wait now, of these Signals or of all."""
        wanted = set(signals)
        return (one for one in self._live.values() if not wanted or one.signal in wanted)

    def _part(self, name: str, why: str) -> None:
        crew = self._crews.pop(name)
        task = asyncio.get_running_loop().create_task(crew.leave(why))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            for crew in list(self._crews.values()):
                crew.watch()


async def _aside(value: Any, check: Callable[[], T]) -> T:
    """What it gives; of a value that holds many in a thread, so that the loop goes on."""
    return await asyncio.to_thread(check) if contract.many(value) else check()
