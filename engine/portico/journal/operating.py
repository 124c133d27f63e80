"""The operator's desk: what people decide about the journal, beside the stream of messages.

Each act is one transaction on a connection of its own, which holds the lease's row first, as
every flush does: an engine that has lost its lease changes nothing, and no act meets a flush
half way. Acts are short and rare; a flush waits for one.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from psycopg.rows import TupleRow

from portico.errors import JournalFenced
from portico.ids import SignalId
from portico.journal import connect, renaming
from portico.journal.lease import Lease
from portico.journal.renaming import Renamed

_DEADLINE = 10.0
_HOLD = "select 1 from lease where name = %s and epoch = %s for update"

_WISHES = "select scope, name, wish, since, by from wish"
_WISH = """
    insert into wish (scope, name, wish, since, by) values (%s, %s, %s, %s, %s)
    on conflict (scope, name) do update
    set wish = excluded.wish, since = excluded.since, by = excluded.by
    """
_ALARMS = "select kind, scope, name, since, told from alarm"
_OPEN = """
    insert into alarm (kind, scope, name, since, told) values (%s, %s, %s, %s, %s)
    on conflict (kind, scope, name) do update
    set since = excluded.since, told = excluded.told
    """
_CLOSE = "delete from alarm where kind = %s and scope = %s and name = %s"

# A page of a destination's queue, oldest first, is parked with its reason.
_PARK = """
    with page as (
        select seq from queued where destination = %(name)s order by seq limit %(limit)s
    ),
    gone as (
        delete from queued q using page p
        where q.destination = %(name)s and q.seq = p.seq
        returning q.seq, q.signal, q.number, q.lane, q.tries
    )
    insert into parked (signal, kind, number, seq, name, agent, lane, hold, code, reason,
        step, at, location, tries, since)
    select signal, 'delivery', number, seq, %(name)s, '', lane, false, %(code)s, %(reason)s,
        '', '', '', tries, %(since)s
    from gone
    returning signal
    """
_BOOK = """
    insert into tally as t (scope, name, state, n) values (%s, %s, %s, %s)
    on conflict (scope, name, state) do update set n = t.n + excluded.n
    """


class Wish(Struct, frozen=True):
    """What an operator wants. scope: `channel` or `destination`; wish: `running paused
    draining stopped`; by: who said so.
    """

    scope: str
    name: str
    wish: str
    since: datetime
    by: str


class OpenAlarm(Struct, frozen=True):
    """An alarm that is open. told: every sink that it concerns has taken it."""

    kind: str
    scope: str
    name: str
    since: datetime
    told: bool


class OperatorDesk:
    """The operator's acts. lease: ours as it is now. Every act may raise JournalError."""

    def __init__(self, conninfo: Callable[[], str], lease: Callable[[], Lease | None]) -> None:
        self._conninfo = conninfo
        self._lease = lease

    async def wishes(self) -> list[Wish]:
        """All that is stored."""
        (rows,) = await self._act([(_WISHES, ())])
        return [Wish(*row) for row in rows]

    async def wish(self, wish: Wish) -> None:
        """Store one, in place of the last of that name."""
        row = (wish.scope, wish.name, wish.wish, wish.since, wish.by)
        await self._act([(_WISH, row)])

    async def alarms(self) -> list[OpenAlarm]:
        """Those that were open when somebody last wrote."""
        (rows,) = await self._act([(_ALARMS, ())])
        return [OpenAlarm(*row) for row in rows]

    async def keep_alarms(
        self, opened: Sequence[OpenAlarm], closed: Sequence[tuple[str, str, str]]
    ) -> None:
        """Store what has opened or been told, forget what has closed: (kind, scope, name)."""
        kept = [(_OPEN, (one.kind, one.scope, one.name, one.since, one.told)) for one in opened]
        await self._act([*kept, *((_CLOSE, key) for key in closed)])

    async def park_queue(
        self, destination: str, code: str, reason: str, since: datetime, limit: int
    ) -> list[SignalId]:
        """Park the oldest of a queue that nobody sends any more, books and all.

        Gives the Signals of what was parked, `limit` at most; empty at the end.
        """
        given = {"name": destination, "limit": limit, "code": code, "reason": reason}

        def books(parked: list[TupleRow]) -> list[tuple[str, Any]]:
            book, n = ("destination", destination), len(parked)
            return [(_BOOK, (*book, "queued", -n)), (_BOOK, (*book, "parked", n))] if n else []

        (rows, *_) = await self._act([(_PARK, {**given, "since": since})], books)
        return [SignalId(row[0].bytes) for row in rows]

    async def renamed(self, scope: str, names: Sequence[str]) -> list[Renamed]:
        """All renames that count, oldest first. names: the nouns of that scope, which are
        nobody's old names any more."""
        given = {"scope": scope, "names": list(names)}
        back = [(text, given) for text in renaming.TAKEN_BACK]
        *_, rows = await self._act([*back, (renaming.RENAMED, ())])
        return [Renamed(*row) for row in rows if row[0] == scope]

    async def rename(self, scope: str, old: str, new: str) -> int:
        """Move what is in motion to the new name; how many messages that were looked at."""
        given = {"scope": scope, "old": old, "new": new, "limit": renaming.PAGE}
        await self._act([(text, given) for text in renaming.ONCE[scope]])
        seen = 0
        for page in renaming.PAGES[scope]:
            after, full = -1, True
            while full:
                (rows,) = await self._act([(page, {**given, "after": after})])
                after = max((row[0] for row in rows), default=after)
                seen, full = seen + len(rows), len(rows) >= renaming.PAGE
        return seen

    async def _act(
        self,
        statements: Sequence[tuple[str, Any]],
        after: Callable[[list[TupleRow]], list[tuple[str, Any]]] | None = None,
    ) -> list[list[TupleRow]]:
        """One transaction: these, then what the first one's rows ask for."""
        held = self._lease()
        if held is None:
            raise JournalFenced("this engine does not hold the journal's lease")
        connection = await connect.connect(self._conninfo(), autocommit=False)
        try:
            mine = await connect.run(connection, _HOLD, (held.name, held.epoch))
            if not mine:
                raise JournalFenced("another engine has taken this journal's lease")
            found = [
                await connect.run(connection, text, given, deadline=_DEADLINE)
                for text, given in statements
            ]
            for text, given in after(found[0]) if after else ():
                await connect.run(connection, text, given)
            with connect.within(connection, _DEADLINE):
                await connection.commit()
            return found
        finally:
            await connection.close()
