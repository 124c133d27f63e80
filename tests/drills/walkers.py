"""People who change the site, replay and resend while everything runs: destinations, agents and
channels come, go, move and get other names while they have queues."""

import asyncio
import itertools
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from drills.appliance import until
from drills.feeds import Feed, FolderLine
from drills.people import Act, People
from drills.places import DESTINATION
from ports import free_port

SITE = """\
channel: {adt}
{was_adt}source: {{type: mllp, listen: "127.0.0.1:{inbound}", connections: 500}}
order_by: PID-3.1
---
channel: files
source: {{type: folder, path: {files}, every: 200ms, ready: rename}}
order_by: PID-3.1
---
agent: {direct}
{was_direct}goal: Send every message on to the laboratory, reload {reload}
on: {{channel: {adt}}}
steps:
  - python: transforms.stamp:stamp
  - send: {lab}
---
agent: first
goal: Emit every message for the ward, reload {reload}
on: {{channel: {adt}}}
steps:
  - python: transforms.stamp:stamp
  - emit: {{signal: copy}}
---
agent: second
goal: Send on what the first one emits
on: {{signal: copy}}
steps:
  - send: ward
---
agent: desk_agent
goal: Send on what files bring, reload {reload}
on: {{channel: files}}
steps:
  - python: transforms.stamp:stamp
  - send: desk
"""
ANNEX = """\
---
agent: annex_agent
goal: Send every message on to a destination that comes and goes
on: {{channel: {adt}}}
steps:
  - python: transforms.stamp:stamp
  - send: annex
"""
# What gets other names, and how it is called first.
NAMES = {"adt": "adt", "direct": "direct", "lab": "lab"}
SINKS = ("lab", "ward", "desk", "annex")


@dataclass(slots=True)
class Backup:
    """A backup: where it lies, and what had been acknowledged before it began."""

    folder: Path
    acknowledged: list[str]


