"""Days that go under load: who sends does not notice (issue 4, retention)."""

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from drills.drill import Drill, Plan
from portico.clock import SystemClock
from portico.journal import binaries, partitions
from portico.journal.embedded import Embedded
from portico.journal.folder import Folder

pytestmark = [
    pytest.mark.drill,
    pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc"),
]

DAYS, ROWS = 4, 150_000
FILL = """
    insert into signal (id, seq, origin, received, type, control_id, sender, patient,
        order_key, repeat_key, peer, size, sha256, flags, parent, ended)
    select ('{head}' || lpad(to_hex(n), 15, '0'))::uuid, n, 'adt', now(), 'ADT^A08', 'O' || n,
        '', 'P' || n % 999, '', 0, '', 1000, '', '', null, '' from generate_series(1, {rows}) n;
    insert into body (signal, part, content)
    select ('{head}' || lpad(to_hex(n), 15, '0'))::uuid, 0,
        convert_to(repeat('n', 1000), 'utf8')
    from generate_series(1, {rows}) n;
    insert into tally (scope, name, state, n) values
        ('channel', 'adt', 'received', {rows}), ('channel', 'adt', 'done', {rows})
    on conflict (scope, name, state) do update set n = tally.n + excluded.n
    """


async def fill(data: Path) -> None:
    """Days of two months ago, as large as a small hospital's, in the journal of a stopped
    engine."""
    folder = Folder(data)
    server = Embedded(folder, binaries.find(), lambda event: None, SystemClock())
    today = datetime.now(UTC).date()
    try:
        await server.start()
        async with await psycopg.AsyncConnection.connect(server.conninfo) as connection:
            await connection.set_autocommit(True)
            for ago in range(60, 60 + DAYS):
                day = today - timedelta(days=ago)
                for statement in partitions.creating([day]):
                    await connection.execute(statement)
                first = partitions.bounds(day)[0].replace("-", "")
                text = FILL.format(head=first[:12] + "70008", rows=ROWS)
                for statement in text.split(";\n"):
                    await connection.execute(statement)
    finally:
        await server.stop()
        folder.close()


def p99(drill: Drill, since: float) -> float:
    """Seconds from sending to the answer."""
    took = sorted(o.at - o.began for o in drill.source.acknowledged if o.began > since)
    assert len(took) > 200, "too few to say anything"
    return took[int(len(took) * 0.99)]


async def test_dropping_days_under_load_is_not_noticed(ground, seed, capsys):
    """600,000 messages of four days go while others arrive: the answers' p99 stays within
    twice the usual."""
    async with Drill(ground, seed, Plan(pace=0.005)) as drill:
        assert await drill.appliance.stop() == 0
        await fill(drill.appliance.data)
        await drill.appliance.start()
        await drill.load()
        await asyncio.sleep(5)
        since = time.monotonic()
        await asyncio.sleep(15)
        usual, since = p99(drill, since), time.monotonic()
        await drill.appliance.ask("retention", "--drop")
        dropping = time.monotonic() - since
        await asyncio.sleep(max(0.0, 15 - dropping))
        during = p99(drill, since)
        with capsys.disabled():
            print(f"p99 {usual * 1000:.1f} ms, {during * 1000:.1f} ms while dropping")
        assert len(drill.appliance.events("day_dropped")) == DAYS
        assert during <= usual * 2 + 0.005
        await drill.verify()
