"""What must be true, whatever was done to the engine. Each check gives the faults it found."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from prometheus_client.parser import text_string_to_metric_families as families

from drills.message import Sent
from drills.sink import Received
from drills.source import Source

_MOST = 5

# (gauge, values of its labels beside the name), scope and state of the books.
_GAUGES = (
    (("portico_waiting",), "channels", "waiting"),
    (("portico_queue_depth",), "destinations", "queued"),
    (("portico_parked", "delivery"), "destinations", "parked"),
)
_COUNTED = (
    ("channel", "received", "origin", "signal"),
    ("destination", "owed", "destination", "delivery"),
)
_ROWS = """
    select coalesce(r.new, t.{1}) as name, count(*) from {2} t
    left join renamed r on r.scope = '{0}' and r.old = t.{1} group by 1
    """


def answers(source: Source, waits: bool) -> list[str]:
    """Every answer named the message it was for, and was positive.

    waits: the channel waits for more than the journal, so AE says that it took too long.
    """
    faults = [f"{mine} was answered for {other}" for mine, other in source.foreign[:_MOST]]
    wrong = [(mine, code) for mine, code in source.negative if not (waits and code == "AE")]
    return faults + [f"{mine} was answered {code}" for mine, code in wrong[:_MOST]]


def nothing_missing(acknowledged: Iterable[Sent], received: Sequence[Received]) -> list[str]:
    """Every acknowledged message was taken by the destination, or refused by it."""
    taken = {one.control_id for one in received if one.settled}
    missing = [one.control_id for one in acknowledged if one.control_id not in taken]
    moods = {one.control_id: one.mood for one in received}
    some = [f"{name} ({moods.get(name, 'never came')})" for name in missing[:_MOST]]
    return [f"{len(missing)} acknowledged, never delivered: {some}"] if missing else []


def order(received: Sequence[Received]) -> list[str]:
    """In each lane first deliveries come in order with no gap, and only the last one taken
    is ever repeated."""
    faults, last = [], defaultdict[str, int](int)
    for one in received:
        expected = (last[one.patient], last[one.patient] + 1)
        if one.number not in expected:
            faults.append(f"{one.patient}: {one.number} came after {last[one.patient]}")
        last[one.patient] = max(last[one.patient], one.number)
    return faults[:_MOST]


def second_deliveries(received: Sequence[Received], kills: Sequence[float]) -> list[str]:
    """A message that was taken comes again only after a kill, once for each lane and kill."""
    faults: list[str] = []
    settled: dict[str, float] = {}
    charged: set[tuple[str, int]] = set()
    for one in received:
        if one.control_id in settled:
            before = sum(1 for kill in kills if kill <= one.at)
            if before == 0 or (one.patient, before) in charged:
                faults.append(f"{one.control_id} came again after it was taken (kill {before})")
            charged.add((one.patient, before))
        if one.settled:
            settled[one.control_id] = one.at
    return faults[:_MOST]


def seconds(received: Sequence[Received]) -> int:
    """How many second deliveries of messages that were taken."""
    settled: set[str] = set()
    again = 0
    for one in received:
        again += one.control_id in settled
        if one.settled:
            settled.add(one.control_id)
    return again


def same_bytes(received: Sequence[Received]) -> list[str]:
    """Whatever comes again is the same, and a worker had it."""
    first: dict[str, bytes] = {}
    faults = [
        f"{one.control_id} came again with other bytes"
        for one in received
        if first.setdefault(one.control_id, one.digest) != one.digest
    ]
    faults += [f"{one.control_id} was not stamped" for one in received if not one.stamped]
    return faults[:_MOST]


def no_strangers(source: Source, received: Sequence[Received]) -> list[str]:
    """Nothing arrives that was not sent."""
    ours = {one.control_id for one in received}
    faults = [name for name in ours if not name.startswith(source.name)]
    return [f"nobody sent {faults[:_MOST]}"] if faults else []


async def journaled(conninfo: str, acknowledged: Sequence[Sent]) -> list[str]:
    """Every acknowledged message has its row and its exact bytes in the journal."""
    statement = """
        select s.control_id, s.sha256, sha256(b.content) = s.sha256 from signal s
        join body b on b.signal = s.id and b.part = 0 where s.control_id = any(%s)
        """
    stored: dict[str, set[bytes]] = defaultdict(set)
    torn = 0
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        names = [one.control_id for one in acknowledged]
        cursor = await connection.execute(statement, (names,))
        async for control_id, digest, whole in cursor:
            stored[control_id].add(bytes(digest))
            torn += not whole
    missing = [o.control_id for o in acknowledged if o.digest not in stored[o.control_id]]
    faults = [f"{torn} bodies are not what their hash says"] if torn else []
    if missing:
        faults.append(f"{len(missing)} acknowledged, not journaled: {missing[:_MOST]}")
    return faults


def books(status: dict[str, Any], parked: int = 0) -> list[str]:
    """All sums hold, nothing is under way, and what is parked is what was refused."""
    faults = [] if status["balanced"] else ["the books do not balance"]
    for name, book in status["channels"].items():
        left = {state: book[state] for state in ("waiting", "running", "parked", "refused")}
        if any(left.values()):
            faults.append(f"channel {name}: {left}")
    for name, book in status["destinations"].items():
        left = {state: book[state] for state in ("queued", "sending")}
        if any(left.values()) or book["parked"] != parked:
            faults.append(f"destination {name}: {left} parked {book['parked']}")
    return faults


async def ledger(conninfo: str, status: dict[str, Any]) -> list[str]:
    """The tables say what the books say: nothing waits, and as many rows as were counted."""
    faults: list[str] = []
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        for table in ("waiting", "queued"):
            cursor = await connection.execute(f"select count(*) from {table}")
            if left := (await cursor.fetchone() or (0,))[0]:
                faults.append(f"{left} rows of {table} are left")
    return faults + await counted(conninfo, status)


async def counted(conninfo: str, status: dict[str, Any]) -> list[str]:
    """As many rows of Signals and Deliveries as were counted, under the names of now."""
    faults: list[str] = []
    rows: dict[tuple[str, str, str], int] = {}
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        for scope, state, column, table in _COUNTED:
            cursor = await connection.execute(_ROWS.format(scope, column, table).encode())
            rows |= {(scope, name, state): n async for name, n in cursor}
        cursor = await connection.execute("select scope, name, state, n from tally")
        tally = {(scope, name, state): n async for scope, name, state, n in cursor}
    for (scope, name, state), n in rows.items():
        told = status[f"{scope}s"].get(name, {}).get(state, n)
        if not n == tally.get((scope, name, state)) == told:
            counted = tally.get((scope, name, state))
            faults.append(f"{scope} {name} {state}: {n} rows, {counted} counted, {told} told")
    return faults


def gauged(metrics: str, status: dict[str, Any]) -> list[str]:
    """The gauges say what the books say. metrics: Prometheus text."""
    told = {
        (sample.name, *sorted(sample.labels.values())): round(sample.value)
        for family in families(metrics)
        for sample in family.samples
    }
    faults: list[str] = []
    for gauge, scope, state in _GAUGES:
        for name, book in status[scope].items():
            shown = told.get((gauge[0], *sorted((*gauge[1:], name))), 0)
            if shown != book[state]:
                faults.append(f"{gauge[0]} of {name} is {shown}, its book says {book[state]}")
    return faults


def quiet(log: str) -> list[str]:
    """Nothing happened for which the engine has no word of its own."""
    return [f"the log has {found}" for found in re.findall(r"Traceback \((?:.+\n?){1,60}", log)]
