"""People change, replay, resend, rename, drain and back up while everything runs, and kills
among them."""

import os
import sys
from collections import defaultdict
from collections.abc import Iterable

import pytest

from drills import oracle
from drills.drill import Drill, Plan
from drills.past import Past
from drills.sink import Received
from drills.source import Source
from drills.walkers import SINKS, Backup, Walkers
from portico.clock import SystemClock
from portico.journal import binaries
from portico.journal.embedded import Embedded
from portico.journal.folder import Folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

PLAN = Plan(sinks=SINKS, connections=6, patients=36, pace=0.04, patience=120.0)
HANDLED = ("release", "edit", "discard")


def lanes(source: Source, got: Iterable[Received], moved: set[str]) -> list[str]:
    """Each patient's messages came for the first time in order and without a gap, but for those
    that a person had in hand."""
    story = {(o.sent.patient, o.sent.number): o.sent.control_id for o in source.acknowledged}
    faults, last, seen = [], defaultdict[str, int](int), set(moved)
    for one in got:
        if one.control_id in seen or not one.control_id.startswith(source.name):
            continue
        seen.add(one.control_id)
        between = range(last[one.patient] + 1, one.number)
        gap = [n for n in between if story[one.patient, n] not in moved]
        if gap or one.number < last[one.patient]:
            faults.append(f"{one.patient}: {one.number} came after {last[one.patient]}")
        last[one.patient] = max(last[one.patient], one.number)
    return faults[:5]


async def restored(drill: Drill, backup: Backup) -> list[str]:
    """What is wrong with a journal that was made of a backup."""
    data = drill.folder / f"of-{backup.folder.name}"
    await drill.appliance.ask("restore", str(backup.folder), "--data", str(data))
    folder = Folder(data)
    server = Embedded(folder, binaries.find(), lambda event: None, SystemClock())
    sources = (drill.source, *drill.feeds)
    before = set(backup.acknowledged)
    sent = [o.sent for one in sources for o in one.acknowledged if o.sent.control_id in before]
    try:
        await server.start()
        empty = {"channels": {}, "destinations": {}}
        return [
            *await oracle.journaled(server.conninfo, sent),
            *await oracle.counted(server.conninfo, empty),
        ]
    finally:
        await server.stop()
        folder.close()


async def walk(drill: Drill, seconds: float, *wanted: str) -> None:
    """A drill's work and its oracle. wanted: acts that must be among it."""
    ours = Walkers(drill)
    for sink in drill.sinks.values():
        # One in thirty is refused when it comes first, and waits for a person.
        sink.mood = lambda name, nth: "AR" if nth == 1 and int(name[1:]) % 30 == 7 else "AA"
        sink.settles = ("AA",)
    ours.write()
    async with drill:
        await drill.load()
        ours.feed.start()
        await ours.work(seconds, wanted)
        await ours.go_home()
        found = await judged(drill, ours)
        assert not found, drill.told(found)
        print(dict(ours.did))


async def judged(drill: Drill, ours: Walkers) -> list[str]:
    """All that is wrong, by what the journal, the sinks, the books and the log say."""
    past = await Past.read(drill.conninfo())
    found = past.check()
    sent = {one.name: [o.sent for o in one.acknowledged] for one in (drill.source, ours.feed)}
    found += past.due("adt", sent["D"], ("direct", "first"))
    found += past.due("files", sent["F"], ("desk_agent",))
    found += past.due("signal:copy", (), ("second",))
    moved = {past.signals[a.signal].control_id for a in past.acts if a.what in HANDLED}
    for name, sink in drill.sinks.items():
        faults = past.taken(sink.received, name, ours.cuts[name])
        if name != "annex":
            source = ours.feed if name == "desk" else drill.source
            faults += lanes(source, sink.received, moved)
        found += [f"{name}: {text}" for text in faults]
        drill.second += oracle.seconds(sink.received)
    status = await drill.appliance.status()
    found += oracle.answers(drill.source, waits=False)
    found += oracle.books(status) or await oracle.ledger(drill.conninfo(), status)
    found += oracle.gauged(await drill.appliance.metrics(), status)
    found += oracle.quiet(drill.appliance.log.read_text())
    for backup in ours.backups:
        found += [f"backup: {text}" for text in await restored(drill, backup)]
    return found


async def test_people_change_and_replay_while_everything_runs(ground, seed, record):
    """P1 to P5 under replays, resends, reloads that move, remove and rename, drains, backups
    and a kill."""
    drill = Drill(ground / "life", seed, PLAN)
    await walk(drill, 20.0, "wish", "replay")
    record(drill)


@pytest.mark.drill
async def test_people_change_and_replay_for_long(ground, seed, record):
    """The same for DRILL_MINUTES, else five."""
    drill = Drill(ground / "life", seed, PLAN)
    await walk(drill, 60.0 * float(os.environ.get("DRILL_MINUTES") or 5))
    record(drill)
