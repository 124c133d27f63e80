"""People at work on an engine under load: what they do, at moments that nobody can foresee."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from drills.drill import Drill
from drills.places import DESTINATION

Act = Callable[[], Awaitable[None]]
_OFTEN = {"agents": 6, "destinations": 2, "channels": 1}
SITE = """\
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{inbound}", connections: 500}}
order_by: PID-3.1
"""
AGENT = """\
---
agent: {name}_agent
goal: Send every message on to the {name}, reload {reload}
on: {{channel: adt}}
steps:
  - python: transforms.stamp:stamp
  - send: {name}
"""


@dataclass(slots=True)
class People:
    """Who acts on the engine of a drill. did: how often each thing was done."""

    drill: Drill
    did: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def write(self) -> None:
        """The site: an agent for each sink, so that each pauses alone."""
        site = self.drill.site
        text = SITE.format(inbound=site.inbound)
        for one in site.targets:
            text += AGENT.format(name=one.name, reload=self.did["reload"])
            text += DESTINATION.format(
                name=one.name, port=one.port, width=8, timeout="2s", more=""
            )
        site.channels.write_text(text)

    def nouns(self) -> dict[str, list[str]]:
        """By scope, agents, destinations and channels: what people may pause."""
        names = list(self.drill.sinks)
        return {
            "agents": [f"{name}_agent" for name in names],
            "destinations": names,
            "channels": ["adt"],
        }

    def acts(self) -> list[Act]:
        """What they do, as often as it stands here."""
        return [
            *(self.wish,) * 8,
            *(self.release,) * 2,
            *(self.discard, self.edit, self.cancel, self.cancel, self.reload),
        ]

    @asynccontextmanager
    async def api(self) -> AsyncIterator[httpx2.AsyncClient]:
        """/v1 over the control socket."""
        path = str(self.drill.appliance.data / "control.sock")
        wire = httpx2.AsyncHTTPTransport(uds=path)
        async with httpx2.AsyncClient(transport=wire, base_url="http://engine") as client:
            yield client

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """What /v1 says; None where it says that this cannot be done now, or nobody is."""
        try:
            async with self.api() as client:
                said = await client.request(method, f"/v1{path}", timeout=30, **more)
        except httpx2.TransportError:
            return None
        if said.status_code in (404, 409, 422, 503):
            return None
        assert said.is_success, self.drill.told([f"{method} {path}: {said.text}"])
        return said.json()

    async def wish(self) -> None:
        """Pause or resume an agent, most often, a destination or a channel."""
        chance, nouns = self.drill.chance, self.nouns()
        scope = chance.choices(list(nouns), [_OFTEN[one] for one in nouns])[0]
        verbs = ["pause", "resume", "resume"] if scope == "channels" else ["pause", "resume"]
        await self.ask("POST", f"/{scope}/{chance.choice(nouns[scope])}/{chance.choice(verbs)}")

    async def parked(self, most: int) -> list[str]:
        """Some of what waits for a person."""
        page = await self.ask("GET", "/parked", params={"limit": 200})
        ids = [one["id"] for one in page["parked"]] if page else []
        self.drill.chance.shuffle(ids)
        return ids[:most]

    async def release(self, most: int = 20) -> None:
        """Some go back."""
        if ids := await self.parked(most):
            await self.ask("POST", "/parked/release", json={"ids": ids})

    async def discard(self) -> None:
        """One is given up."""
        if ids := await self.parked(1):
            await self.ask("POST", "/parked/discard", json={"ids": ids, "reason": "a drill"})

    async def edit(self) -> None:
        """A changed copy takes the place of one."""
        if ids := await self.parked(1):
            await self.ask("POST", "/parked/edit", json={"id": ids[0], "set": {"PV1-3": "W2"}})

    async def cancel(self) -> None:
        """Some that wait are ended."""
        page = await self.ask("GET", "/signals", params={"state": "waiting", "limit": 50})
        ids = [one["id"] for one in page["signals"]] if page else []
        self.drill.chance.shuffle(ids)
        for one in ids[:3]:
            await self.ask("POST", f"/signals/{one}/cancel")

    async def reload(self) -> None:
        """New versions of all agents."""
        self.write()
        await self.ask("POST", "/reload")

    async def kill(self) -> None:
        """The engine dies; PostgreSQL with it, and all workers."""
        await self.drill.appliance.kill()
        self.drill.kills.append(time.monotonic())
        await self.drill.inspect()
        await self.drill.appliance.start()

    def deadly(self, seconds: float) -> bool:
        """Whether the engine is to die now, in a drill of so many seconds."""
        return self.did["kill"] < int(seconds / 20) and self.drill.chance.random() < 0.03

    async def work(self, seconds: float, wanted: Sequence[str] = ()) -> None:
        """Act for so long, and until all that is wanted was done; several at once."""
        acts = self.acts()
        end = time.monotonic() + seconds
        while time.monotonic() < end or not all(self.did[name] for name in wanted):
            some = self.drill.chance.choices(acts, k=self.drill.chance.randint(1, 4))
            await asyncio.gather(*(self._do(one) for one in some))
            await self.drill.run(0.0, 0.3)
            if self.deadly(seconds):
                self.did["kill"] += 1
                await self.kill()

    async def _do(self, act: Act) -> None:
        self.did[act.__name__] += 1
        self.drill.faults += 1
        await act()

    async def go_home(self) -> None:
        """All goes on, and what is parked goes back until nothing is."""
        for scope, names in self.nouns().items():
            for name in names:
                assert await self.ask("POST", f"/{scope}/{name}/resume"), f"{scope} {name}"
        await self.drill.source.finish(60)
        end = time.monotonic() + self.drill.plan.patience
        while time.monotonic() < end:
            await self.release(200)
            status = await self.drill.appliance.status()
            books = [*status["channels"].values(), *status["destinations"].values()]
            open_ = ("waiting", "running", "queued", "sending", "parked")
            if not any(book.get(state, 0) for book in books for state in open_):
                return
            await asyncio.sleep(0.2)
