"""Every statement of the hot path, named, with its purpose. Parameters are binary arrays."""

FENCE = "fence"  # fail unless the lease is ours and the last flush stored; leave the number
REPEATS = "repeats"  # taken Signals with the same repeat key inside the window
ACCEPT = "accept"  # Signals with their bodies, and that they wait
ABOUT = "about"  # what sources said of Signals beside the content: a body of part -32768
CONCLUDE = "conclude"  # sessions, Deliveries with new bodies, queue; Signals that wait no more
FLAG = "flag"  # flags that were not known when their Signals were journaled
MARK = "mark"  # attempts, and what leaves the queue
PARK = "park"  # what waits for a person
TALLY = "tally"  # the books

PAGE_BYTES = 16 << 20  # of a page of what waits, or of a destination's queue

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
    ABOUT: """
        insert into body (signal, part, content)
        select id, -32768, content from unnest($1::uuid[], $2::bytea[]) as a (id, content)
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
    FLAG: """
        update signal s set flags = trim(s.flags || ' ' || f.flag)
        from unnest($1::uuid[], $2::text[]) as f (id, flag)
        where s.id = f.id and f.flag <> all (string_to_array(s.flags, ' '))
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
}

# A session that a person released does not count: its agent runs again.
COUNTS = """not exists (
                select from act x where x.signal = e.signal and x.what = 'release'
                    and x.kind = 'signal' and x.number = e.number
            ) and not exists (
                select from parked p where p.signal = e.signal and p.kind = 'signal'
                    and p.number = e.number and w.released
            )"""
_WAITING = """w.seq, s.id, s.origin, s.received, b.content, s.sha256, s.peer, s.type,
            s.control_id, s.sender, s.patient, s.order_key, s.repeat_key, s.flags, s.parent,
            array(select agent from session e where e.signal = s.id and {counts}),
            (select count(*) from delivery d where d.signal = s.id),
            array(select distinct verdict from session e
                where e.signal = s.id and {counts}),
            (select count(*) from session e where e.signal = s.id),
            w.released or exists (
                select from act x where x.signal = s.id and x.what = 'release'
                    and x.kind = 'signal'
            ),
            (select a.content from body a where a.signal = s.id and a.part = -32768) as about"""
# Of history the channel's name as it is now.
_RENAMED = _WAITING.replace(
    "s.origin,",
    """coalesce((select r.new from renamed r
                where r.scope = 'channel' and r.old = s.origin), s.origin),""",
)
# The tries of a Delivery before a person released it for the last time, and when it failed
# first after that: asked only of what has failed.
_FAILING = """
            case when q.tries > 0 then (select coalesce(max(x.tries), 0) from act x
                where x.signal = q.signal and x.kind = 'delivery' and x.number = q.number
                    and x.what = 'release') else 0 end,
            case when q.tries > 0 then (select min(a.at) from attempt a
                where a.signal = q.signal and a.number = q.number and a.try > (
                    select coalesce(max(x.tries), 0) from act x
                    where x.signal = q.signal and x.kind = 'delivery'
                        and x.number = q.number and x.what = 'release')) end"""
_WAITS = """
        select {{waiting}}
        from (select seq, signal, false as released from waiting {}) w
        join signal s on s.id = w.signal
        join body b on b.signal = w.signal and b.part = 0
        order by w.seq
        """
_QUEUE = """
        select q.seq, q.signal, q.number, q.lane, b.content, d.control_id, d.file, s.received,
            q.tries, {{failing}}
        from (
            select seq, signal, number, lane, tries from queued
            where {} order by seq limit %s
        ) q
        join delivery d on d.signal = q.signal and d.number = q.number
        join body b on b.signal = q.signal and b.part = d.part
        join signal s on s.id = q.signal
        """
# Such a page ends with the one with which it has PAGE_BYTES: 512 large ones are too many.
_PAGES = ("waiting", "queued", "queued_in_lane")
_PAGE = """
    select * from (select *, sum(octet_length(content)) over (order by seq) as upto
        from ({text}) found) page
    where upto - octet_length(content) < {bytes} order by seq"""

