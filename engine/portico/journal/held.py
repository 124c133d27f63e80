"""What the engine reads before a person's act: what is parked, what it holds, what was sent.

What an act decides by is what the writer finds: the engine does one person's act at a time.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from portico.ids import SignalId
from portico.journal.contract import JobRow, Recovered
from portico.journal.reader import Reader, delivery_of, nanoseconds, recovered
from portico.model.delivery import Delivery
from portico.model.lane import keys


class Held(Struct, frozen=True):
    """A parked row as an act needs it. waits: other agents still work on its Signal."""

    signal: SignalId
    kind: str
    number: int
    seq: int
    name: str
    agent: str
    lane: str
    hold: bool
    code: str
    tries: int
    waits: bool


class KeptKey(Struct, frozen=True):
    """An order key or a lane that a parked message keeps."""

    kind: str
    name: str
    agent: str
    lane: str
    signal: SignalId
    number: int


class Sent(Struct, frozen=True):
    """A Delivery that a Signal has had. session 0: a person added it."""

    number: int
    session: int
    destination: str
    lane: str
    part: int
    control_id: str
    file: str
    content: bytes


async def rows_of(reader: Reader, signals: Iterable[SignalId]) -> list[Held]:
    """All parked rows of these Signals, in the journal's order."""
    found = await reader.rows("parked_rows", (_uuids(signals),))
    return [Held(SignalId(row[0].bytes), *row[1:]) for row in found]


async def signals_of(reader: Reader, signals: Iterable[SignalId]) -> dict[SignalId, Recovered]:
    """Those of these that are parked, as they will be once they are released."""
    found = await reader.rows("parked_signals", (_uuids(signals),))
    return {SignalId(row[1].bytes): recovered(row, ()) for row in found}


async def deliveries_of(
    reader: Reader, signals: Iterable[SignalId]
) -> dict[tuple[SignalId, int], Delivery]:
    """The parked Deliveries of these Signals, with the bytes to send.

    Their tries count anew: a person has looked at them.
    """
    found = await reader.rows("parked_deliveries", (_uuids(signals),))
    made = [delivery_of(row[11], (*row[:9], row[8], None)) for row in found]
    return {(one.signal, one.number): one for one in made}


async def holds(reader: Reader, rows: Iterable[Held]) -> list[KeptKey]:
    """What keeps any of the order keys and lanes that these rows keep."""
    lanes = list(dict.fromkeys(key for row in rows if row.hold for key in keys(row.lane)))
    found = await reader.rows("holds", (lanes, lanes)) if lanes else []
    return [
        KeptKey(kind, name, agent, lane, SignalId(signal.bytes), number)
        for kind, name, agent, lane, signal, number in found
    ]


async def sent(reader: Reader, signal: SignalId) -> list[Sent]:
    """What a Signal's Deliveries sent, by number."""
    found = await reader.rows("sent", (UUID(bytes=signal),))
    return [Sent(*row) for row in found]


def _uuids(signals: Iterable[SignalId]) -> list[UUID]:
    return [UUID(bytes=one) for one in dict.fromkeys(signals)]


class Original(Struct, frozen=True):
    """A Signal that is to be replayed, as read back; and who ran it: (agent, version)."""

    recovered: Recovered
    ran: tuple[tuple[str, str], ...]


async def originals(reader: Reader, signals: Iterable[SignalId]) -> list[Original]:
    """These Signals with their bytes, in the order of their ids; what is gone is left out."""
    found = await reader.rows("originals", (_uuids(signals),))
    return [
        Original(recovered(row, ()), tuple((a, v) for a, v in row[21] or ())) for row in found
    ]


async def jobs(reader: Reader, more: Iterable[SignalId] = ()) -> list[JobRow]:
    """Replays of many that have not ended, and these."""
    found = await reader.rows("jobs", (_uuids(more),))
    return [_job(*row) for row in found]


def _job(key: UUID, at: datetime, *rest: Any) -> JobRow:
    who, query, state, total, made, skipped, cursor, note = rest
    seen = SignalId(cursor.bytes) if cursor else None
    when = nanoseconds(at)
    return JobRow(key.bytes, when, who, query, state, total, made, skipped, seen, note)
