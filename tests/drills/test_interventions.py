"""People step in while models talk, tools act and reviews wait: at any moment, several at once,
with the provider in every mood and the engine, its workers and a plugin killed among it."""

import asyncio
import json
import os
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from drills import oracle
from drills.appliance import children, command
from drills.drill import Drill, Plan
from drills.people import Act, People
from drills.places import DESTINATION
from drills.talking import TOOL, Moods, Witness, book
from plugins import programs
from portico.llm.simserver import SimServer
from ports import free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

PLAN = Plan(pace=0.8, connections=6, patients=24, patience=330.0)
SITE = """\
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{inbound}", connections: 500}}
order_by: PID-3.1
---
agent: talks
goal: A step books a bed, a model another, a second model reads, a person looks, reload {reload}
on: {{channel: adt}}
retry: {{first: 50ms, most: 200ms}}
steps:
  - plugin: {{call: beds.book, with: {{id: "step {{MSH-10}}"}}, into: given, timeout: 5s}}
  - llm:
      {{prompt: transforms/book.md, output: transforms/s.json, into: booked, phi: allowed,
       model: {{far: m}}, capabilities: beds, rounds: '4', timeout: 1s, review: always}}
  - llm:
      {{prompt: transforms/read.md, output: transforms/s.json, into: found, phi: allowed,
       model: {{far: m}}, capabilities: hl7, timeout: 1s,
       budget: {{tokens: '60000', per: 1s}},
       review: {{when: {{found/code: B}}, meanwhile: continue}}}}
  - send: lab
"""
CONFIG = """\
providers:
  far: {{type: openai, address: "http://127.0.0.1:{port}/v1", model: m, phi: allowed}}
capabilities: {{beds: {{tools: {{beds.book: {{approve: {approve}, phi: none}}}}}}}}
"""
CALLS = """
    select c.signal::text, s.control_id, c.step, c.verb, encode(c.digest, 'hex'), c.error
    from call c join signal s on s.id = c.signal order by c.at
    """
ENDS = """
    select s.control_id, n.agent, n.verdict, n.error from session n
    join signal s on s.id = n.signal
    """
LEFT = """select (select count(*) from waiting) + (select count(*) from queued)
    + (select count(*) from parked)"""
ACTS = "select s.control_id, a.what from act a join signal s on s.id = a.signal"
_ASKED = ("llm", "plugin", "review", "review_meanwhile")


@dataclass(slots=True, kw_only=True)
class Interveners(People):
    """Who steps in, too: with models, tools and reviews."""

    moods: Moods
    witness: Witness
    port: int = field(default_factory=free_port)

    def equip(self) -> None:
        """The site."""
        root = self.drill.site.root
        body = book(self.witness.port)
        programs.install(root, "beds", TOOL, body, sockets="yes", pool={"fewest": "0"})
        schema = {"type": "object", "properties": {"code": {"enum": ["A", "B"]}}}
        (root / "transforms/s.json").write_text(json.dumps(schema))
        approve = self.drill.chance.choice(("always", "review"))
        self.drill.site.configure(CONFIG.format(port=self.port, approve=approve))
        self.write()

    def write(self) -> None:
        """The agent and its prompts, as often as it was reloaded."""
        site, number = self.drill.site, self.did["reload"]
        book_one = 'call the tool beds_book with {{"id": "{MSH-10}"}} '
        read_one = 'call the tool hl7_read with {{"path": "PID-3.1"}} '
        for name, order in (("book", book_one), ("read", read_one)):
            text = f"{order} of {{MSH-10}}, edition {number}"
            (site.root / f"transforms/{name}.md").write_text(text)
        text = SITE.format(inbound=site.inbound, reload=number)
        for one in site.targets:
            text += DESTINATION.format(
                name=one.name, port=one.port, width=8, timeout="2s", more=""
            )
        site.channels.write_text(text)

    def nouns(self) -> dict[str, list[str]]:
        """The agent alone."""
        return {"agents": ["talks"]}

    def acts(self) -> list[Act]:
        """What they do, as often as it stands here."""
        return [
            *(self.review,) * 8,
            *(self.wish, self.release, self.cancel) * 3,
            *(self.mood,) * 2,
            *(self.discard, self.reload, self.look, self.kill_worker, self.kill_plugin),
        ]

    async def look(self) -> None:
        """Live sessions and what a Signal says of itself are looked at."""
        page = await self.ask("GET", "/signals", params={"state": "waiting", "limit": 20})
        for one in page["signals"][:3] if page else []:
            await self.ask("GET", f"/signals/{one['id']}")
            await self.ask("GET", f"/signals/{one['id']}/egress")

    async def review(self, most: int = 8, only: str = "") -> None:
        """Some answers are approved, changed or rejected."""
        found = await self.ask("GET", "/reviews")
        waiting = [one["id"] for one in found["reviews"]] if found else []
        self.drill.chance.shuffle(waiting)
        await asyncio.gather(*(self._decide(one, only) for one in waiting[:most]))

    async def _decide(self, name: str, only: str) -> None:
        verdict = only or self.drill.chance.choice(("approved", "edited", "rejected"))
        step = name.rpartition("/")[2].isdigit()
        answer = {"code": "B"} if step else {"id": "changed"}
        said = {"id": name, "verdict": verdict, "answer": answer}
        await self.ask("POST", "/reviews", json=said)

    async def mood(self) -> None:
        """The provider changes its mind."""
        self.moods.mood = self.drill.chance.choice((None, None, 400, 429, 500, "slow", "cut"))

    async def kill_worker(self) -> None:
        """A worker dies."""
        if pids := self.drill.appliance.workers():
            await self.drill.fault([self.drill.chance.choice(pids)])

    async def kill_plugin(self) -> None:
        """A process of the plugin dies."""
        own = children(self.drill.appliance.pid)
        all_ = (pid for one in own for pid in (one, *children(one)))
        if pids := [pid for pid in all_ if "beds.py" in command(pid)]:
            await self.drill.fault([self.drill.chance.choice(pids)])

    def deadly(self, seconds: float) -> bool:
        """Now and then, however short it is."""
        return self.drill.chance.random() < 0.02

    async def go_home(self) -> None:
        """All goes on: what is parked goes back and reviews are approved, until nothing is
        under way."""
        self.moods.mood = None
        assert await self.ask("POST", "/agents/talks/resume")
        await self.drill.source.finish(60)
        end = time.monotonic() + self.drill.plan.patience
        while time.monotonic() < end:
            await self.release(200)
            await self.review(1000, "approved")
            [(left,)] = await rows(self.drill, LEFT)
            if not left:
                return
            await asyncio.sleep(0.05)


