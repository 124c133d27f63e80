"""The processes of one plugin: a warm pool with a queue before it, and who may have one next.

Agents take turns, so that one with many calls does not keep the others out. A process that
ends while it works fails that one call; too many deaths in a short time and the plugin is in
quarantine: its calls fail at once, and may be tried again.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_types import CallToolResult

from portico.clock import Clock
from portico.events.emit import Emit
from portico.events.metrics import Metrics
from portico.events.running import PluginDied as Died
from portico.events.running import PluginEnded, PluginQuarantined, PluginStarted
from portico.plugins import contract, usage
from portico.plugins.faults import (
    PluginAway,
    PluginDied,
    PluginError,
    PluginNonsense,
    PluginTimeout,
)
from portico.plugins.process import Process
from portico.spec.plugin import Plugin, Tool
from portico.workers.intensity import Intensity

Leaving = Callable[[], Awaitable[None]]


async def at_once() -> None:
    """Nothing needs to be done before a call leaves."""


@dataclass(slots=True, eq=False)
class CrewMember:
    """A process and what is known of it. ready: it answers. why: set once it is not to be used
    any more."""

    process: Process
    since: float
    ready: bool = False
    busy: bool = True
    why: str = ""
    memory: int = 0
    cpu: float = 0.0


@dataclass(slots=True)
class LiveCall:
    """A call that runs or waits. since: monotonic. progress, total: as the plugin says."""

    agent: str
    tool: str
    signal: str
    since: float
    progress: float = 0.0
    total: float | None = None


@dataclass(frozen=True, slots=True)
class CrewWorld:
    """What a crew uses of the engine. environ: its environment."""

    clock: Clock
    emit: Emit
    metrics: Metrics
    environ: Mapping[str, str]
    root: Path


@dataclass(slots=True)
class _Queue:
    """Who waits, by agent; agents take turns."""

    waiting: dict[str, deque[asyncio.Future[CrewMember]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self.waiting.values()))

    def add(self, agent: str, one: asyncio.Future[CrewMember]) -> None:
        self.waiting.setdefault(agent, deque()).append(one)

    def next(self) -> asyncio.Future[CrewMember] | None:
        """The one whose turn it is; those who gave up are passed over."""
        while self.waiting:
            agent = next(iter(self.waiting))
            theirs = self.waiting.pop(agent)
            one = theirs.popleft()
            if theirs:
                self.waiting[agent] = theirs
            if not one.done():
                return one
        return None


class Crew:
    """One plugin's processes."""

    def __init__(self, plugin: Plugin, tools: Mapping[str, Tool], world: CrewWorld) -> None:
        self.plugin = plugin
        self.tools = tools
        self._world = world
        self._members: set[CrewMember] = set()
        self._queue = _Queue()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._intensity = Intensity()
        self._leaving = ""
        self._cpu = 0.0  # of those that ended

    async def call(
        self,
        agent: str,
        tool: str,
        arguments: dict[str, Any],
        limit: float,
        progress: Callable[[float, float | None], None],
        leaving: Leaving = at_once,
    ) -> CallToolResult:
        """Have a process do it. leaving: awaited once it is free, before it is told. Raises
        PluginError."""
        member = await self._seat(agent, limit)
        given_up = False
        try:
            await leaving()
            return await member.process.call(tool, arguments, limit, progress)
        except (PluginTimeout, asyncio.CancelledError):  # the plugin was told
            given_up = True
            self._task(self._settle(member))
            raise
        except (PluginDied, PluginNonsense) as error:
            error.transient = self.plugin.idempotent
            raise
        finally:
            if not given_up:
                self._back(member)

    def fill(self) -> None:
        """Start what is missing to the fewest."""
        while self._may_start() and len(self._active()) < self.plugin.pool.fewest:
            self._start()

    async def warm(self) -> None:
        """Wait until the first processes answer, or have failed to."""
        while any(not member.ready for member in self._active()):
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    def watch(self) -> None:
        """Look at memory, at who idles; start what is missing."""
        now, limit = self._world.clock.monotonic(), self.plugin.limits.memory
        for member in list(self._members):
            found = usage.of(member.process.pid)
            member.memory, member.cpu = found.memory, max(found.cpu, member.cpu)
            if found.memory > limit and not member.why:
                member.why = "memory"
                member.process.end(PluginDied("passed limits.memory"))
            elif self._idle(member, now):
                self._dismiss(member, "idle")
        self.fill()

    async def leave(self, why: str) -> None:
        """Take no more; end each process once it is free."""
        self._leaving = why
        while (waits := self._queue.next()) is not None:
            waits.set_exception(PluginAway("the plugin is being replaced"))
        for member in list(self._members):
            if not member.busy:
                self._dismiss(member, why)
        while self._members or self._tasks:
            await asyncio.wait([*self._tasks, *(m.process.gone for m in self._members)])
            await asyncio.sleep(0)

    def cut(self) -> None:
        """End every process now."""
        for member in self._members:
            member.why = member.why or "stopped"
            member.process.end()

    def status(self) -> dict[str, Any]:
        """Numbers for people and metrics."""
        members = [member for member in self._members if not member.why]
        return {
            "version": self.plugin.version,
            "processes": len(members),
            "busy": sum(member.busy for member in members),
            "idle": sum(not member.busy for member in members),
            "queue": len(self._queue),
            "quarantined": self.quarantined,
            "memory": sum(member.memory for member in self._members),
            "cpu": self._cpu + sum(member.cpu for member in self._members),
            "pids": sorted(member.process.pid for member in members if member.process.pid),
        }

    @property
    def quarantined(self) -> bool:
        """Its processes died too often a moment ago."""
        return self._world.clock.monotonic() < self._intensity.until

    async def _seat(self, agent: str, limit: float) -> CrewMember:
        if self._leaving or self.quarantined:
            raise PluginAway("in quarantine" if self.quarantined else "being replaced")
        free = next((m for m in self._members if not m.busy and not m.why), None)
        if free is not None:
            free.busy = True
            return free
        if len(self._queue) >= self.plugin.pool.queue:
            raise PluginAway(f"{len(self._queue)} calls wait already (pool.queue)")
        waits: asyncio.Future[CrewMember] = asyncio.get_running_loop().create_future()
        self._queue.add(agent, waits)
        if self._may_start() and len(self._queue) > self._starting():
            self._start()
        try:
            async with asyncio.timeout(limit):
                return await waits
        except (TimeoutError, asyncio.CancelledError) as gave_up:
            if waits.done() and not waits.cancelled() and not waits.exception():
                self._back(waits.result())
            if isinstance(gave_up, TimeoutError):
                raise PluginAway("no process was free within the time limit") from None
            raise

    def _active(self) -> list[CrewMember]:
        return [member for member in self._members if not member.why]

    def _starting(self) -> int:
        return sum(not member.ready for member in self._active())

    def _may_start(self) -> bool:
        full = len(self._active()) >= self.plugin.pool.most
        return not (full or self._leaving or self.quarantined)

    def _start(self) -> None:
        process = Process(self.plugin.limits.answer)
        member = CrewMember(process, self._world.clock.monotonic())
        self._members.add(member)
        self._task(self._ready(member))
        self._task(self._bury(member))

    async def _ready(self, member: CrewMember) -> None:
        world, process, began = self._world, member.process, self._world.clock.monotonic()
        try:
            await contract.start(process, self.plugin, self.tools, world.root, world.environ)
        except PluginError as error:
            member.why = member.why or "unready"
            process.end(error)
            return
        seconds = world.clock.monotonic() - began
        world.emit(PluginStarted(self.plugin.name, process.pid, seconds))
        world.metrics.plugin_started(self.plugin.name)
        member.ready = True
        self._back(member)

    async def _settle(self, member: CrewMember) -> None:
        """After a call that was given up: of use again only when it still hears, else ended."""
        if not await member.process.answers():
            member.why = member.why or "timeout"
        self._back(member)

    async def _bury(self, member: CrewMember) -> None:
        """Once it is gone: say how, count it, have another."""
        process = member.process
        how = await process.gone
        why = member.why or _why(process.fault)
        member.why = why
        self._members.discard(member)
        self._cpu += member.cpu
        self._world.metrics.plugin_exited(self.plugin.name, why)
        if why in ("idle", "recycled", "retired", "stopped"):
            self._world.emit(PluginEnded(self.plugin.name, process.pid, why, process.runs))
        else:
            told = str(process.fault) if process.fault else how
            self._world.emit(Died(self.plugin.name, process.pid, why, told, process.runs))
            self._count_death()
        if self._may_start() and len(self._queue) > self._starting():
            self._start()
        self.fill()

    def _count_death(self) -> None:
        storm = self._intensity.died(self._world.clock.monotonic())
        if storm is not None:
            self._world.emit(PluginQuarantined(self.plugin.name, *storm))
            while (waits := self._queue.next()) is not None:
                waits.set_exception(PluginAway("in quarantine"))

    def _back(self, member: CrewMember) -> None:
        """It is free: for who waits, or for later."""
        member.since = self._world.clock.monotonic()
        if member.why or member.process.fault or member.process.gone.done():
            return
        if self._leaving or member.process.runs >= self.plugin.pool.recycle:
            self._dismiss(member, self._leaving or "recycled")
            return
        waits = self._queue.next()
        member.busy = waits is not None
        if waits is not None:
            waits.set_result(member)

    def _idle(self, member: CrewMember, now: float) -> bool:
        spare = len(self._active()) > self.plugin.pool.fewest
        quiet = now - member.since > self.plugin.pool.idle
        return spare and quiet and not member.busy and not member.why

    def _dismiss(self, member: CrewMember, why: str) -> None:
        member.why, member.busy = why, True
        self._task(member.process.leave())

    def _task(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _why(fault: PluginError | None) -> str:
    if isinstance(fault, PluginNonsense):
        return "nonsense"
    if isinstance(fault, PluginTimeout):
        return "timeout"
    return "unready" if isinstance(fault, PluginAway) else "crashed"
