"""One drill: an appliance under load, what is done to it, and what the oracle says after."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from drills import oracle
from drills.appliance import Appliance, until
from drills.message import Sent
from drills.places import SiteFolder, Target
from drills.sink import Sink
from drills.source import Source
from portico.clock import SystemClock
from portico.errors import JournalError
from portico.journal import binaries
from portico.journal.embedded import Embedded
from portico.journal.folder import Folder
from ports import free_port


class Slow(AssertionError):
    """What was to be in time was not: a machine that is busy elsewhere is a reason, too."""


async def in_time(ground: Path, work: Callable[[Path], Awaitable[str]]) -> str:
    """What a drill says of itself; where it was slow it is done twice more, on new ground."""
    for name in "12":
        try:
            return await work(ground / name)
        except Slow as told:
            print(f"slow: {told}")
    return await work(ground / "3")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a drill is set up. more: further lines of every destination's document.

    chained: sinks that a second agent serves. when: of the channel's `acknowledge`. patience:
    seconds that healing may take.
    """

    sinks: tuple[str, ...] = ("lab",)
    chained: tuple[str, ...] = ()
    when: str = "journaled"
    connections: int = 8
    patients: int = 64
    pace: float = 0.01
    timeout: str = "2s"
    more: str = ""
    patience: float = 90.0


