"""`python -m bench.depth`: what a message costs in a journal of millions of rows, against an
empty one, and what a sender notices when a day of them goes.

    empty   start A, rounds of A 10x16: rate, CPU, bytes of WAL after a checkpoint
    fill    so many messages with all that is known of them, over days up to today
    full    the same rounds
    drop    A 10x16 at half its rate, without and with a day that goes
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from bench.appliance import ONLY_CHANNEL, Appliance
from bench.cases import A, Generator, Measured, Receiver, measure
from bench.figures import median
from portico.ids import millis, parse
from portico.journal import partitions

ROOT = Path(__file__).parents[1]
CASE = A[-1]
_DAY = 86_400_000  # milliseconds
_BATCH = 20_000
_PARTITIONS = "select inhrelid::regclass::text from pg_inherits"
_TABLES = ("signal", "body", "session", "delivery", "attempt")

# Messages as the engine leaves them once they are delivered: five rows each, ids in the order
# of their day, keys in no order.
_MADE = """
    create temporary table made on commit drop as
    select n, to_timestamp(ms / 1000) as at,
        'P' || (abs(hashtext(n::text)) %% 200000) as patient,
        ('x' || left(chance, 16))::bit(64)::bigint as repeated,
        (lpad(to_hex(ms::bigint), 12, '0') || '7' || left(chance, 3) || '8'
            || right(chance, 15))::uuid as id
    from (
        select n, %(ms)s::float8 + (n - %(first)s::bigint) * %(pace)s::float8 as ms,
            md5(n::text) as chance
        from generate_series(%(first)s::bigint, %(last)s::bigint) n
    ) counted
    """
_ROWS = (
    """
    insert into signal (id, seq, origin, received, type, control_id, sender, patient, order_key,
        repeat_key, peer, size, sha256, flags, parent, ended)
    select id, n, 'bench', at, 'ADT^A08', 'D' || n, 'BENCH|WARD', patient, patient, repeated,
        '127.0.0.1', %(size)s::int, sha256(n::text::bytea), '', null, '' from made
    """,
    """
    insert into body (signal, part, content)
    select id, 0, convert_to(rpad(n::text, %(size)s::int, 'MSH|^~\\&|BENCH|'), 'utf8') from made
    """,
    """
    insert into session (signal, number, agent, version, verdict, step, error, micros,
        concluded, detail)
    select id, 1, 'edits', '0123456789abcdef', 'deliver', '', '', 150, at, '{}' from made
    """,
    """
    insert into delivery (signal, number, session, destination, lane, seq, control_id, part,
        file)
    select id, 1, 1, 'sink', patient, n, 'D' || n, 0, '' from made
    """,
    """
    insert into attempt (signal, number, try, at, outcome, code, micros, detail, answer)
    select id, 1, 1, at, 'delivered', 'AA', 900, '', rpad('MSH|', 90, 'A')::bytea from made
    """,
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of A 10x16. wal: bytes a message, from a checkpoint on; cpu_us: a message, by group."""

    rate: float
    wal: float
    p99_ms: float
    cpu_us: dict[str, float]


