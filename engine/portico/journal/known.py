"""Repeat keys of the last days, in memory: a message that is new costs no search for repeats.

A Bloom filter whose bits for a key lie in one word: it may take a new key for a known one, and
then the journal is asked; never the other way round. Sources: B. Bloom, Space/Time Trade-offs
in Hash Coding, CACM 13 (1970) 7; F. Putze, P. Sanders, J. Singler, Cache-, Hash- and
Space-Efficient Bloom Filters, WEA 2007 (blocks).
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterable
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

from portico.ids import SignalId

# A page of keys above one, of Signals from an id on, in order: 8 bytes each, big endian.
PAGE = """
    select coalesce(string_agg(int8send(repeat_key), ''::bytea order by repeat_key), '')
    from (
        select repeat_key from signal where repeat_key <> 0 and repeat_key > %s and id >= %s
        order by repeat_key limit 2000
    ) page
    """
BITS = 27  # 16 MiB once it is full: 20 million keys, of whose strangers one in twenty is asked
_WORD = 6  # bits that say which of a word's 64
_PAIRS = tuple(1 << (n & 63) | 1 << (n >> _WORD) for n in range(4096))
_NICE = 0.005  # seconds for others between two pages


class Known:
    """Keys (64 bits, the lower 44 evenly spread, as `policy/routing.py` makes them) by the id
    of a Signal.

    Until it has been filled every key may be known.
    """

    def __init__(self, bits: int = BITS) -> None:
        self._bits = bits
        self._mask = (1 << bits - _WORD) - 1
        self._field: memoryview | None = None
        self._coming: memoryview | None = None
        self._since = SignalId(b"")

    def add(self, keys: Iterable[int]) -> None:
        """They are on their way into the journal."""
        for field in (self._field, self._coming):
            if field is not None:
                self._set(field, keys)

    def among(self, keys: Iterable[int], window: SignalId) -> list[int]:
        """Those that may stand in the journal already, from this id on."""
        field, mask = self._field, self._mask
        if field is None or window < self._since:
            return list(keys)
        return [
            key
            for key in keys
            if field[key & mask] & (bits := _PAIRS[key >> 21 & 4095] | _PAIRS[key >> 33 & 4095])
            == bits
        ]

    def begin(self) -> None:
        """Remember from now on what is added, for the next `fill`."""
        # Pages that the system makes when a key falls into them: an idle engine has none.
        pages = mmap(-1, 1 << (self._bits - 3), MAP_PRIVATE | MAP_ANONYMOUS)
        self._coming = memoryview(pages).cast("Q")

    async def fill(
        self, since: SignalId, page: Callable[[int, SignalId], Awaitable[bytes]]
    ) -> None:
        """Fill it anew from the journal, while what it holds goes on to be asked.

        What was added before `begin` must be in the journal by now, or never come there. page:
        what PAGE gives, empty at the end. Raises what it raises.
        """
        coming = self._coming
        assert coming is not None
        above = -(1 << 63)
        while found := await page(above, since):
            keys = struct.unpack(f"!{len(found) // 8}q", found)
            self._set(coming, keys)
            above = keys[-1]
            await asyncio.sleep(_NICE)
        self._field, self._coming, self._since = coming, None, since

    def _set(self, field: memoryview, keys: Iterable[int]) -> None:
        mask = self._mask
        for key in keys:
            field[key & mask] |= _PAIRS[key >> 21 & 4095] | _PAIRS[key >> 33 & 4095]
