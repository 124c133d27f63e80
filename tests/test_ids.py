"""portico.ids: identities that are ordered by time and never repeat."""

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico import ids
from portico.ids import IdMaker, SignalId

NOON = 1_741_089_600_000_000_000


class Hands:
    """A clock that stands where it is put."""

    def __init__(self, ns=NOON):
        self.ns = ns

    def time_ns(self):
        return self.ns

    def monotonic(self):
        return self.ns / 1e9


def zeros(count):
    return bytes(count)


def test_an_id_is_a_uuid_of_version_7():
    """RFC 9562, section 5.7: 48 bits of milliseconds, version and variant."""
    made = IdMaker(Hands()).next()
    form = UUID(bytes=made)
    assert (form.version, form.variant) == (7, "specified in RFC 4122")
    assert ids.millis(made) == NOON // 1_000_000


@given(st.lists(st.integers(-5_000_000, 5_000_000), max_size=50))
def test_ids_grow_whatever_the_clock_does(steps):
    """Within one maker order survives a clock that stands still or steps back."""
    clock = Hands()
    maker = IdMaker(clock, zeros)
    made = [maker.next()]
    for step in steps:
        clock.ns += step
        made.append(maker.next())
    assert made == sorted(set(made))


def test_more_ids_in_a_millisecond_than_its_counter_holds_run_into_the_next():
    """Order holds across the overflow, and the time is wrong by a millisecond at most."""
    maker = IdMaker(Hands(), zeros)
    made = [maker.next() for _ in range((1 << 18) + 2)]
    assert all(a < b for a, b in pairwise(made))
    assert ids.millis(made[-1]) == NOON // 1_000_000 + 1


def test_two_makers_differ_in_their_chance():
    """Two engines in the same millisecond do not meet."""
    assert IdMaker(Hands()).next() != IdMaker(Hands()).next()


@given(st.binary(min_size=16, max_size=16))
def test_the_text_form_goes_round(raw):
    """36 characters that parse back; what belongs to a Signal is numbered below it."""
    signal = SignalId(raw)
    assert ids.parse(ids.text(signal)) == signal
    assert len(ids.text(signal)) == 36
    assert ids.delivery_text(signal, 12) == f"{ids.text(signal)}/d12"


def test_what_is_no_id_is_refused():
    """ValueError, for a command line to catch."""
    with pytest.raises(ValueError, match="badly formed"):
        ids.parse("yesterday")


@given(st.integers(0, 2**48 - 2), st.binary(min_size=10, max_size=10))
def test_the_floor_of_a_millisecond_is_below_every_id_of_it(ms, chance):
    """Partitions and searches by time cut between ids."""
    made = SignalId(
        ms.to_bytes(6, "big")
        + bytes((0x70 | chance[0] & 15, chance[1], 0x80 | chance[2] & 63))
        + chance[3:]
    )
    assert ids.floor_at(ms) <= made < ids.floor_at(ms + 1)


def test_the_short_form_fits_msh_10_and_keeps_order_by_time():
    """20 characters without I, L, O and U; a later millisecond sorts later."""
    clock = Hands()
    maker = IdMaker(clock)
    first = ids.short(maker.next())
    clock.ns += 1_000_000
    second = ids.short(maker.next())
    assert len(first) == 20
    assert first < second
    assert not set(first) & set("ILOU")


def test_short_forms_of_one_millisecond_differ():
    """Their 52 bits of chance tell them apart."""
    maker = IdMaker(Hands())
    assert len({ids.short(maker.next()) for _ in range(1000)}) == 1000