def main(arguments: list[str] | None = None) -> int:
    """Always 0: what is found is for people to judge."""
    options = _options(arguments)
    engine = Appliance(options.folder.absolute())
    try:
        found = run(engine, options)
    finally:
        engine.kill()
        shutil.rmtree(options.folder, ignore_errors=True)
    for name, value in found["ratios"].items():
        print(f"{name:<38} {value:.2f}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=2) + "\n")
    print(f"written to {options.json}")
    return 0


def run(engine: Appliance, options: argparse.Namespace) -> dict[str, Any]:
    """All four parts."""
    engine.start(ONLY_CHANNEL)
    with Receiver() as receiver:
        empty = _rounds(engine, options, receiver, "empty")
        began = time.perf_counter()
        fill(engine.conninfo(), options.rows, options.days, options.size)
        print(f"filled in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        stored = _count(engine.conninfo(), "select count(*) from attempt")
        full = _rounds(engine, options, receiver, "full")
    usual, during, dropping = drop(engine, full.rate / 2, options.seconds, options.days)
    engine.stop()
    return {
        "rows": options.rows,
        "stored": stored,
        "days": options.days,
        "empty": asdict(empty),
        "full": asdict(full),
        "drop": {"usual_p99_ms": usual, "during_p99_ms": during, "seconds": dropping},
        "ratios": {
            "CPU a message, PostgreSQL": full.cpu_us["postgres"] / empty.cpu_us["postgres"],
            "CPU a message, all": sum(full.cpu_us.values()) / sum(empty.cpu_us.values()),
            "time a message": empty.rate / full.rate,
            "WAL a message after a checkpoint": full.wal / empty.wal,
            "ACK p99 while a day goes": during / usual,
        },
    }


def fill(conninfo: str, rows: int, days: int, size: int) -> None:
    """So many messages on so many days up to today. As after weeks: vacuumed, analysed, and a
    checkpoint behind it."""
    filled = [_ago(n) for n in range(days)]
    with psycopg.connect(conninfo) as connection:
        made = {name for (name,) in connection.execute(_PARTITIONS)}
        for statement in partitions.creating(filled, made):
            connection.execute(statement)
        connection.commit()
        for number, day in enumerate(filled):
            _fill_day(connection, day, number * rows, rows // days, size)
        connection.autocommit = True
        for day in filled:
            for table in _TABLES:
                connection.execute(f"vacuum (analyze) {partitions.name(table, day)}")
        connection.execute("checkpoint")


def _fill_day(
    connection: psycopg.Connection[Any], day: date, first: int, rows: int, size: int
) -> None:
    start = millis(parse(partitions.bounds(day)[0]))
    now = time.time() * 1000
    pace = (min(_DAY, now - start) - 1) / max(rows, 1)
    for done in range(0, rows, _BATCH):
        batch = {
            "ms": start + done * pace,
            "first": first + done,
            "last": first + min(done + _BATCH, rows) - 1,
            "pace": pace,
            "size": size,
        }
        connection.execute(_MADE, batch)
        for statement in _ROWS:
            connection.execute(statement, batch)
        connection.commit()


def drop(
    engine: Appliance, rate: float, seconds: float, days: int
) -> tuple[float, float, float]:
    """ACK p99 in ms at that rate, without and with the first day's bodies going; how long it
    took them to go."""
    engine.stop()
    engine.configure(f"retention: {{bodies: {days - 2}d}}")
    engine.start(ONLY_CHANNEL)
    time.sleep(seconds)
    usual, _ = _paced(engine, rate, seconds, lambda: 0.0)

    def drops() -> float:
        began = time.perf_counter()
        engine.drop_due()
        return time.perf_counter() - began

    during, dropping = _paced(engine, rate, seconds, drops)
    old = partitions.bounds(_ago(days - 1))
    asked = "select count(*) from body where signal >= %s and signal < %s"
    if _count(engine.conninfo(), asked, old):
        raise SystemExit("the day is still there")
    return usual, during, dropping


def _paced(
    engine: Appliance, rate: float, seconds: float, meanwhile: Callable[[], float]
) -> tuple[float, float]:
    load = Generator(CASE.plan(engine.port, seconds, rate))
    try:
        load.go()
        took = meanwhile()
        load.wait()
        return float(load.report()["p99_ms"]), took
    finally:
        load.end()


def _ago(days: int) -> date:
    return datetime.now(UTC).date() - timedelta(days=days)


def _count(conninfo: str, asked: str, bounds: tuple[str, ...] = ()) -> int:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(asked, bounds).fetchone()
    assert row is not None
    return int(row[0])


def _rounds(
    engine: Appliance, options: argparse.Namespace, receiver: Receiver, name: str
) -> Cost:
    """The median of each figure."""
    found = [_cost(engine, options.seconds, receiver) for _ in range(options.rounds)]
    for one, _ in found:
        print(f"  {name}: {one.rate:.0f}/s, {one.cpu_us}", file=sys.stderr)
    groups = found[0][0].cpu_us
    return Cost(
        median([one.rate for one, _ in found]),
        median([wal for _, wal in found]),
        median([one.p99_ms for one, _ in found]),
        {group: median([one.cpu_us[group] for one, _ in found]) for group in groups},
    )


def _cost(engine: Appliance, seconds: float, receiver: Receiver) -> tuple[Measured, float]:
    """From a checkpoint on, before which nothing was left for a vacuum to do."""
    with psycopg.connect(engine.conninfo(), autocommit=True) as connection:
        for table in _TABLES:
            connection.execute(f"vacuum {partitions.name(table, _ago(0))}")
        connection.execute("checkpoint")
        before = _wal(connection)
        one = measure(engine, CASE, seconds, receiver)
        after = _wal(connection)
    stored = after[1] - before[1]
    return one, (after[0] - before[0]) / stored


def _wal(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """Bytes of WAL so far, and messages stored."""
    row = connection.execute(
        "select pg_current_wal_insert_lsn() - '0/0', "
        "(select coalesce(sum(n), 0) from tally where scope = 'channel' and state = 'received')"
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.depth", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="messages in the journal")
    parser.add_argument("--days", type=int, default=10, help="days that they came on")
    parser.add_argument("--size", type=int, default=1024, help="bytes of a message")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long, each time")
    parser.add_argument("--json", type=Path, default=ROOT / "var/depth.json", metavar="FILE")
    parser.add_argument("--folder", type=Path, default=ROOT / "var/depth", metavar="DIR")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
