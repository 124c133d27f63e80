"""The engine: parts started in order, a site swapped under them, parts stopped in order."""

import asyncio
from collections.abc import Iterator, Mapping

from portico.api.shapes import Finding, Reloaded, Status
from portico.check.site import Site, examine
from portico.errors import ConfigError, JournalUnavailable, NounUnknown
from portico.events.site import EngineReady, SiteRefused, SiteSwapped
from portico.ids import SignalId
from portico.journal.found import Page, Query, Record, Row
from portico.journal.operating import Wish
from portico.journal.search import Search
from portico.server import outboxes, renaming, status, terms
from portico.server.calling import Calling
from portico.server.deadline import Deadline
from portico.server.ground import Ground
from portico.server.handling import Handling
from portico.server.keeping import Keeping
from portico.server.looking import Sessions
from portico.server.modelling import Modelling
from portico.server.parts import Base, House
from portico.server.storage import Storage
from portico.server.watchers import Watchers
from portico.spec.finding import errors
from portico.workers.editions import Proof
from portico.workers.nursery import Nursery
from portico.workers.pool import Pool

_WARM = 10.0  # seconds that plugins have to answer before sources open
# Seconds that a stop may take: for what is under way, and for the writer to store it. With the
# end of an embedded PostgreSQL that does not answer, all of it is over within 30.
DRAIN = 10.0
STORE = 4.0


