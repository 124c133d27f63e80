"""A noun's new name in the journal: what is in motion moves, history keeps the name it had.

Rows that somebody will read again (queues, what waits and what is parked, books, wishes,
alarms, what sources remember) are moved, and with them the history of their own Signals. All
other history stays as it was written; `renamed` says under which name it is to be found now.

Everything here may be done again, and goes on where a crash left it: the small rows and the
line in `renamed` are one act, each page of a queue is another.
"""

from msgspec import Struct

PAGE = 2_000  # rows of one act, for which flushes and the lease's beat wait

RENAMED = "select scope, old, new, first from renamed order by number"


class Renamed(Struct, frozen=True):
    """scope: `channel agent destination`; new: its name now; first: the earliest name known,
    which repeats and order keys are reckoned by.
    """

    scope: str
    old: str
    new: str
    first: str


# A name that the site uses again is no old name of another noun.
TAKEN_BACK = (
    "delete from renamed where scope = %(scope)s and old = any(%(names)s)",
    """
    update renamed set first = old
    where scope = %(scope)s and first = any(%(names)s) and first <> new
    """,
)

_LINE = (
    """
    insert into renamed (scope, old, new, first)
    select %(scope)s, %(old)s, %(new)s, coalesce(
        (select first from renamed where scope = %(scope)s and new = %(old)s
            order by number limit 1), %(old)s)
    on conflict (scope, old) do update set new = excluded.new
    """,
    "update renamed set new = %(new)s where scope = %(scope)s and new = %(old)s",
    "delete from renamed where scope = %(scope)s and old = new",
)
_TALLY = """
    with gone as (
        delete from tally where scope = %(scope)s and name = %(old)s returning state, n
    )
    insert into tally as t (scope, name, state, n)
    select %(scope)s, %(new)s, state, n from gone
    on conflict (scope, name, state) do update set n = t.n + excluded.n
    """


def _small(table: str, column: str, beside: str, where: str = "true") -> tuple[str, str]:
    """Rows keyed by (column, beside); where the new name has such a row, that one stays."""
    same = " and ".join(f"b.{key} = a.{key}" for key in beside.split()) or "true"
    return (
        f"update {table} a set {column} = %(new)s where a.{column} = %(old)s and {where} "  # noqa: S608 - constants of this file
        f"and not exists (select from {table} b where b.{column} = %(new)s and {same})",
        f"delete from {table} a where a.{column} = %(old)s and {where}",  # noqa: S608 - as above
    )


_SCOPED = "a.scope = %(scope)s"
_EVERY = (
    *_LINE,
    _TALLY,
    *_small("wish", "name", "scope", _SCOPED),
    *_small("alarm", "name", "kind scope", _SCOPED),
)
ONCE: dict[str, tuple[str, ...]] = {
    "channel": (
        *_EVERY,
        *_small("kept", "channel", "name"),
        *_small("firing", "channel", "planned"),
        *_small("mark", "channel", ""),
    ),
    "agent": _EVERY,
    "destination": _EVERY,
}

_ORIGIN = """
    with page as (
        select {key}, signal from {table} where {mine} order by seq limit %(limit)s
    ),
    history as (
        update signal s set origin = %(new)s from page p
        where s.id = p.signal and s.origin = %(old)s
    )
    update {table} w set {column} = %(new)s from page p where {same} returning w.seq
    """
_TARGET = """
    with page as (
        select seq, signal, number from {table} where {mine} order by seq limit %(limit)s
    ),
    history as (
        update delivery d set destination = %(new)s from page p
        where d.signal = p.signal and d.number = p.number and d.destination = %(old)s
    )
    update {table} w set {column} = %(new)s from page p where {same} returning w.seq
    """
# An agent's own rows of a Signal that may still run: what it has concluded, what it was told.
_OWN = """
    history as (
        update session e set agent = %(new)s from page p
        where e.signal = p.signal and e.agent = %(old)s
    ),
    told as (
        update call c set agent = %(new)s from page p
        where c.signal = p.signal and c.agent = %(old)s
    )
    """
_WAITS = f"""
    with page as (
        select seq, signal from waiting where seq > %(after)s order by seq limit %(limit)s
    ),
    {_OWN}
    select seq from page
    """  # noqa: S608 - constants of this file
_STOPPED = f"""
    with page as (
        select distinct on (seq) seq, signal from parked
        where kind = 'signal' and seq > %(after)s order by seq limit %(limit)s
    ),
    {_OWN},
    mine as (
        update parked w set agent = %(new)s from page p
        where w.signal = p.signal and w.kind = 'signal' and w.agent = %(old)s
    )
    select seq from page
    """  # noqa: S608 - constants of this file
_ONE_PARKED = "w.signal = p.signal and w.number = p.number and w.kind = '{kind}'"

# Each gives a row `seq` for each that it looked at; it is asked again, after the last of them,
# while it gives a full page.
PAGES: dict[str, tuple[str, ...]] = {
    "channel": (
        _ORIGIN.format(
            table="waiting",
            key="seq",
            column="origin",
            mine="origin = %(old)s and seq > %(after)s",
            same="w.seq = p.seq",
        ),
        _ORIGIN.format(
            table="parked",
            key="number",
            column="name",
            mine="name = %(old)s and kind = 'signal'",
            same=_ONE_PARKED.format(kind="signal"),
        ),
    ),
    "destination": (
        _TARGET.format(
            table="queued",
            column="destination",
            mine="destination = %(old)s",
            same="w.destination = %(old)s and w.seq = p.seq",
        ),
        _TARGET.format(
            table="parked",
            column="name",
            mine="name = %(old)s and kind = 'delivery'",
            same=_ONE_PARKED.format(kind="delivery"),
        ),
    ),
    "agent": (_WAITS, _STOPPED),
}
