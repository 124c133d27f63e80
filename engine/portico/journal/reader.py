"""What the engine reads back: its own unfinished work, and the books.

One connection of its own, made when needed and again after it was lost, so that reading never
waits for a flush and a slow read never delays one. Raises JournalUnavailable.
"""

from array import array
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import TupleRow

from portico.ids import SignalId, floor_at
from portico.journal import known, outlines, repeats, statements
from portico.journal.contract import Earlier, Recovered
from portico.journal.link import Link
from portico.journal.outlines import Outline
from portico.model.delivery import Delivery
from portico.model.signal import Signal
from portico.model.states import SignalState

_DEADLINE = 30.0
_PLACE = "select w.seq from signal s join waiting w on w.seq = s.seq where s.id = %s"
_VERDICTS = (
    ("duplicate", SignalState.DUPLICATE),
    ("deliver", SignalState.DONE),
    ("refuse", SignalState.REFUSED),
    ("drop", SignalState.FILTERED),
)


class Reader:
    """Reads the journal for the engine. conninfo: where it is now. first: the first place that
    this engine gives; what stands before it was an earlier one's."""

    def __init__(self, conninfo: Callable[[], str]) -> None:
        self.first = 0
        self._link = Link(conninfo, deadline=_DEADLINE, settings=statements.READING, reads=True)

    async def waiting(
        self,
        after: int,
        limit: int,
        window_ms: int,
        without: Sequence[str] = (),
        only: str = "",
    ) -> list[Recovered]:
        """Signals that wait, after this place of the journal, with what they have had.

        window_ms: repeats count from this time on, milliseconds since 1970 UTC. without:
        origins that are passed by; only: the one that is not.
        """
        return await self._waiting("waiting", (after, list(without), only, limit), window_ms)

    async def waiting_at(self, places: Sequence[int], window_ms: int) -> list[Recovered]:
        """Those of these places that wait still, in order."""
        return await self._waiting("waiting_at", (list(places),), window_ms)

    async def outlines(
        self, after: int, before: int, limit: int
    ) -> list[tuple[Outline, "array[int]"]]:
        """The next so many that wait between these places, by what they have in common."""
        rows = await self._link.run(outlines.PAGE, (after, before, limit))
        return [outlines.of(row) for row in rows]

    async def place_of(self, signal: SignalId) -> int | None:
        """The place of a Signal that waits; None for any other."""
        rows = await self._link.run(_PLACE, (UUID(bytes=signal),))
        return int(rows[0][0]) if rows else None

    async def _waiting(
        self, name: str, asked: tuple[Any, ...], window_ms: int
    ) -> list[Recovered]:
        rows = await self.rows(name, asked)
        keyed = [row[1] for row in rows if row[12] and not row[19]]
        earlier = await self.earlier(keyed, window_ms) if keyed else {}
        return [recovered(row, earlier.get(row[1].bytes, ())) for row in rows]

    async def earlier(
        self, signals: list[UUID], window_ms: int
    ) -> dict[bytes, tuple[Earlier, ...]]:
        """For journaled Signals, those before them with the same repeat key; newest first."""
        floor = UUID(bytes=floor_at(max(0, window_ms)))
        found: dict[bytes, tuple[Earlier, ...]] = {}
        for row in await self._link.run(repeats.EARLIER, (signals, floor)):
            mine = row[0].bytes
            found[mine] = (*found.get(mine, ()), repeats.earlier_of(row))
        return found

    async def queued(self, destination: str, after: int, limit: int) -> list[Delivery]:
        """A destination's queue after this place, in order, with its bytes."""
        rows = await self.rows("queued", (destination, after, limit))
        return [delivery_of(destination, row, self.first) for row in rows]

    async def queued_in_lane(
        self, destination: str, lane: str, first: int, last: int, limit: int
    ) -> list[Delivery]:
        """The same for one lane, barriers across it too, both places included."""
        asked = (destination, first, last, lane, lane, limit)
        rows = await self.rows("queued_in_lane", asked)
        return [delivery_of(destination, row, self.first) for row in rows]

    async def last_queued(self, destination: str) -> int:
        """The last place of its queue; -1 when that is empty."""
        rows = await self.rows("last_queued", (destination,))
        return -1 if rows[0][0] is None else int(rows[0][0])

    async def queued_up_to(self, destination: str, seq: int) -> bool:
        """Whether anything is queued up to this place."""
        return bool((await self.rows("queued_up_to", (destination, seq)))[0][0])

    async def held_lanes(self, destination: str) -> frozenset[str]:
        """Lanes that wait for a person."""
        return frozenset(row[0] for row in await self.rows("held_lanes", (destination,)))

    async def held_keys(self) -> list[tuple[str, str, str]]:
        """(origin, agent, order key) that wait for a person."""
        return [tuple(row) for row in await self.rows("held_keys", ())]

    async def state_of(self, signal: SignalId, delivered: bool = False) -> SignalState:
        """What became of a Signal; WAITING while nobody knows yet.

        delivered: it waits, too, while a Delivery of it is queued, and is parked with one.
        """
        rows = await self.rows("state", (UUID(bytes=signal), delivered))
        if not rows:
            return SignalState.DISCARDED
        waits, parked, verdicts, ended, owes, given_up = rows[0]
        if waits:
            return SignalState.WAITING
        if parked:
            return SignalState.PARKED
        if given_up:
            return SignalState.DISCARDED
        if owes:
            return SignalState.WAITING
        if ended:
            refused = ended.startswith("refused:")
            return SignalState.REFUSED if refused else SignalState.FILTERED
        return next((state for word, state in _VERDICTS if word in verdicts), SignalState.DONE)

    async def keys(self, above: int, since: SignalId) -> bytes:
        """A page of repeat keys (known.PAGE)."""
        rows = await self._link.run(known.PAGE, (above, UUID(bytes=since)))
        return bytes(rows[0][0])

    async def last_of(self, origin: str) -> SignalId | None:
        """A channel's newest Signal."""
        rows = await self.rows("last_of", (origin,))
        return SignalId(rows[0][0].bytes) if rows else None

    async def first_waiting(self, origin: str) -> SignalId | None:
        """A channel's oldest Signal that waits. Walks past those of other channels."""
        rows = await self.rows("first_waiting", (origin,))
        return SignalId(rows[0][0].bytes) if rows else None

    async def owing(self, signals: list[SignalId]) -> dict[SignalId, tuple[bool, bool]]:
        """Of each Signal, whether a Delivery is queued and whether one is parked."""
        rows = await self.rows("owing", ([UUID(bytes=one) for one in signals],))
        return {SignalId(row[0].bytes): (row[1], row[2]) for row in rows}

    async def answer_of(self, signal: SignalId, asked: str) -> bytes | None:
        """What its sender was told: an agent's `result`, or that destination's answer."""
        one = UUID(bytes=signal)
        if asked == "result":
            rows = await self.rows("value", (one,))
        else:
            rows = await self.rows("answered", (one, asked, asked))
        return rows[0][0] if rows else None

    async def tally(self) -> list[tuple[str, str, str, int]]:
        """The books: (scope, name, state, how many)."""
        return [tuple(row) for row in await self.rows("tally", ())]

    async def depth(self) -> list[tuple[str, int, SignalId | None]]:
        """(destination, queued, its oldest Signal) of each queue that is not empty."""
        return [
            (name, n, SignalId(oldest.bytes) if oldest else None)
            for name, n, oldest in await self.rows("depth", ())
        ]

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    async def rows(self, name: str, params: tuple[Any, ...]) -> list[TupleRow]:
        """What a statement of `statements.READ` gives."""
        return await self._link.run(statements.READ[name], params)


def recovered(row: TupleRow, earlier: tuple[Earlier, ...]) -> Recovered:
    """A row of "waiting"."""
    signal = Signal(
        SignalId(row[1].bytes),
        row[2],
        nanoseconds(row[3]),
        row[4],
        row[5],
        row[6],
        row[7],
        row[8],
        row[9],
        row[10],
        row[11],
        row[12],
        tuple(row[13].split()),
        SignalId(row[14].bytes) if row[14] else None,
        about=row[20] or b"",
    )
    return Recovered(row[0], signal, tuple(row[15]), row[16], earlier, tuple(row[17]), row[18])


def delivery_of(destination: str, row: TupleRow, first: int = 0) -> Delivery:
    """A row of "queued". first: see Reader."""
    return Delivery(
        SignalId(row[1].bytes),
        row[2],
        row[0],
        destination,
        row[3],
        row[4],
        row[5],
        row[6],
        nanoseconds(row[7]),
        row[8],
        row[9],
        nanoseconds(row[10]) if row[10] else 0,
        row[0] < first,
    )


def nanoseconds(moment: datetime) -> int:
    """Since 1970 UTC."""
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
