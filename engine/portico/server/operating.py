"""What operators want of nouns: done at once, stored, kept over restarts.

`pause` lets end what is under way, `stop` cuts it; both close the source, or the connection.
`drain` of a destination sends what was queued when it was asked, whatever comes meanwhile, and
pauses then. A drained channel takes nothing new while its agents finish, so its source closes
at once. An agent that is paused ends what its workers have; the rest waits in the journal.
"""

import asyncio

from portico.clock import moment
from portico.errors import JournalError, NounUnknown
from portico.events.operating import QueueDrained, WishStored
from portico.journal.operating import Wish
from portico.server import outboxes
from portico.server.parts import House

VERBS = {"pause": "paused", "resume": "running", "drain": "draining", "stop": "stopped"}
ENGINE = "engine"  # who pauses what has been drained
_GRACE = 10.0  # seconds that a pause gives what is under way
_TICK = 0.5


class Operating:
    """The operator's verbs on a running engine. lock: held while the site is swapped."""

    def __init__(self, house: House, lock: asyncio.Lock) -> None:
        self._house = house
        self._lock = lock

    async def wish(self, scope: str, name: str, verb: str, by: str) -> Wish:
        """Store it, then do it. Raises NounUnknown, JournalError."""
        house = self._house
        async with self._lock:
            nouns = {
                "channel": house.channels,
                "agent": house.site.agents,
                "destination": house.outboxes,
            }[scope]
            if name not in nouns:
                raise NounUnknown(scope, name, nouns)
            return await self._take(scope, name, VERBS[verb], by)

    async def watch(self) -> None:
        """Pause destinations that are drained, park what nobody sends; until cancelled."""
        while True:
            await asyncio.sleep(_TICK)
            try:
                await outboxes.park_orphans(self._house, self._lock)
                for name in tuple(self._house.outboxes):
                    if await self._drained(name):
                        await self._rest(name)
            except JournalError:
                continue  # it is said elsewhere that the journal is away

    async def _drained(self, name: str) -> bool:
        through = self._house.outboxes[name].through
        if through is None or self._house.wanted("destination", name) != "draining":
            return False
        return not await self._house.journal.reader.queued_up_to(name, through)

    async def _rest(self, name: str) -> None:
        async with self._lock:
            if name in self._house.outboxes and await self._drained(name):
                await self._take("destination", name, "paused", ENGINE)
                self._house.base.emit(QueueDrained(name))

    async def _take(self, scope: str, name: str, wanted: str, by: str) -> Wish:
        house = self._house
        wish = Wish(scope, name, wanted, moment(house.base.clock.time_ns()), by)
        await house.journal.desk.wish(wish)
        house.wishes[scope, name] = wish
        house.base.emit(WishStored(scope, name, wanted, by))
        grace = 0.0 if wanted == "stopped" else _GRACE
        if scope == "agent":
            house.rest_agents()
        elif scope == "channel":
            await self._channel(name, wanted, grace)
        elif wanted in ("running", "draining"):
            await outboxes.resume_outbox(house, name)
        else:
            await outboxes.wait_outbox(house, name, grace)
        return wish

    async def _channel(self, name: str, wanted: str, grace: float) -> None:
        channel = self._house.channels[name]
        if wanted == "running":
            await channel.reopen("wish")
        else:
            await channel.close("wish", grace)
