"""What is known of repeat keys in memory (journal/known.py)."""

import random
import struct

from portico.ids import SignalId, floor_at
from portico.journal.known import Known

NOW = floor_at(1_800_000_000_000)
BEFORE = floor_at(1_700_000_000_000)


def keys(number, seed=1):
    """Keys as BLAKE2 spreads them."""
    chance = random.Random(seed)
    return [chance.getrandbits(64) - (1 << 63) for _ in range(number)]


def paged(held, size=7):
    """A journal that holds these keys."""
    asked = []

    async def page(above: int, since: SignalId) -> bytes:
        asked.append(since)
        found = sorted(key for key in held if key > above)[:size]
        return struct.pack(f"!{len(found)}q", *found)

    page.asked = asked
    return page


async def test_until_it_is_filled_every_key_may_be_known():
    """Nothing is left out of the search before the journal has been read whole."""
    known = Known(16)
    assert known.among([5, 6], NOW) == [5, 6]
    known.add([5])
    assert known.among([5, 6], NOW) == [5, 6]


async def test_what_the_journal_holds_is_known_and_what_is_new_is_not_asked():
    """Every key of every page; of 1,000 strangers hardly one."""
    held, strangers, known = keys(500), keys(1_000, seed=2), Known(16)
    known.begin()
    await known.fill(NOW, paged(held))
    assert known.among(held, NOW) == held
    assert len(known.among(strangers, NOW)) < 20


async def test_what_comes_while_it_is_filled_is_known():
    """A key that is told between two pages, below the one that was read last."""
    held, late, known = sorted(keys(50)), -(1 << 62), Known(16)
    journal = paged(held)

    async def page(above, since):
        if above > late:
            known.add([late])
        return await journal(above, since)

    known.begin()
    await known.fill(NOW, page)
    assert known.among([late], NOW) == [late]


async def test_a_longer_window_asks_for_all_again():
    """It knows nothing of what came before the day that it was filled from."""
    known = Known(16)
    known.begin()
    await known.fill(NOW, paged([1]))
    assert known.among([2], NOW) == []
    assert known.among([2], BEFORE) == [2]


async def test_what_was_known_is_known_until_it_is_filled_anew_and_then_forgotten():
    """A filling that fails changes nothing."""
    known = Known(16)
    known.begin()
    await known.fill(BEFORE, paged([1]))

    async def fails(above, since):
        raise OSError

    try:
        known.begin()
        await known.fill(NOW, fails)
    except OSError:
        pass
    known.add([2])
    assert known.among([1, 2, 3], NOW) == [1, 2]
    known.begin()
    await known.fill(NOW, paged([2]))
    assert known.among([1, 2, 3], NOW) == [2]
