"""The destinations of a running engine: opened, swapped, paused, and laid to rest."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from portico.clock import moment
from portico.errors import JournalError, JournalUnclear
from portico.events.operating import QueueParked
from portico.server.parts import House
from portico.spec.destination import Destination

SWAP = 5.0  # seconds for what is under way in a source or destination that is swapped
REMOVED = "destination_removed"
_READ_AGAIN = 1.0
_PAGE = 5_000  # parked in one transaction, for which flushes wait
_REASON = "the site does not name this destination any more"

T = TypeVar("T")


async def patiently(read: Callable[[], Awaitable[T]]) -> T:
    """What the journal says, as soon as it can say it."""
    while True:
        try:
            return await read()
        except JournalError:
            await asyncio.sleep(_READ_AGAIN)


async def open_outbox(house: House, name: str) -> None:
    """A destination of the site, sending unless the operator wants it to wait."""
    held = await patiently(lambda: house.journal.reader.held_lanes(name))
    outbox = house.new_outbox(name, held)
    if house.wanted("destination", name) in ("running", "draining"):
        outbox.let(await _through(house, name))
        await outbox.adapter.start()
        outbox.start()
    else:
        outbox.wait()


async def swap_outbox(house: House, name: str, before: Destination | None) -> None:
    """Follow the site: without closing anything where the adapter can."""
    outbox, spec = house.outboxes.get(name), house.site.destinations[name]
    if outbox is None:
        await open_outbox(house, name)
    elif before != spec and not outbox.adapter.adopt(spec):
        await outbox.stop(SWAP)
        await open_outbox(house, name)


async def close_outbox(house: House, name: str) -> None:
    """The site does not name it any more; what it is owed becomes an orphan."""
    await house.outboxes[name].stop(SWAP)
    del house.outboxes[name]
    if house.books["destination", name, "queued"]:
        house.orphans.add(name)


async def wait_outbox(house: House, name: str, grace: float) -> None:
    """Send nothing more; what is out may end within `grace` seconds, else it is unclear and
    sent again later."""
    if not house.outboxes[name].paused:
        await house.outboxes[name].stop(grace)
        await open_outbox(house, name)


async def resume_outbox(house: House, name: str) -> None:
    """Send again; where it drains, what is queued by now and nothing after it."""
    outbox = house.outboxes[name]
    outbox.let(await _through(house, name))
    if outbox.paused:
        await outbox.adapter.start()
        outbox.start()


async def _through(house: House, name: str) -> int | None:
    """The last place that may leave; None: all may."""
    if house.wanted("destination", name) != "draining":
        return None
    return await patiently(lambda: house.journal.reader.last_queued(name))


async def park_orphans(house: House, lock: asyncio.Lock) -> None:
    """Park what is owed to destinations that the site does not name. Raises JournalError.

    Page by page, each with its books in one transaction; a reload may come in between and name
    the destination again.
    """
    for name in tuple(house.orphans):
        count = 0
        while name in house.orphans:
            async with lock:
                count += await _park_page(house, name)
        if count:
            house.base.emit(QueueParked(name, REMOVED, count))


async def _park_page(house: House, name: str) -> int:
    if name in house.site.destinations:
        house.orphans.discard(name)
        return 0
    since = moment(house.base.clock.time_ns())
    try:
        parked = await house.journal.desk.park_queue(name, REMOVED, _REASON, since, _PAGE)
    except JournalUnclear:
        await _read_books(house, name)
        raise
    house.books["destination", name, "queued"] -= len(parked)
    house.books["destination", name, "parked"] += len(parked)
    for signal in parked:
        if waiter := house.waiters.get(signal):
            waiter.settled("parked")
    if len(parked) < _PAGE:
        house.orphans.discard(name)
    return len(parked)


async def _read_books(house: House, name: str) -> None:
    """Whether the page was parked is not known: the journal's own books say. Nobody else
    writes to a queue that the site does not name."""
    for scope, noun, state, n in await patiently(house.journal.reader.tally):
        if (scope, noun) == ("destination", name):
            house.books[scope, noun, state] = n