@dataclass(slots=True)
class Drill:
    """An appliance on `folder`, its source and its sinks.

    kills: monotonic moments at which the engine died; recoveries: seconds from a fault to
    the next answer. second: how many second deliveries the oracle found explained. deck: the
    kinds of faults that have not had their turn. environ: what else the engine's process
    finds in its environment. feeds: further sources.
    """

    folder: Path
    seed: int
    plan: Plan = field(default_factory=Plan)
    journal: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    kills: list[float] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    second: int = 0
    faults: int = 0
    deck: list[str] = field(default_factory=list)
    feeds: Sequence[Source] = ()
    refused: Callable[[str], bool] = lambda control_id: False
    chance: random.Random = field(init=False)
    sinks: dict[str, Sink] = field(init=False)
    site: SiteFolder = field(init=False)
    appliance: Appliance = field(init=False)
    source: Source = field(init=False)

    def __post_init__(self) -> None:
        plan = self.plan
        self.chance = random.Random(self.seed)
        self.sinks = {name: Sink(name, free_port()) for name in plan.sinks}
        targets = tuple(
            Target(
                one.name,
                one.port,
                timeout=plan.timeout,
                more=plan.more,
                chained=one.name in plan.chained,
            )
            for one in self.sinks.values()
        )
        self.site = SiteFolder(self.folder / "site", free_port(), targets, plan.when)
        self.appliance = self.engine("var")
        self.source = Source(
            self.site.inbound,
            "D",
            random.Random(self.chance.random()),
            plan.connections,
            plan.patients,
            plan.pace,
        )

    def engine(self, data: str) -> Appliance:
        """Another engine on the same site."""
        return Appliance(self.site, self.folder / data, self.journal, self.environ)

    async def __aenter__(self) -> "Drill":
        for sink in self.sinks.values():
            await sink.start()
        try:
            await self.appliance.start()
        except BaseException:  # who does not get in is not asked to leave
            await self.appliance.end()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        for one in (self.source, *self.feeds):
            await one.end()
        await self.appliance.end()
        for sink in self.sinks.values():
            await sink.stop()

    async def load(self) -> None:
        """Begin to send, and wait for the first answer."""
        self.source.start()
        await self.source.acknowledges(0.0)

    async def run(self, least: float, most: float) -> None:
        """Let it work for a moment that nobody can foresee."""
        await asyncio.sleep(self.chance.uniform(least, most))

    async def recover(self, since: float) -> None:
        """Wait for the next answer."""
        try:
            self.recoveries.append(await self.source.acknowledges(since) - since)
        except TimeoutError:
            raise AssertionError(self.told(["no answer for a minute"])) from None

    async def kill_engine(self, look: bool = True) -> None:
        """SIGKILL; look into the journal while it is dead; start it again."""
        await self.appliance.kill()
        self.kills.append(time.monotonic())
        if look:
            await self.inspect()
        since = time.monotonic()
        await self.appliance.start()
        await self.recover(since)

    async def inspect(self) -> None:
        """Every acknowledged message is in the journal of the dead engine."""
        sources = (self.source, *self.feeds)
        acknowledged = [one.sent for source in sources for one in source.acknowledged]
        folder = Folder(self.appliance.data)
        server = Embedded(folder, binaries.find(), lambda event: None, SystemClock())
        try:
            await server.start()
            found = await oracle.journaled(server.conninfo, acknowledged)
        except (JournalError, psycopg.Error) as error:
            found = [f"the journal of the dead engine cannot be read: {type(error).__name__}"]
        finally:
            await server.stop()
            folder.close()
        assert not found, self.told(found)

    async def fault(self, pids: Sequence[int], number: int = signal.SIGKILL) -> float:
        """Send processes a signal; when."""
        for pid in filter(None, pids):  # 0 is nobody here, and all of us for kill(2)
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        self.faults += 1
        return time.monotonic()

    async def heal(self) -> None:
        """End the load; wait until every acknowledged message has been taken."""
        within = self.plan.patience
        try:
            await self.source.finish(within)
        except TimeoutError:
            raise AssertionError(self.told(["senders wait for an answer for ever"])) from None
        wanted = {one.control_id for one in self._owed()}

        def settled() -> bool:
            return all(
                wanted <= {one.control_id for one in sink.received if one.settled}
                for sink in self.sinks.values()
            )

        with suppress(TimeoutError):
            await until(settled, within)

    def _owed(self) -> list[Sent]:
        """What every sink must have taken."""
        sent = (one.sent for one in self.source.acknowledged)
        return [one for one in sent if not self.refused(one.control_id)]

    async def verify(self) -> None:
        """Heal, then ask the oracle everything."""
        await self.heal()
        found = oracle.answers(self.source, self.plan.when != "journaled")
        for sink in self.sinks.values():
            got = sink.received
            self.second += oracle.seconds(got)
            for faults in (
                oracle.nothing_missing(self._owed(), got),
                oracle.order(got),
                oracle.second_deliveries(got, self.kills),
                oracle.same_bytes(got),
                oracle.no_strangers(self.source, got),
            ):
                found += [f"{sink.name}: {text}" for text in faults]
        found = found or await self._books() or oracle.quiet(self.appliance.log.read_text())
        assert not found, self.told(found)

    async def _books(self) -> list[str]:
        """The books, once the last marks are committed."""
        sent = (one.sent.control_id for one in self.source.acknowledged)
        parked = sum(map(self.refused, sent))
        found: list[str] = []
        until = time.monotonic() + min(20.0, self.plan.patience)
        while not found or time.monotonic() < until:
            status = await self.appliance.status()
            found = (
                oracle.books(status, parked)
                or await oracle.ledger(self.conninfo(), status)
                or oracle.gauged(await self.appliance.metrics(), status)
            )
            if not found:
                break
            await asyncio.sleep(0.2)
        return found

    def conninfo(self) -> str:
        """How to ask the journal of the living engine."""
        data = self.appliance.data
        if self.journal:
            return self.journal
        return make_conninfo(
            host=str(data / "run"),
            user="portico",
            password=(data / "secret").read_text().strip(),
            dbname="postgres",
        )

    def told(self, found: Sequence[str]) -> str:
        """What the oracle found, and how to see it again."""
        return f"seed {self.seed}, {len(self.kills)} kills: " + "; ".join(found)

    def result(self) -> str:
        """One line of the table."""
        times = sorted(self.recoveries)
        half = f"{times[len(times) // 2]:.2f}" if times else "-"
        worst = f"{times[-1]:.2f}" if times else "-"
        most = f"{times[len(times) * 99 // 100]:.2f}" if times else "-"
        return (
            f"seed {self.seed}: {len(self.kills)} engine kills, {self.faults} other faults, "
            f"{len(self.source.acknowledged)} acknowledged, {self.source.repeats} repeated, "
            f"{self.second} second deliveries, first answer after {half} s (99 of 100 within "
            f"{most} s, worst {worst} s)"
        )
