"""What is done once to a journal that came from a backup: count it, and pause what it owes."""

from dataclasses import dataclass
from datetime import datetime

from portico.journal import connect

BY = "restore"

# Every destination that the journal has ever owed anything: it may have been sent since.
_PAUSE = """
    insert into wish (scope, name, wish, since, by)
    select distinct 'destination', name, 'paused', %s::timestamptz, %s
    from tally where scope = 'destination'
    on conflict (scope, name) do update
    set wish = excluded.wish, since = excluded.since, by = excluded.by
    returning name
    """
_COUNT = """
    select (select count(*) from waiting), (select count(*) from queued),
        (select count(*) from parked)
    """


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What is unfinished in it, and how many destinations were paused."""

    signals: int
    queued: int
    parked: int
    paused: int


async def settle(conninfo: str, now: datetime, send: bool) -> Unfinished:
    """Pause every destination, unless they are to send at once. Raises JournalError."""
    connection = await connect.connect(conninfo)
    try:
        rows = [] if send else await connect.run(connection, _PAUSE, (now, BY))
        ((signals, queued, parked),) = await connect.run(connection, _COUNT, deadline=60)
        return Unfinished(signals, queued, parked, len(rows))
    finally:
        await connection.close()