@dataclass(slots=True)
class Walkers(People):
    """People who do all that.

    names: what each noun is called now; were: what it was called before. annexed: the annex is
    a part of the site. cuts: by sink, monotonic moments at which what was out there may have
    become unclear.
    """

    names: dict[str, str] = field(default_factory=NAMES.copy)
    were: dict[str, str] = field(default_factory=dict)
    annexed: bool = True
    cuts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    backups: list[Backup] = field(default_factory=list)
    feed: Feed = field(init=False)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _alive: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._folder().mkdir(parents=True)
        self.feed = Feed(
            0,
            "F",
            self.drill.chance,
            connections=3,
            patients=9,
            pace=0.1,
            kind=lambda: FolderLine(self._folder()),
        )
        self.drill.feeds = [self.feed]

    def _folder(self) -> Path:
        return self.drill.folder / "in"

    def write(self) -> None:
        """The site as it is to be now."""
        site = self.drill.site
        text = SITE.format(
            inbound=site.inbound,
            files=self._folder(),
            reload=self.did["reload"],
            **self.names,
            **{f"was_{name}": self._was(name) for name in NAMES},
        )
        if self.annexed:
            text += ANNEX.format(**self.names)
        for one in site.targets:
            if one.name != "annex" or self.annexed:
                text += DESTINATION.format(
                    name=self.names.get(one.name, one.name),
                    port=one.port,
                    width=8,
                    timeout="2s",
                    more=self._was(one.name),
                )
        site.channels.write_text(text)

    def _was(self, name: str) -> str:
        return f"was: {self.were[name]}\n" if name in self.were else ""

    def nouns(self) -> dict[str, list[str]]:
        """What stands in the site now."""
        names = self.names
        annex = ["annex"] if self.annexed else []
        return {
            "agents": [names["direct"], "first", "second", "desk_agent"]
            + ["annex_agent"] * self.annexed,
            "destinations": [names["lab"], "ward", "desk", *annex],
            "channels": [names["adt"], "files"],
        }

    def acts(self) -> list[Act]:
        """The others' acts, and these."""
        return [
            *People.acts(self),
            *(self.replay,) * 4,
            *(self.resend,) * 3,
            *(self.preview, self.cancel_job, self.cancel_job, self.drain, self.drain),
            *(self.move, self.annex, self.annex, self.down, self.down, self.purge),
            *(self.rename, self.backup, self.kill),
        ]

    async def _ids(self, most: int, **wanted: str) -> list[str]:
        page = await self.ask("GET", "/signals", params={"limit": 200, **wanted})
        ids = [one["id"] for one in page["signals"]] if page else []
        self.drill.chance.shuffle(ids)
        return ids[:most]

    async def _choice(self) -> dict[str, object]:
        """Which Signals a replay is to take: of one patient, or by id."""
        chance = self.drill.chance
        wanted: dict[str, object] = {
            "as_recorded": chance.random() < 0.4,
            "rate": chance.choice([30, 300, 3000]),
        }
        if chance.random() < 0.5:
            channel = chance.choice([self.names["adt"], "files", "signal:copy"])
            patient = f"DP{chance.randrange(self.drill.plan.patients)}"
            return wanted | {"channel": channel, "patient": patient}
        return wanted | {"signals": await self._ids(chance.choice([1, 10, 60]))}

    async def replay(self) -> None:
        """A job."""
        wanted = await self._choice()
        if wanted.get("signals") or "patient" in wanted:
            await self.ask("POST", "/replays", json=wanted)

    async def preview(self) -> None:
        """What a job would do."""
        wanted = await self._choice()
        await self.ask("POST", "/replays/preview", params={"most": 20}, json=wanted)

    async def _jobs(self) -> list[str]:
        jobs = await self.ask("GET", "/replays", params={"limit": 1000})
        return [one["id"] for one in jobs or () if one["state"] == "running"]

    async def cancel_job(self) -> None:
        """One that runs ends."""
        if running := await self._jobs():
            await self.ask("POST", f"/replays/{self.drill.chance.choice(running)}/cancel")

    async def resend(self) -> None:
        """What a destination got is sent to it once more."""
        to = self.drill.chance.choice(self.nouns()["destinations"])
        for one in await self._ids(3, state="done"):
            await self.ask("POST", "/resend", json={"id": one, "to": to})

    async def drain(self) -> None:
        """Drain or stop a destination or a channel."""
        chance, verb = self.drill.chance, self.drill.chance.choice(["drain", "stop"])
        scope = chance.choice(["channels", "destinations", "destinations"])
        name = chance.choice(self.nouns()[scope])
        await self.ask("POST", f"/{scope}/{name}/{verb}")
        self._cut(name)
        if scope == "channels":
            await self.ask("POST", f"/{scope}/{name}/resume")

    def _cut(self, name: str) -> None:
        sink = next((role for role, now in self.names.items() if now == name), name)
        self.cuts[sink].append(time.monotonic())

    async def down(self) -> None:
        """A destination is away for a moment."""
        sink = self.drill.sinks[self.drill.chance.choice(SINKS)]
        async with self._changing:
            self._cut(sink.name)
            await sink.stop()
            await self.drill.run(0.0, 1.0)
            await sink.start()

    async def reload(self) -> None:
        """New versions of all agents."""
        async with self._changing:
            await People.reload(self)

    async def move(self) -> None:
        """A destination gets another address."""
        name = self.drill.chance.choice(SINKS)
        sink = self.drill.sinks[name]
        async with self._changing:
            self._cut(name)
            await sink.stop()
            sink.port = free_port()
            self.drill.site.targets = tuple(
                replace(one, port=sink.port) if one.name == name else one
                for one in self.drill.site.targets
            )
            await sink.start()
            await People.reload(self)

    async def annex(self) -> None:
        """A destination and its agent leave the site, or are there again."""
        async with self._changing:
            self._cut("annex")
            self.annexed = not self.annexed
            await People.reload(self)

    async def rename(self) -> None:
        """A noun gets another name: the engine starts itself again."""
        async with self._changing:
            role = self.drill.chance.choice(list(NAMES))
            self.were[role] = self.names[role]
            self.names[role] = f"{role}{next(self._numbers)}"
            for sink in SINKS:
                self._cut(sink)
            await People.reload(self)
            await self.there()

    async def there(self) -> None:
        """The engine is there, and has all names of the site."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            status = await self.ask("GET", "/status")
            if status and self.names["adt"] in status["channels"] and self._named(status):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(self.drill.told(["it did not come back with its new names"]))

    def _named(self, status: dict[str, dict[str, object]]) -> bool:
        wanted = set(self.nouns()["destinations"])
        return status["state"] == "ready" and wanted <= set(status["destinations"])

    async def purge(self) -> None:
        """A round of retention."""
        await self.ask("POST", "/retention")

    async def backup(self) -> None:
        """A backup, with all that goes on."""
        if len(self.backups) > 1:
            return
        folder = self.drill.folder / f"backup{next(self._numbers)}"
        sources = (self.drill.source, self.feed)
        known = [one.sent.control_id for source in sources for one in source.acknowledged]
        async with self._alive:  # a kill in the middle would be no backup
            await self.drill.appliance.ask("backup", str(folder))
        self.backups.append(Backup(folder, known))

    async def kill(self) -> None:
        """The engine dies, and a job with it."""
        async with self._alive:
            for sink in SINKS:
                self._cut(sink)
            await People.kill(self)
            for name in self.nouns()["channels"]:  # else there is little to judge
                await self.ask("POST", f"/channels/{name}/resume")

    async def go_home(self) -> None:
        """All is there and goes on, all jobs have ended, and nothing is parked."""
        self.annexed = True
        await self.there_again()
        await People.go_home(self)
        await self.feed.finish(60)
        patience = self.drill.plan.patience
        end = time.monotonic() + patience
        while await self._jobs():
            assert time.monotonic() < end, self.drill.told(["a job goes on for ever"])
            await asyncio.sleep(0.2)
        await People.go_home(self)

    async def there_again(self) -> None:
        """The site as it is at the end is in force."""
        self.write()
        await self.ask("POST", "/reload")
        await self.there()
        await until(lambda: self.drill.appliance.pid, 5)
