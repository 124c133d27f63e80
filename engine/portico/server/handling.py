"""What people do to messages, on the parts of a running engine (api.port, Messages)."""

import asyncio
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from portico import ids
from portico.clock import moment
from portico.flow.acts.acting import Acting, ActingWorld, ActOutcome
from portico.flow.acts.amending import Amending
from portico.flow.acts.choosing import ReplayChoice
from portico.flow.acts.previewing import Preview, Previewing
from portico.flow.acts.releasing import Target
from portico.flow.acts.replaying import Replaying, Sources
from portico.ids import SignalId
from portico.journal import held
from portico.journal.contract import JobRow
from portico.journal.found import ActFound, Heap, JobFound, ParkedFilter, ParkedSummary
from portico.journal.search import Search
from portico.server import terms
from portico.server.parts import House


class Handling:
    """The verbs. search: the read side; lock: held while the site is swapped."""

    def __init__(self, house: House, search: Callable[[], Search], lock: asyncio.Lock) -> None:
        base = house.base
        world = ActingWorld(
            house.journal.writer,
            house.journal.reader,
            base.clock,
            base.emit,
            house.recaller,
            house.dispatcher,
            house.running,
            house.outboxes.get,
            lambda: house.site.destinations,
            terms.lane_namer(lambda: house.site.destinations),
            house.queue,
            lock,
        )
        self._search, self._house = search, house
        self._acting, self._amending = Acting(world), Amending(world)
        self._sources = Sources(search, house.recorded.ready)
        self._replaying = Replaying(world, self._sources)
        self._previewing = Previewing(house.recorded, house.recaller)

    async def start(self) -> None:
        """Go on with the replays that a stop or a crash has left."""
        await self._replaying.resume()

    async def stop(self) -> None:
        """Begin no more."""
        await self._replaying.stop()

    async def parked(
        self, wanted: ParkedFilter, counts: bool
    ) -> tuple[list[ParkedSummary], list[Heap]]:
        """What waits for a person."""
        search = self._search()
        found = await search.parked(wanted)
        return found, await search.heaps(wanted) if counts else []

    async def acts(self, of: SignalId | None, limit: int) -> list[ActFound]:
        """What people did."""
        return await self._search().acts(of, limit)

    async def release(self, targets: Sequence[Target], who: str) -> list[ActOutcome]:
        """Back into its queue, or to its agents."""
        return await self._acting.release(targets, who)

    async def discard(
        self, targets: Sequence[Target], who: str, reason: str
    ) -> list[ActOutcome]:
        """Given up for good."""
        return await self._acting.discard(targets, who, reason)

    async def edit(
        self, target: Target, change: Callable[[bytes], bytes], who: str
    ) -> ActOutcome:
        """A changed copy takes its place."""
        return await self._amending.edit(target, change, who)

    async def resend(
        self, target: Target, to: str, received: bool, who: str
    ) -> list[ActOutcome]:
        """The same bytes once more."""
        return await self._amending.resend(target, to, received, who)

    async def preview(self, wanted: ReplayChoice, most: int) -> tuple[int, Preview]:
        """What a replay would do to the first of those that fit."""
        bound = self._bounded(wanted)
        total = await self._sources.count(bound)
        chosen = await self._sources.next(bound, None, most)
        found = await held.originals(self._house.journal.reader, chosen)
        remade = [await self._replaying.remade(one, bound) for one in found]
        return total, await self._previewing.preview(remade)

    async def replay(self, wanted: ReplayChoice, who: str) -> JobFound:
        """Begin a job."""
        return _job(await self._replaying.begin(self._bounded(wanted), who))

    async def jobs(self, limit: int) -> list[JobFound]:
        """The latest replays."""
        return await self._search().jobs(limit)

    async def cancel(self, job: str) -> JobFound:
        """End one where it is."""
        return _job(await self._replaying.cancel(job))

    def _bounded(self, wanted: ReplayChoice) -> ReplayChoice:
        """Nothing from now on: what a replay makes is not replayed."""
        now = self._house.base.clock.time_ns() // 1_000_000
        return replace(wanted, before=ids.text(ids.floor_at(now)))


def _job(row: JobRow) -> JobFound:
    return JobFound(
        ids.text(SignalId(row.id)),
        moment(row.at),
        row.who,
        row.query,
        row.state,
        row.total,
        row.made,
        row.skipped,
        row.note,
    )
