"""People at work while everything runs: pauses, reloads, releases, discards, edits and cancels
at any moment, and kills among them."""

import os
import sys
from collections import defaultdict

import psycopg
import pytest

from drills import oracle
from drills.drill import Drill, Plan
from drills.people import People
from drills.sink import Received

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

PLAN = Plan(sinks=("lab", "ward"), connections=8, patients=48, pace=0.02, patience=120.0)
ACTED = """
    select distinct s.control_id from signal s join act a on a.signal = s.id
    where %s::text[] in ('{}', array[a.what])
    """


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


async def people(drill: Drill, seconds: float, *wanted: str) -> None:
    """A drill's work and its oracle. wanted: acts that must be among it."""
    ours = People(drill)
    for sink in drill.sinks.values():
        # One in thirty is refused when it comes first, and waits for a person.
        sink.mood = lambda name, nth: "AR" if nth == 1 and int(name[1:]) % 30 == 7 else "AA"
        sink.settles = ("AA",)
    ours.write()
    async with drill:
        await drill.load()
        await ours.work(seconds, wanted)
        await ours.go_home()
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
        print(dict(ours.did), {"moved": len(moved), "gone": len(gone), "edited": len(edited)})


async def test_people_act_while_everything_runs(ground, seed, record):
    """P2 to P5 under pauses, releases, discards, edits, cancels, reloads and a kill."""
    drill = Drill(ground / "life", seed, PLAN)
    await people(drill, 20.0, "wish", "release", "cancel")
    record(drill)


@pytest.mark.drill
async def test_people_act_for_long(ground, seed, record):
    """The same for DRILL_MINUTES, else five."""
    drill = Drill(ground / "life", seed, PLAN)
    await people(drill, 60.0 * float(os.environ.get("DRILL_MINUTES") or 5))
    record(drill)