class Engine:
    """One engine on one site. environ: what overrides the site's files."""

    def __init__(
        self,
        site: Site,
        environ: Mapping[str, str],
        base: Base,
        nursery: Nursery,
        ground: Ground,
    ) -> None:
        self.site = site.root
        self.tell = base.emit
        self._environ = environ
        self._base = base
        self._nursery = nursery
        self._site = site
        self._lock = asyncio.Lock()
        self._search: Search | None = None
        self._known: renaming.Known = frozenset()
        self.storage = Storage(ground, base)
        self.state = "starting"
        self.started = base.clock.time_ns()
        self.stopping = asyncio.Event()
        self.again = False  # once it has stopped, it is to be started on the site as it is now
        self.house: House
        self.watchers: Watchers
        self.messages: Handling
        self.callers: Calling
        self.sessions: Sessions

    async def start(self) -> None:
        """Open the journal, load the agents, then destinations, then sources.

        Raises ConfigError, JournalUnsafe, JournalLocked and JournalFromFuture; a source that
        cannot be opened is no reason not to start.
        """
        base, began = self._base, self._base.clock.monotonic()
        pool = Pool(
            self._nursery,
            clock=base.clock,
            emit=base.emit,
            most=terms.most_workers(self._site.config),
        )
        journal = await self.storage.open(self.stopping.set)
        await pool.start()
        house = self.house = House(base, self._site, journal, pool)
        self.storage.attach(house)
        house.editions.clear()
        self._known = await renaming.follow(house, self._site)
        await self._activate(self._site)
        house.follow(self._site)
        await self.storage.read_books(house)
        self.watchers = Watchers(house, self.storage, self._environ, self._lock)
        await self.watchers.restore()
        self.storage.changed = self.watchers.pressure.look
        for origin, agent, key in await journal.reader.held_keys():
            house.running.hold(origin, agent, key)
        for name in self._site.destinations:
            await outboxes.open_outbox(house, name)
        await house.plugging.warm(_WARM)
        house.dispatcher.start()
        for name in self._site.channels:
            await house.new_channel(name).start()
        self.watchers.start()
        self.messages = Handling(house, self._searcher, self._lock)
        house.modelling.searcher = self._searcher
        await outboxes.patiently(self.messages.start)
        self.callers = Calling(house, self.reload)
        self.sessions = Sessions(house)
        status.register(self, base.metrics)
        self.state = "ready"
        site = self._site
        counts = (len(site.channels), len(site.agents), len(site.destinations))
        base.emit(EngineReady(*counts, base.clock.monotonic() - began))

    async def drain(self) -> bool:
        """Stop taking, end what is under way, store it, close all; False when time ran out.

        Each step has a share of DRAIN, and the journal STORE beside it.
        """
        self.state = "draining"
        house, time = self.house, Deadline(self._base.clock, DRAIN)
        await time.step(1.0, lambda _: self.watchers.stop())
        # A reload or an act that has begun ends; no other begins.
        await time.step(2.0, lambda _: self._lock.acquire())
        await time.step(1.0, lambda _: self.messages.stop())
        await time.step(6.0, self._close_sources)
        for channel in house.channels.values():
            channel.intake.stop()
        house.deferring.stop()
        house.dispatcher.pause()
        house.running.stop()
        house.resuming.stop()
        house.recorded.stop()
        house.broker.stop()
        await time.step(4.0, self._end_work)
        await time.step(4.0, self._end_deliveries)
        stored = await self.storage.close(STORE)
        if self._search is not None:
            self._search.close()
        return stored

    async def _close_sources(self, grace: float) -> None:
        await asyncio.gather(*(one.stop(grace) for one in self.house.channels.values()))

    async def _end_work(self, grace: float) -> None:
        house = self.house
        await asyncio.gather(
            house.plugging.stop(grace), house.modelling.stop(), house.pool.stop(grace)
        )
        await house.once.settle(grace)
        house.editions.clear()

    async def _end_deliveries(self, grace: float) -> None:
        boxes = tuple(self.house.outboxes.values())
        await asyncio.gather(*(one.pause(grace) for one in boxes))
        await asyncio.gather(*(one.adapter.stop(grace / 4) for one in boxes))

    async def status(self) -> Status:
        """What runs, and the books (EnginePort)."""
        return status.of(self)

    async def search(self, query: Query, page: Page) -> list[Row]:
        """Signals, newest first (EnginePort)."""
        return await self._searcher().signals(query, page)

    async def show(self, signal: SignalId) -> Record | None:
        """One Signal whole (EnginePort)."""
        return await self._searcher().signal(signal)

    async def reload(self) -> Reloaded:
        """Check the site whole and swap it in, or keep the old one and say why (EnginePort)."""
        async with self._lock:
            site, found = await asyncio.to_thread(examine, self.site, self._environ)
            told = tuple(Finding(severity=one.severity, text=str(one)) for one in found)
            if site is None:
                wrong = errors(found)
                self._base.emit(SiteRefused(len(wrong), str(wrong[0])))
                return Reloaded(swapped=False, findings=told)
            try:
                await self._activate(site)
            except ConfigError as error:
                self._base.emit(SiteRefused(1, str(error)))
                one = Finding(severity="error", text=str(error))
                return Reloaded(swapped=False, findings=(*told, one))
            if renamed := tuple(renaming.pending(site, self._known)):
                self.again = True
                self.stop()
                said = (Finding(severity="warning", text=one) for one in renamed)
                return Reloaded(swapped=True, findings=(*told, *said))
            await self._swap(site)
            self.watchers.follow(site)
            await self._base.auditing.follow(site.config.audit)
            self._base.certificates.refresh()
            told += tuple(self._orphaned())
            return Reloaded(swapped=True, findings=told)

    async def wish(self, scope: str, name: str, verb: str, by: str) -> Wish:
        """Pause, resume, drain or stop a noun (EnginePort)."""
        return await self.watchers.operating.wish(scope, name, verb, by)

    async def fire(self, channel: str) -> None:
        """Fire a schedule now (EnginePort)."""
        if channel not in self.house.channels:
            raise NounUnknown("channel", channel, self.house.channels)
        if not await self.house.channels[channel].fire():
            raise JournalUnavailable("the journal could not store it; try again")

    async def try_sink(self, name: str) -> None:
        """Send a trial to a sink of alarms (EnginePort)."""
        await self.watchers.try_sink(name)

    @property
    def keeping(self) -> Keeping:
        """Retention and legal holds (EnginePort)."""
        return self.watchers.keeping

    @property
    def models(self) -> Modelling:
        """Calls of language models, and answers that wait for a person (EnginePort)."""
        return self.house.modelling

    def stop(self) -> None:
        """Begin to drain (EnginePort)."""
        self.stopping.set()

    def _searcher(self) -> Search:
        if self._search is None:
            self._search = Search(self.storage.conninfo)
        return self._search

    async def _activate(self, site: Site) -> None:
        """Prove every agent's plan, then put all in force, or none. Raises ConfigError."""
        pool = self.house.pool
        proven = await asyncio.gather(
            *(self._prove(pool, site, name) for name in site.agents), return_exceptions=True
        )
        proofs = [one for one in proven if isinstance(one, Proof)]
        for fault in proven:
            if isinstance(fault, BaseException):
                await asyncio.gather(*map(pool.discard, proofs))
                raise fault
        for name, proof in zip(site.agents, proofs, strict=True):
            pool.adopt(proof)
            self.house.versions[name] = proof.version
        await self.house.editions.keep(site, self.house.versions)

    async def _prove(self, pool: Pool, site: Site, name: str) -> Proof:
        agent = site.agents[name]
        return await pool.prove(
            name,
            agent.plain(),
            str(site.root),
            terms.worker_terms(agent, site.config),
            agent.limits.memory,
        )

    async def _swap(self, site: Site) -> None:
        """Follow the new site; sockets stay open where they can."""
        house, before = self.house, self._site
        house.follow(site)
        self._site = site
        for name in before.channels.keys() - site.channels.keys():
            await house.channels.pop(name).stop(outboxes.SWAP)
        for name in before.destinations.keys() - site.destinations.keys():
            await outboxes.close_outbox(house, name)
        for name in site.destinations:
            await outboxes.swap_outbox(house, name, before.destinations.get(name))
        await asyncio.gather(
            *(
                house.channels[name].swap(terms.origin_of(one), outboxes.SWAP)
                for name, one in site.channels.items()
                if name in house.channels
            )
        )
        for name in site.channels:
            await (house.channels.get(name) or house.new_channel(name)).start()
        for name in before.agents.keys() - site.agents.keys():
            await house.pool.retire(name)
        self._base.emit(SiteSwapped(*_difference(before, site)))

    def _orphaned(self) -> Iterator[Finding]:
        """Destinations that left the site and are owed something still."""
        for name in sorted(self.house.orphans):
            count = self.house.books["destination", name, "queued"]
            text = (
                f"destination {name!r} has left the site; the {count} messages that it is owed "
                f"are parked  [{outboxes.REMOVED}]"
            )
            yield Finding(severity="warning", text=text)


def _difference(before: Site, after: Site) -> tuple[tuple[str, ...], ...]:
    """Names that came, changed and went."""
    old = {**before.channels, **before.agents, **before.destinations}
    new = {**after.channels, **after.agents, **after.destinations}
    changed = (name for name in old.keys() & new.keys() if old[name] != new[name])
    return (
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(changed)),
        tuple(sorted(old.keys() - new.keys())),
    )
