"""Repeats of Signals that are read back: what came before them, and what became of that."""

from psycopg.rows import TupleRow

from portico.ids import SignalId
from portico.journal.contract import Earlier
from portico.model.states import SignalState

# Accepted Signals with the same repeat key as these, journaled before them, newest first; what
# became of each, as "state" says, and whether a Delivery of it is parked.
EARLIER = """
    select me.id, s.id, s.sha256, case
            when exists (select from waiting w where w.seq = s.seq) then 'waiting'
            when exists (
                select from parked p where p.signal = s.id and p.kind = 'signal'
            ) then 'parked'
            when exists (
                select from act x where x.signal = s.id and x.kind = 'signal'
                    and x.what in ('discard', 'edit')
            ) then 'discarded'
            when exists (
                select from session e where e.signal = s.id and e.verdict = 'deliver'
            ) then 'done'
            when exists (
                select from session e where e.signal = s.id and e.verdict = 'refuse'
            ) then 'refused'
            else 'done' end,
        exists (select from parked p where p.signal = s.id and p.kind = 'delivery')
    from unnest(%s::uuid[]) as r (id)
    join signal me on me.id = r.id and me.repeat_key <> 0
    cross join lateral (
        select id, seq, sha256 from signal
        where repeat_key = me.repeat_key and repeat_key <> 0 and id >= %s and seq < me.seq
            and ended not like 'refused:%%' and not exists (
                select from session e where e.signal = signal.id and e.number = 1
                    and e.agent = '' and e.verdict in ('duplicate', 'refuse')
            )
        order by id desc limit 8
    ) as s
    """


def earlier_of(row: TupleRow) -> Earlier:
    """A row of it."""
    return Earlier(SignalId(row[1].bytes), row[2], SignalState(row[3]), row[4])
