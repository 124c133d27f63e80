"""What people do to messages, as one statement of the group commit (contract.Act).

It goes through the one writer, so it is fenced as every flush is, counts in the same books,
and gets its places in the same order.
"""

from collections.abc import Sequence
from itertools import chain

from portico.ids import SignalId
from portico.journal import columns
from portico.journal.contract import Act, Added
from portico.model.states import DeliveryState

ACT = "act"

# Parked rows go, Signals wait again and are to ask again what failed for good, Deliveries are
# queued (again); who did it stays. The last line fails (22012) unless all parked rows were
# still there: then nothing of it is stored.
STATEMENT = """
    with gone as (
        delete from parked p
        using unnest($1::uuid[], $2::text[], $3::smallint[]) as d (signal, kind, number)
        where p.signal = d.signal and p.kind = d.kind and p.number = d.number
        returning 1
    ),
    waits as (
        insert into waiting (seq, signal, origin)
        select * from unnest($4::bigint[], $5::uuid[], $6::text[])
    ),
    asks as (
        update call c set final = false
        from unnest($5::uuid[]) as w (signal) where c.signal = w.signal and c.final
    ),
    queues as (
        insert into queued (destination, seq, signal, number, lane, tries)
        select * from unnest($7::text[], $8::bigint[], $9::uuid[], $10::smallint[],
            $11::text[], $12::integer[])
    ),
    made as (
        insert into delivery (signal, number, session, destination, lane, seq, control_id,
            part, file)
        select signal, number, 0, destination, lane, seq, control_id, part, file
        from unnest($13::uuid[], $14::smallint[], $15::text[], $16::text[], $17::bigint[],
            $18::text[], $19::smallint[], $20::text[])
        as o (signal, number, destination, lane, seq, control_id, part, file)
    ),
    bodies as (
        insert into body (signal, part, content)
        select * from unnest($21::uuid[], $22::smallint[], $23::bytea[])
    ),
    told as (
        insert into act (place, at, who, what, signal, kind, number, tries, reason, other, job)
        select * from unnest($24::bigint[], $25::timestamptz[], $26::text[], $27::text[],
            $28::uuid[], $29::text[], $30::smallint[], $31::integer[], $32::text[],
            $33::uuid[], $34::uuid[])
    ),
    jobs as (
        insert into job as j (id, at, who, query, state, total, made, skipped, cursor, note)
        select * from unnest($35::uuid[], $36::timestamptz[], $37::text[], $38::text[],
            $39::text[], $40::bigint[], $41::bigint[], $42::bigint[], $43::uuid[], $44::text[])
        on conflict (id) do update set state = excluded.state, made = excluded.made,
            skipped = excluded.skipped, cursor = excluded.cursor, note = excluded.note
    )
    select 1 / (case when (select count(*) from gone) = $45::bigint then 1 else 0 end)
    """

Change = tuple[tuple[str, str, str], int]


def added(acts: Sequence[Act]) -> int:
    """How many Deliveries get a new place."""
    return sum(one.seq is None for act in acts for one in act.added)


def books(acts: Sequence[Act]) -> list[Change]:
    """What they change in the books, new Signals apart."""
    changes: list[Change] = []
    for act in acts:
        changes += [((scope, name, state), n) for scope, name, state, n in act.books]
        for one in act.added:
            changes.append((("destination", one.owed.destination, "owed"), 1))
            changes.append((("destination", one.owed.destination, DeliveryState.QUEUED), 1))
    return changes


def parameters(acts: Sequence[Act], place: int, seq: int) -> list[bytes]:
    """Of STATEMENT. place: of the first row of `act`; seq: of the first Delivery added."""
    freed = [one for act in acts for one in act.freed]
    waits = [one for act in acts for one in act.waits]
    rows = [row for act in acts for row in act.rows]
    jobs = list({job.id: job for act in acts for job in act.jobs}.values())
    placed = _placed([one for act in acts for one in act.added], seq)
    fresh = [one for one, _ in placed if one.owed.content is not None]
    return [
        columns.uuids([signal for signal, _, _ in freed]),
        columns.texts([kind for _, kind, _ in freed]),
        columns.int2s([number for _, _, number in freed]),
        columns.int8s([seq for seq, _, _ in waits]),
        columns.uuids([signal for _, signal, _ in waits]),
        columns.texts([origin for _, _, origin in waits]),
        *_queue_columns(acts, placed),
        columns.uuids([one.signal for one, _ in placed]),
        columns.int2s([one.owed.number for one, _ in placed]),
        columns.texts([one.owed.destination for one, _ in placed]),
        columns.texts([one.owed.lane for one, _ in placed]),
        columns.int8s([at for _, at in placed]),
        columns.texts([one.owed.control_id for one, _ in placed]),
        columns.int2s([one.owed.part for one, _ in placed]),
        columns.texts([one.owed.file for one, _ in placed]),
        columns.uuids([one.signal for one in fresh]),
        columns.int2s([one.owed.part for one in fresh]),
        columns.blobs([one.owed.content or b"" for one in fresh]),
        columns.int8s(range(place, place + len(rows))),
        columns.moments([row.at for row in rows]),
        columns.texts([row.who for row in rows]),
        columns.texts([row.what for row in rows]),
        columns.uuids([row.signal for row in rows]),
        columns.texts([row.kind for row in rows]),
        columns.int2s([row.number for row in rows]),
        columns.int4s([row.tries for row in rows]),
        columns.texts([row.reason for row in rows]),
        columns.maybe_uuids([row.other for row in rows]),
        columns.maybe_uuids([SignalId(row.job) if row.job else None for row in rows]),
        columns.uuids([SignalId(job.id) for job in jobs]),
        columns.moments([job.at for job in jobs]),
        columns.texts([job.who for job in jobs]),
        columns.texts([job.query for job in jobs]),
        columns.texts([job.state for job in jobs]),
        columns.int8s([job.total for job in jobs]),
        columns.int8s([job.made for job in jobs]),
        columns.int8s([job.skipped for job in jobs]),
        columns.maybe_uuids([job.cursor for job in jobs]),
        columns.texts([job.note for job in jobs]),
        columns.int8(len(freed)),
    ]


def _placed(new: list[Added], seq: int) -> list[tuple[Added, int]]:
    """Each with its place: its own, or the next at the end."""
    placed = []
    for one in new:
        placed.append((one, seq if one.seq is None else one.seq))
        seq += one.seq is None
    return placed


def _queue_columns(acts: Sequence[Act], placed: list[tuple[Added, int]]) -> list[bytes]:
    back = [one for act in acts for one in act.queued]
    rows = list(
        chain(
            ((q.destination, q.seq, q.signal, q.number, q.lane, q.tries) for q in back),
            (
                (n.owed.destination, at, n.signal, n.owed.number, n.owed.lane, 0)
                for n, at in placed
            ),
        )
    )
    return [
        columns.texts([row[0] for row in rows]),
        columns.int8s([row[1] for row in rows]),
        columns.uuids([row[2] for row in rows]),
        columns.int2s([row[3] for row in rows]),
        columns.texts([row[4] for row in rows]),
        columns.int4s([row[5] for row in rows]),
    ]
