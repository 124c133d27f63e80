"""Sessions that have not concluded, on the parts of a running engine (api.live)."""

import asyncio
from hashlib import blake2b

from msgspec import structs

from portico.api.live import Line, Live, Place
from portico.flow.sessions import looking
from portico.flow.sessions.looking import Looking
from portico.flow.sessions.withdrawing import Withdrawing
from portico.ids import SignalId
from portico.model.states import SignalState
from portico.server.parts import House

_LOOK = 0.1  # seconds between two looks for who waits for something new


class Sessions:
    """The verbs."""

    def __init__(self, house: House) -> None:
        base = house.base
        self._house = house
        self._looking = Looking(
            house.running,
            house.recorded,
            house.broker,
            lambda: house.site.agents,
            base.emit,
            house.modelling.conversing.told,
            Withdrawing(
                house.shelf,
                house.dispatcher,
                house.running,
                house.journal.reader.place_of,
                house.journal.waiting_at,
            ),
        )

    async def live(self, signal: SignalId, mark: str = "", wait: float = 0.0) -> Live:
        """Where they are (api.live.Sessions)."""
        clock = self._house.base.clock
        end = clock.monotonic() + wait
        while True:
            found = await self._now(signal)
            new = found.mark != mark or found.state != SignalState.WAITING
            if new or clock.monotonic() >= end:
                return found
            await asyncio.sleep(_LOOK)

    async def _now(self, signal: SignalId) -> Live:
        """The journal is asked only where no session of it is in this engine."""
        places, state = self._looking.places(signal), SignalState.WAITING
        if not places:
            places = await self._looking.paused(signal)
        if not places:
            state = await self._house.journal.reader.state_of(signal)
        found = Live(state=state, sessions=tuple(self._shown(signal, one) for one in places))
        said = found.model_dump_json(exclude={"sessions": {"__all__": {"seconds"}}})
        mark = blake2b(said.encode(), digest_size=8).hexdigest()
        return found.model_copy(update={"mark": mark})

    async def cancel(self, signal: SignalId, who: str) -> list[str]:
        """End them (api.live.Sessions)."""
        return await self._looking.cancel(signal, who)

    def _shown(self, signal: SignalId, place: looking.SessionPlace) -> Place:
        said = place.saying
        shown = Place(
            agent=place.agent,
            state=place.state,
            place=place.place,
            pid=place.pid,
            seconds=place.seconds,
            asks=place.asks,
            number=place.number,
            step=said.step,
            done=said.done,
            total=said.total,
            lines=tuple(Line(**structs.asdict(line)) for line in said.lines),
            count=said.count,
        )
        for call in self._house.plugging.live(bytes(signal).hex()):
            if call.agent == place.agent and place.state == "asking":
                seconds = self._house.base.clock.monotonic() - call.since
                progress = {"done": call.progress, "total": call.total, "step": call.tool}
                return shown.model_copy(update={**progress, "seconds": seconds})
        return shown
