"""Every statement of the hot path, named, with its purpose. Parameters are binary arrays."""

FENCE = "fence"  # raise PF001 unless the lease is still ours; leave this flush's number
REPEATS = "repeats"  # taken Signals with the same repeat key inside the window
ACCEPT = "accept"  # Signals with their bodies, and that they wait
CONCLUDE = "conclude"  # sessions, Deliveries with new bodies, queue; Signals that wait no more
MARK = "mark"  # attempts, and what leaves the queue
PARK = "park"  # what waits for a person
TALLY = "tally"  # the books
NEXT = "next"  # the number of the flush after this one

HOT: dict[str, str] = {
    FENCE: "select fence($1::text, $2::bigint, $3::bigint)",
    REPEATS: """
        select r.key, s.id, s.sha256
        from unnest($1::bigint[]) as r (key)
        cross join lateral (
            select id, sha256 from signal
            where repeat_key = r.key and repeat_key <> 0 and id >= $2::uuid
                and ended not like 'refused:%' and not exists (
                    select from session e where e.signal = signal.id and e.number = 1
                        and e.agent = '' and e.verdict in ('duplicate', 'refuse')
                )
            order by id desc limit 8
        ) as s
        """,
    ACCEPT: """
        with arrived as materialized (
            select * from unnest(
                $1::bigint[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[], $6::text[],
                $7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[], $12::bytea[],
                $13::text[], $14::uuid[], $15::text[], $16::bytea[]
            ) as a (seq, id, origin, received, type, control_id, sender, patient, order_key,
                    repeat_key, peer, sha256, flags, parent, ended, content)
        ),
        bodies as (insert into body (signal, part, content) select id, 0, content from arrived),
        waits as (
            insert into waiting (seq, signal, origin)
            select seq, id, origin from arrived where ended = ''
        )
        insert into signal (id, seq, origin, received, type, control_id, sender, patient,
            order_key, repeat_key, peer, size, sha256, flags, parent, ended)
        select id, seq, origin, received, type, control_id, sender, patient, order_key,
            repeat_key, peer, octet_length(content), sha256, flags, parent, ended
        from arrived
        """,
    CONCLUDE: """
        with gone as (
            delete from waiting w using unnest($1::bigint[]) as d (seq) where w.seq = d.seq
        ),
        ended as (
            insert into session (signal, number, agent, version, verdict, step, error, micros,
                concluded, detail)
            select * from unnest($2::uuid[], $3::smallint[], $4::text[], $5::text[], $6::text[],
                $7::text[], $8::text[], $9::bigint[], $10::timestamptz[], $11::json[])
        ),
        owed as materialized (
            select * from unnest($12::uuid[], $13::smallint[], $14::smallint[], $15::text[],
                $16::text[], $17::bigint[], $18::text[], $19::smallint[], $20::text[])
            as o (signal, number, session, destination, lane, seq, control_id, part, file)
        ),
        made as (
            insert into delivery (signal, number, session, destination, lane, seq, control_id,
                part, file)
            select * from owed
        ),
        bodies as (
            insert into body (signal, part, content)
            select * from unnest($21::uuid[], $22::smallint[], $23::bytea[])
        )
        insert into queued (destination, seq, signal, number, lane, tries)
        select destination, seq, signal, number, lane, 0 from owed
        """,
    MARK: """
        with gone as (
            delete from queued q using unnest($1::text[], $2::bigint[]) as d (destination, seq)
            where q.destination = d.destination and q.seq = d.seq
        ),
        again as (
            update queued q set tries = r.tries
            from unnest($3::text[], $4::bigint[], $5::integer[]) as r (destination, seq, tries)
            where q.destination = r.destination and q.seq = r.seq
        )
        insert into attempt (signal, number, try, at, outcome, code, micros, detail, answer)
        select * from unnest($6::uuid[], $7::smallint[], $8::integer[], $9::timestamptz[],
            $10::text[], $11::text[], $12::bigint[], $13::text[], $14::bytea[])
        on conflict do nothing
        """,
    PARK: """
        insert into parked (signal, kind, number, seq, name, agent, lane, hold, code, reason,
            step, at, location, tries, since)
        select * from unnest($1::uuid[], $2::text[], $3::smallint[], $4::bigint[], $5::text[],
            $6::text[], $7::text[], $8::boolean[], $9::text[], $10::text[], $11::text[],
            $12::text[], $13::text[], $14::integer[], $15::timestamptz[])
        """,
    TALLY: """
        insert into tally as t (scope, name, state, n)
        select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
        on conflict (scope, name, state) do update set n = t.n + excluded.n
        """,
    NEXT: "select nextval('flush_number')",
}

