"""The engine killed while models talk and tools act: nothing recorded is asked for again."""

import asyncio
import json
import os
import sys

import psycopg
import pytest

from drills.drill import Drill, Plan
from drills.talking import TOOL, Witness, book
from plugins import programs
from portico.cli.control import Engine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

AGENT = """\
---
agent: talks
goal: A step books a bed and a model another, and a second model reads the message
on: {channel: adt}
steps:
  - plugin: {call: beds.book, with: {id: "step {MSH-10}"}, into: given, timeout: 10s}
    on_error: continue
  - llm:
      prompt: transforms/book.md
      output: transforms/s.json
      into: booked
      phi: allowed
      model: {sim: attacker}
      capabilities: beds
      rounds: '2'
    on_error: continue
  - llm:
      {prompt: transforms/read.md, output: transforms/s.json, into: found, phi: allowed,
       capabilities: hl7}
"""
CONFIG = """\
providers: {sim: {phi: allowed, address: script.json}}
capabilities: {beds: {tools: {beds.book: {approve: always, phi: none}}}}
"""
ROWS = """
    select c.signal::text, s.control_id, c.step, c.verb, encode(c.digest, 'hex'), c.error,
        octet_length(c.outcome) > 0
    from call c join signal s on s.id = c.signal order by c.at
    """
WAITING = "select count(*) from waiting"


PLAN = Plan(pace=0.05, connections=4, patients=32)


def equip(drill, witness):
    """The agent, its prompts, its models and the plugin."""
    root = drill.site.root
    body = book(witness.port)
    programs.install(root, "beds", TOOL, body, sockets="yes", pool={"fewest": "0"})
    order = 'call the tool beds_book with {{"id": "{MSH-10}"}}'
    (root / "transforms/book.md").write_text(order)
    (root / "transforms/read.md").write_text("Read {MSH-10}")
    schema = {"type": "object", "properties": {"code": {"enum": ["A", "B"]}}}
    (root / "transforms/s.json").write_text(json.dumps(schema))
    read = {"$call": [{"tool": "hl7_read", "with": {"path": "PID-3.1"}}]}
    script = {"way": "fixed", "answers": [[read, {"code": "A"}]], "delay": 0.02}
    (root / "script.json").write_text(json.dumps(script))
    drill.site.configure(CONFIG)
    drill.site.write(AGENT)


async def rows(drill, statement):
    """Of the living journal."""
    link = await psycopg.AsyncConnection.connect(drill.conninfo())
    async with link as connection:
        return await (await connection.execute(statement)).fetchall()


async def decide(drill):
    """Be the person: what is in doubt was done. Until every session has ended; fails when
    nothing has ended for a while."""
    engine, least, patience = Engine(drill.site.root), 1 << 30, 0
    while patience < 900:
        found = await asyncio.to_thread(engine.call, "GET", "/v1/reviews", {"phi": "false"})
        for one in found["reviews"]:
            body = {"id": one["id"], "verdict": "approved", "answer": None}
            await asyncio.to_thread(engine.call, "POST", "/v1/reviews", {}, body)
        [(left,)] = await rows(drill, WAITING)
        if not found["reviews"] and left == 0:
            return
        patience = patience + 1 if left >= least else 0
        least = min(left, least)
        await asyncio.sleep(0.05)
    raise AssertionError("sessions have not ended")


async def talked(drill, witness, kills):
    """Load, kills at any moment, and what the journal and the witness say then."""
    equip(drill, witness)
    async with drill:
        await drill.load()
        for _ in range(kills):
            await drill.run(0.02, 0.6)
            await drill.kill_engine(look=False)
        await drill.source.end()
        await decide(drill)
        found = await rows(drill, ROWS)
        sessions = "select count(*), count(distinct signal) from session where agent = 'talks'"
        [(all_sessions, signals)] = await rows(drill, sessions)
    assert all_sessions == signals > 0
    return judged(found, witness.seen)


def judged(found, seen):
    """Counts of what was done; asserts that nothing was done twice."""
    ended, answered, sent = {}, {}, {}
    for signal, control_id, step, verb, digest, error, outcome in found:
        key = signal, step, digest
        if verb == "converse":
            assert error != "call.open", "a turn without its end"
            ended[signal, step] = ended.get((signal, step), 0) + 1
        elif verb == "llm":
            assert key not in answered, "asked again though the answer was recorded"
            if not error:
                answered[key] = True
        elif verb == "tool" and step == "llm_1":
            sent.setdefault(control_id, set()).add(digest)
            assert error in ("", "call.open", "tool.unclear") and (outcome or error)
        elif verb == "plugin":
            sent[f"step{control_id}"] = {digest}
            assert error in ("", "plugin.unclear", "plugin.away")
    assert set(ended.values()) == {1}, "a turn has one end"
    for control_id in set(seen):
        assert seen.count(control_id) <= len(sent[control_id]), "called twice"
    return len(ended), len(answered), len(seen)


async def test_four_kills_amid_conversations(ground, seed, monkeypatch, journal_url):
    """No recorded answer is asked for again, no bed booked twice; each turn ends once."""
    witness = await Witness().start()
    drill = Drill(ground, seed, PLAN, journal=journal_url)
    monkeypatch.setenv("PORTICO_DATA", str(drill.appliance.data))

    turns, answers, booked = await talked(drill, witness, 4)

    assert min(turns, answers, booked) > 0


@pytest.mark.drill
async def test_two_hundred_kills_amid_conversations(
    ground, seed, monkeypatch, record, journal_url
):
    """The deck: DRILL_KILLS of them."""
    witness = await Witness().start()
    drill = Drill(ground, seed, PLAN, journal=journal_url)
    monkeypatch.setenv("PORTICO_DATA", str(drill.appliance.data))

    done = await talked(drill, witness, int(os.environ.get("DRILL_KILLS", "200")))

    print("{} turns, {} recorded answers, {} bookings".format(*done))
    record(drill)
