"""People at work while everything runs: pauses, reloads, releases, discards, edits and cancels
at any moment, and kills among them."""

import asyncio
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import psycopg
import pytest

from drills import oracle
from drills.appliance import until
from drills.drill import Drill, Plan
from drills.places import DESTINATION
from drills.sink import Received

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

PLAN = Plan(sinks=("lab", "ward"), connections=8, patients=48, pace=0.02, patience=120.0)
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
ACTED = """
    select distinct s.control_id from signal s join act a on a.signal = s.id
    where %s::text[] in ('{}', array[a.what])
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

    @asynccontextmanager
    async def api(self) -> AsyncIterator[httpx2.AsyncClient]:
        """/v1 over the control socket."""
        path = str(self.drill.appliance.data / "control.sock")
        wire = httpx2.AsyncHTTPTransport(uds=path)
        async with httpx2.AsyncClient(transport=wire, base_url="http://engine") as client:
            yield client

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """What /v1 says; None where it says that this cannot be done now."""
        async with self.api() as client:
            said = await client.request(method, f"/v1{path}", timeout=30, **more)
        if said.status_code in (404, 409, 422, 503):
            return None
        return said.raise_for_status().json()

    async def wish(self) -> None:
        """Pause or resume an agent, a destination or the channel."""
        chance = self.drill.chance
        scope, name = chance.choice(
            [
                *(("agents", f"{name}_agent") for name in self.drill.sinks for _ in range(3)),
                *(("destinations", name) for name in self.drill.sinks),
                ("channels", "adt"),
            ]
        )
        verbs = ["pause", "resume", "resume"] if scope == "channels" else ["pause", "resume"]
        await self.ask("POST", f"/{scope}/{name}/{chance.choice(verbs)}")

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

    async def work(self, seconds: float) -> None:
        """Act for so long, several at once."""
        acts: list[Callable[[], Awaitable[None]]] = [
            *(self.wish,) * 8,
            *(self.release,) * 2,
            *(self.discard, self.edit, self.cancel, self.cancel, self.reload),
        ]
        end = time.monotonic() + seconds
        kills = 0
        while time.monotonic() < end:
            some = self.drill.chance.choices(acts, k=self.drill.chance.randint(1, 4))
            await asyncio.gather(*(self._do(one) for one in some))
            await self.drill.run(0.0, 0.3)
            if kills < int(seconds / 20) and self.drill.chance.random() < 0.03:
                kills += 1
                await self.kill()

    async def _do(self, act: Callable[[], Awaitable[None]]) -> None:
        self.did[act.__name__] += 1
        self.drill.faults += 1
        await act()

    async def go_home(self) -> None:
        """All goes on, and what is parked goes back until nothing is."""
        for scope, names in (
            ("channels", ["adt"]),
            ("agents", [f"{name}_agent" for name in self.drill.sinks]),
            ("destinations", list(self.drill.sinks)),
        ):
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


def lanes(drill: Drill, got: list[Received], moved: set[str]) -> list[str]:
    """Each patient's messages came in order and without a gap, but for those that a person had
    in hand."""
    story = {(one.sent.patient, one.sent.number): one.sent for one in drill.source.acknowledged}
    faults, last = [], defaultdict[str, int](int)
    for one in got:
        if one.control_id in moved:
            continue
        between = range(last[one.patient] + 1, one.number)
        gap = [n for n in between if story[one.patient, n].control_id not in moved]
        if gap or one.number < last[one.patient]:
            faults.append(f"{one.patient}: {one.number} came after {last[one.patient]}")
        last[one.patient] = max(last[one.patient], one.number)
    return faults[:5]


async def people(drill: Drill, seconds: float) -> People:
    """A drill's work and its oracle."""
    ours = People(drill)
    for sink in drill.sinks.values():
        # One in thirty is refused when it comes first, and waits for a person.
        sink.mood = lambda name, nth: "AR" if nth == 1 and int(name[1:]) % 30 == 7 else "AA"
        sink.settles = ("AA",)
    ours.write()
    async with drill:
        await drill.load()
        await ours.work(seconds)
        await ours.go_home()
        await until(lambda: drill.appliance.pid, 5)
        async with await psycopg.AsyncConnection.connect(drill.conninfo()) as connection:
            moved, gone, edited = [
                {
                    name
                    for (name,) in await (await connection.execute(ACTED, (what,))).fetchall()
                }
                for what in ([], ["discard"], ["edit"])
            ]
        drill.refused = gone.__contains__
        owed = [o.sent for o in drill.source.acknowledged if o.sent.control_id not in gone]
        found = oracle.answers(drill.source, waits=False)
        for sink in drill.sinks.values():
            got = sink.received
            drill.second += oracle.seconds(got)
            for faults in (
                oracle.nothing_missing(owed, got),
                lanes(drill, got, moved),
                oracle.second_deliveries(got, drill.kills),
                oracle.same_bytes([one for one in got if one.control_id not in edited]),
                oracle.no_strangers(drill.source, got),
            ):
                found += [f"{sink.name}: {text}" for text in faults]
        status = await drill.appliance.status()
        found += oracle.books(status) or await oracle.ledger(drill.conninfo(), status)
        found += oracle.gauged(await drill.appliance.metrics(), status)
        found += oracle.quiet(drill.appliance.log.read_text())
        assert not found, drill.told(found)
        print(
            dict(ours.did),
            len(moved),
            "in hand,",
            len(gone),
            "discarded",
            len(edited),
            "edited",
        )
    return ours


async def test_people_act_while_everything_runs(ground, seed, record):
    """P2 to P5 under pauses, releases, discards, edits, cancels, reloads and a kill."""
    drill = Drill(ground / "life", seed, PLAN)
    ours = await people(drill, 20.0)
    assert all(ours.did[name] for name in ("wish", "release", "cancel")), ours.did
    record(drill)


@pytest.mark.drill
async def test_people_act_for_long(ground, seed, record):
    """The same for DRILL_MINUTES, else five."""
    drill = Drill(ground / "life", seed, PLAN)
    await people(drill, 60.0 * float(os.environ.get("DRILL_MINUTES") or 5))
    record(drill)
