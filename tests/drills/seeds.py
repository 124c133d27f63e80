"""Messages put into the journal of a stopped engine, as many as no sender brings in a test."""

from pathlib import Path

import psycopg

from portico.clock import SystemClock
from portico.journal import binaries
from portico.journal.embedded import Embedded
from portico.journal.folder import Folder

# Signals of the drills' channel: one patient after the other, in order, a day at most.
_SIGNALS = """
    create temporary table seed as
    select n, (
            lpad(to_hex(floor(extract(epoch from now()) * 1000)::bigint), 12, '0')
            || '7' || lpad(to_hex(n % 4096), 3, '0') || '8' || lpad(to_hex(n), 15, '0')
        )::uuid as id,
        'P' || n % {patients} as patient, n / {patients} + 1 as number
    from generate_series(0, {count} - 1) n;
    insert into signal (id, seq, origin, received, type, control_id, sender, patient,
        order_key, repeat_key, peer, size, sha256, flags, parent, ended)
    select id, n + 1, 'adt', now(), 'ADT^A08', 'D-S' || n, 'DRILL|WARD', patient, patient, 0,
        '', 200, '', '', null, '' from seed;
    insert into body (signal, part, content)
    select id, 0, convert_to(format(
        E'MSH|^~\\\\&|DRILL|WARD|PORTICO|HOUSE|2026||ADT^A08|D-S%s|P|2.5.1\\r'
        'PID|1||%s^^^HOUSE^MR||DRILL\\rZSQ|%s|%s|STAMPED\\r', n, patient, number,
        repeat('n', {filling})), 'utf8') from seed;
    """
_DELIVERIES = """
    insert into delivery (signal, number, session, destination, lane, seq, control_id, part,
        file)
    select id, 1, 1, '{name}', patient, n + 1, 'D-S' || n, 0, '' from seed;
    """
_BOOKS = """
    insert into tally (scope, name, state, n)
    select scope, name, state, {count} from (values {books}) b (scope, name, state)
    on conflict (scope, name, state) do update set n = tally.n + excluded.n
    """
_PARKED = """
    insert into parked (signal, kind, number, seq, name, agent, lane, hold, code, reason, step,
        at, location, tries, since)
    select id, '{kind}', 1, n + 1, '{where}', '{agent}', patient, {hold}, '{code}', '', '', '',
        '', 1, now() from seed;
    """


def _books(*of: str) -> str:
    """So many in each of these, SCOPE NAME STATE."""
    rows = ", ".join("('" + "', '".join(one.split()) + "')" for one in of)
    return _BOOKS.replace("{books}", rows)


def _parked(kind: str, where: str, agent: str, code: str, hold: str = "false") -> str:
    words = {"kind": kind, "where": where, "agent": agent, "code": code, "hold": hold}
    text = _PARKED
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", value)
    return text


_DONE = ("channel adt received", "channel adt done", "destination {name} owed")
_REFUSED = _books(*_DONE, "destination {name} parked")
# Queued for a destination; refused by it, without a hold on their lanes and with one; given up
# by the agent.
QUEUED = (
    _SIGNALS
    + _DELIVERIES
    + """
    insert into queued (destination, seq, signal, number, lane, tries)
    select '{name}', n + 1, id, 1, patient, 0 from seed;
    """
    + _books(*_DONE, "destination {name} queued")
)
PARKED = _SIGNALS + _DELIVERIES + _parked("delivery", "{name}", "", "AR") + _REFUSED
HELD = _SIGNALS + _DELIVERIES + _parked("delivery", "{name}", "", "AR", "true") + _REFUSED
# Waiting for an agent that is paused; `forward` has concluded them.
SHELVED = (
    _SIGNALS
    + """
    insert into session (signal, number, agent, version, verdict, step, error, micros,
        concluded, detail)
    select id, 1, 'forward', '', 'deliver', '', '', 0, now(), '{{}}' from seed;
    insert into waiting (seq, signal, origin) select n + 1, id, 'adt' from seed;
    """
    + _books("channel adt received", "channel adt waiting")
)
FAULTED = (
    _SIGNALS
    + """
    insert into session (signal, number, agent, version, verdict, step, error, micros,
        concluded, detail)
    select id, 1, 'forward', '', 'fault', '', 'step.permanent', 0, now(), '{{}}' from seed;
    """
    + _parked("signal", "adt", "forward", "step.permanent")
    + _books("channel adt received", "channel adt parked")
)


async def fill(
    data: Path, seed: str, name: str, count: int, patients: int = 1000, filling: int = 100
) -> None:
    """So many, in the journal of a stopped engine. name: of the destination; filling: bytes
    that each message has beside some hundred."""
    folder = Folder(data)
    server = Embedded(folder, binaries.find(), lambda event: None, SystemClock())
    try:
        await server.start()
        async with await psycopg.AsyncConnection.connect(server.conninfo) as connection:
            text = seed.format(count=count, patients=patients, name=name, filling=filling)
            for statement in text.split(";\n"):
                await connection.execute(statement)
    finally:
        await server.stop()
        folder.close()