_READ: dict[str, str] = {
    # Signals that wait, in the journal's order, with the sessions they have had; those that a
    # person released do not count. Of all origins but some, or of one.
    "waiting": _WAITS.format(
        "where seq > %s and origin <> all(%s) and %s in ('', origin) order by seq limit %s"
    ),
    # The same of these places.
    "waiting_at": _WAITS.format("where seq = any(%s)"),
    # Parked Signals in the same form, as they will be once they are released.
    "parked_signals": """
        select {waiting}
        from (
            select distinct seq, signal, true as released from parked
            where kind = 'signal' and signal = any(%s)
        ) w
        join signal s on s.id = w.signal
        join body b on b.signal = w.signal and b.part = 0
        order by w.seq
        """,
    # Parked Deliveries with the bytes to send, as "queued" gives them; then the destination.
    "parked_deliveries": """
        select q.seq, q.signal, q.number, q.lane, b.content, d.control_id, d.file, s.received,
            q.tries, {failing}, q.name
        from parked q
        join delivery d on d.signal = q.signal and d.number = q.number
        join body b on b.signal = q.signal and b.part = d.part
        join signal s on s.id = q.signal
        where q.kind = 'delivery' and q.signal = any(%s)
        order by q.seq
        """,
    # All parked rows of these Signals; of each, whether its Signal still waits.
    "parked_rows": """
        select p.signal, p.kind, p.number, p.seq, p.name, p.agent, p.lane, p.hold, p.code,
            p.tries, exists (
                select from signal s join waiting w on w.seq = s.seq where s.id = p.signal
            )
        from parked p where p.signal = any(%s) order by p.seq, p.number
        """,
    # Holds: (kind, name, agent, lane, signal) of what is parked and keeps one of these lanes.
    "holds": """
        select kind, name, agent, lane, signal, number from parked where hold
            and (lane = any(%s) or string_to_array(lane, chr(31)) && %s)
        """,
    # What a Signal's Deliveries sent.
    "sent": """
        select d.number, d.session, d.destination, d.lane, d.part, d.control_id, d.file,
            b.content
        from delivery d join body b on b.signal = d.signal and b.part = d.part
        where d.signal = %s order by d.number
        """,
    # Signals of any state with their bytes, in the form of "waiting"; then who decided them.
    "originals": """
        select {renamed}, (select json_agg(json_build_array(coalesce(
                (select r.new from renamed r where r.scope = 'agent' and r.old = e.agent),
                e.agent), e.version) order by e.number)
            from session e where e.signal = s.id and e.agent <> '')
        from (
            select seq, id as signal, false as released from signal where id = any(%s)
        ) w
        join signal s on s.id = w.signal
        join body b on b.signal = w.signal and b.part = 0
        order by s.id
        """,
    # Jobs that have not ended.
    "jobs": """
        select id, at, who, query, state, total, made, skipped, cursor, note from job
        where state = 'running' or id = any(%s) order by at
        """,
    # A destination's queue from a place on, in order, with the bytes to send.
    "queued": _QUEUE.format("destination = %s and seq > %s"),
    # The same for one lane between two places, with the barriers across it (model.lane).
    "queued_in_lane": _QUEUE.format(
        """destination = %s and seq between %s and %s and (lane = %s or (
                position(chr(31) in lane) > 0 and %s = any(string_to_array(lane, chr(31)))
            ))"""
    ),
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
            array(select verdict from session e where e.signal = s.id and not exists (
                select from act x where x.signal = e.signal and x.what = 'release'
                    and x.kind = 'signal' and x.number = e.number
            )), s.ended,
            c.deep and exists (
                select from delivery d
                join queued q on q.destination = d.destination and q.seq = d.seq
                where d.signal = s.id
            ),
            exists (select from act x where x.signal = s.id and x.kind = 'signal'
                and x.what in ('discard', 'edit'))
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
        where d.signal = %s and a.outcome = 'delivered' and (d.destination = %s or exists (
            select from renamed r
            where r.scope = 'destination' and r.old = d.destination and r.new = %s))
        order by d.number desc limit 1
        """,
    # The value of a Signal's last session that has one.
    "value": "select content from body where signal = %s and part < 0 order by part limit 1",
    # The last place of a destination's queue, and whether anything is left up to a place.
    "last_queued": "select max(seq) from queued where destination = %s",
    "queued_up_to": "select exists (select from queued where destination = %s and seq <= %s)",
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

READ: dict[str, str] = {
    name: (_PAGE.replace("{text}", text) if name in _PAGES else text)
    .replace("{waiting}", _WAITING)
    .replace("{renamed}", _RENAMED)
    .replace("{counts}", COUNTS)
    .replace("{failing}", _FAILING)
    .replace("{bytes}", str(PAGE_BYTES))
    for name, text in _READ.items()
}
# The hot statements meet small, fast-changing tables whose statistics lie: never scan them.
SESSION = ("set enable_seqscan = off", "set plan_cache_mode = force_generic_plan")

# Pages are read by key and in order, whatever the statistics say of a queue that has just grown
# or gone: a bitmap would collect a million rows for each page of it.
READING = ("set enable_seqscan = off", "set enable_bitmapscan = off")