async def rows(drill: Drill, statement: str) -> list[Any]:
    """Of the living journal."""
    async with await psycopg.AsyncConnection.connect(drill.conninfo()) as connection:
        return await (await connection.execute(statement)).fetchall()


def ends(found: list[Any], acts: list[Any], sent: set[str]) -> list[str]:
    """Each message has one end: sent on, or discarded by a person; and each time that it was
    parked a person has acted once."""
    faults, good, parked = [], Counter[str](), Counter[str]()
    acted = Counter(name for name, what in acts if what in ("release", "discard"))
    gone = {name for name, what in acts if what == "discard"}
    for name, _, verdict, _ in found:
        (good if verdict == "deliver" else parked)[name] += 1
    for name in sent | good.keys() | parked.keys():
        if good[name] + (name in gone) != 1:
            faults.append(f"{name}: sent on {good[name]} times, discarded: {name in gone}")
        if parked[name] != acted[name]:
            faults.append(f"{name}: parked {parked[name]} times, acted on {acted[name]} times")
    return faults[:8]


def calls(found: list[Any], acts: list[Any], seen: list[str]) -> list[str]:
    """Nothing recorded is asked for again, each turn has its end, and nothing acts twice
    without a person. A turn that a killed engine left, and that its agent's next version does
    not know, has none."""
    faults, answered = [], set[Any]()
    tools, turns = defaultdict[str, set[str]](set), dict[tuple[str, str], str]()
    released = Counter(name for name, what in acts if what == "release")
    for signal, name, step, verb, digest, error in found:
        key = signal, step, digest
        if verb in _ASKED and key in answered:
            faults.append(f"{name}: {verb} of {step} again though its answer was recorded")
        if not error:
            answered.add(key)
        if verb == "converse":
            turns[name, step] = error
        if verb == "tool" and step == "llm_1":
            tools[name].add(digest)
    for (name, step), error in turns.items():
        if error == "call.open":
            faults.append(f"{name}: a turn of {step} without its end")
    for bed, times in Counter(seen).items():
        name = bed.removeprefix("step")
        most = 1 + released[name] if bed != name else len(tools[name])
        if times > most and bed != "changed":
            faults.append(f"{bed}: booked {times} times, at most {most}")
    return faults[:8]


async def people(drill: Drill, seconds: float, *wanted: str) -> None:
    """A drill's work and its oracle. wanted: acts that must be among it."""
    witness = await Witness().start()
    ours = Interveners(drill, moods=Moods(drill.chance), witness=witness)
    server = SimServer(ours.moods)
    await server.start(ours.port)
    ours.equip()
    async with drill:
        await drill.load()
        await ours.work(seconds, wanted)
        await ours.go_home()
        made, done, acts = [await rows(drill, one) for one in (CALLS, ENDS, ACTS)]
        gone = {name for name, what in acts if what == "discard"}
        owed = [o.sent for o in drill.source.acknowledged if o.sent.control_id not in gone]
        found = oracle.answers(drill.source, waits=False)
        got = drill.sinks["lab"].received
        found += oracle.nothing_missing(owed, got)
        found += oracle.second_deliveries(got, drill.kills)
        found += oracle.no_strangers(drill.source, got)
        found += ends(done, acts, {o.sent.control_id for o in drill.source.acknowledged})
        found += calls(made, acts, witness.seen)
        status = await drill.appliance.status()
        found += oracle.books(status) or await oracle.ledger(drill.conninfo(), status)
        found += oracle.gauged(await drill.appliance.metrics(), status)
        found += oracle.quiet(drill.appliance.log.read_text())
        waits = await ours.ask("GET", "/reviews")
        found += [f"{len(waits['reviews'])} reviews wait"] if waits["reviews"] else []
        print(dict(ours.did), len(owed), "owed", len(witness.seen), "booked")
        assert not found, drill.told(found)
    await server.stop()


async def test_people_step_in_while_models_talk(ground, seed, record):
    """Each message has one end, nothing recorded is asked again, no bed is booked twice."""
    drill = Drill(ground / "life", seed, PLAN)
    await people(drill, 12.0, "review", "release", "cancel")
    record(drill)


@pytest.mark.drill
async def test_people_step_in_for_long(ground, seed, record):
    """The same for DRILL_MINUTES, else five."""
    drill = Drill(ground / "life", seed, PLAN)
    await people(drill, 60.0 * float(os.environ.get("DRILL_MINUTES") or 5))
    record(drill)
