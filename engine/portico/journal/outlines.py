"""What waits, in outline: where it stands and what its rows say of it, without its bytes."""

import struct
from array import array

from msgspec import Struct
from psycopg.rows import TupleRow

from portico.journal.statements import COUNTS

# What waits between two places, by what it has in common; a place is 8 bytes, big endian.
PAGE = """
    select origin, type, agents, plain, string_agg(int8send(seq), ''::bytea order by seq)
    from (
        select w.seq, s.origin, s.type,
            array(select e.agent from session e where e.signal = s.id and {counts} order by 1)
                as agents,
            'replay' <> all (string_to_array(s.flags, ' ')) and not exists (
                select from body a where a.signal = s.id and a.part = -32768
            ) as plain
        from (
            select seq, signal, false as released from waiting
            where seq > %s and seq < %s order by seq limit %s
        ) w
        join signal s on s.id = w.signal
    ) one
    group by origin, type, agents, plain
    """.replace("{counts}", COUNTS)


class Outline(Struct, frozen=True):
    """What some Signals that wait have in common. agents: those that have concluded them.
    plain: what they hold and where they are from decides who answers them, and nothing else.
    """

    origin: str
    type: str
    agents: tuple[str, ...]
    plain: bool


def of(row: TupleRow) -> tuple[Outline, "array[int]"]:
    """A row of PAGE: the outline, and the places that it is true of, in order."""
    origin, kind, agents, plain, places = row
    found = struct.unpack(f">{len(places) // 8}q", places)
    return Outline(origin, kind, tuple(agents), plain), array("q", found)