READ: dict[str, str] = {
    # Signals that wait, in the journal's order, with the sessions they have had.
    "waiting": """
        select w.seq, s.id, s.origin, s.received, b.content, s.sha256, s.peer, s.type,
            s.control_id, s.sender, s.patient, s.order_key, s.repeat_key, s.flags, s.parent,
            array(select agent from session e where e.signal = s.id),
            (select count(*) from delivery d where d.signal = s.id),
            array(select distinct verdict from session e where e.signal = s.id)
        from (select seq, signal from waiting where seq > %s order by seq limit %s) w
        join signal s on s.id = w.signal
        join body b on b.signal = w.signal and b.part = 0
        order by w.seq
        """,
    # Accepted Signals with the same repeat key as these, journaled before them; as REPEATS.
    "earlier": """
        select me.id, s.id, s.sha256
        from unnest(%s::uuid[]) as r (id)
        join signal me on me.id = r.id and me.repeat_key <> 0
        cross join lateral (
            select id, sha256 from signal
            where repeat_key = me.repeat_key and repeat_key <> 0 and id >= %s and seq < me.seq
                and ended not like 'refused:%%' and not exists (
                    select from session e where e.signal = signal.id and e.number = 1
                        and e.agent = '' and e.verdict in ('duplicate', 'refuse')
                )
            order by id desc limit 8
        ) as s
        """,
    # A destination's queue from a place on, in order, with the bytes to send.
    "queued": """
        select q.seq, q.signal, q.number, q.lane, b.content, d.control_id, d.file, s.received,
            q.tries
        from (
            select seq, signal, number, lane, tries from queued
            where destination = %s and seq > %s order by seq limit %s
        ) q
        join delivery d on d.signal = q.signal and d.number = q.number
        join body b on b.signal = q.signal and b.part = d.part
        join signal s on s.id = q.signal
        order by q.seq
        """,
    # The same for one lane between two places.
    "queued_in_lane": """
        select q.seq, q.signal, q.number, q.lane, b.content, d.control_id, d.file, s.received,
            q.tries
        from (
            select seq, signal, number, lane, tries from queued
            where destination = %s and lane = %s and seq between %s and %s order by seq limit %s
        ) q
        join delivery d on d.signal = q.signal and d.number = q.number
        join body b on b.signal = q.signal and b.part = d.part
        join signal s on s.id = q.signal
        order by q.seq
        """,
    # Lanes of a destination that a parked Delivery holds for a person.
    "held_lanes": """
        select distinct lane from parked where kind = 'delivery' and hold and name = %s
        """,
    # Order keys of (origin, agent) that a parked Signal holds for a person.
    "held_keys": """
        select distinct name, agent, lane from parked where kind = 'signal' and hold
        """,
    # What became of one Signal, as far as rows tell; with true, of its Deliveries too.
    "state": """
        select exists (select from waiting w where w.seq = s.seq),
            exists (
                select from parked p where p.signal = s.id and (p.kind = 'signal' or c.deep)
            ),
            array(select verdict from session e where e.signal = s.id), s.ended,
            c.deep and exists (
                select from delivery d
                join queued q on q.destination = d.destination and q.seq = d.seq
                where d.signal = s.id
            )
        from (values (%s::uuid, %s::boolean)) as c (id, deep)
        join signal s on s.id = c.id
        """,
    # A channel's newest Signal.
    "last_of": "select id from signal where origin = %s order by id desc limit 1",
    # A channel's oldest Signal that waits.
    "first_waiting": "select signal from waiting where origin = %s order by seq limit 1",
    # Of each Signal, whether a Delivery is queued and whether one is parked.
    "owing": """
        select r.id,
            exists (
                select from delivery d
                join queued q on q.destination = d.destination and q.seq = d.seq
                where d.signal = r.id
            ),
            exists (select from parked p where p.signal = r.id and p.kind = 'delivery')
        from unnest(%s::uuid[]) as r (id)
        """,
    # What a destination answered to the last Delivery of a Signal that it took.
    "answered": """
        select a.answer from delivery d
        join attempt a on a.signal = d.signal and a.number = d.number
        where d.signal = %s and d.destination = %s and a.outcome = 'delivered'
        order by d.number desc limit 1
        """,
    # The value of a Signal's last session that has one.
    "value": "select content from body where signal = %s and part < 0 order by part limit 1",
    # The books.
    "tally": "select scope, name, state, n from tally",
    # When the oldest in each destination's queue came, and how many it holds.
    "depth": """
        select destination, n, (select signal from queued q
            where q.destination = t.destination order by seq limit 1)
        from (select name as destination, n from tally
            where scope = 'destination' and state = 'queued' and n > 0) t
        """,
}

# The hot statements meet small, fast-changing tables whose statistics lie: never scan them.
SESSION = ("set enable_seqscan = off", "set plan_cache_mode = force_generic_plan")
