"""The parts of one running engine, built from a site; nothing here decides anything."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from portico import catalog
from portico.agents.match import Matcher
from portico.check.site import Site
from portico.clock import Clock
from portico.destinations import contract as outbound
from portico.destinations.contract import Creditor
from portico.events.emit import Emit
from portico.events.intake import AnswerUncredited
from portico.events.metrics import Metrics
from portico.flow.arrivals.channels import Channel, Origin
from portico.flow.arrivals.deferring import Deferring, DeferringWorld
from portico.flow.arrivals.desk import IntakeWorld, Policy
from portico.flow.arrivals.fetching import Fetch
from portico.flow.arrivals.intake import Intake
from portico.flow.arrivals.recalling import Recaller
from portico.flow.deliveries import crediting
from portico.flow.deliveries.delivering import DeliveringWorld, Outbox
from portico.flow.runs import Run, Waiter
from portico.flow.sessions.asking import Broker, Doer
from portico.flow.sessions.dispatch import Dispatcher, DispatchWorld
from portico.flow.sessions.once import Once
from portico.flow.sessions.recorded import Recorded
from portico.flow.sessions.resuming import Resuming, ResumingWorld
from portico.flow.sessions.running import Running, RunningWorld
from portico.flow.sessions.shelf import Shelf
from portico.flow.sessions.skimming import Skimming, SkimmingWorld
from portico.ids import IdMaker, SignalId
from portico.journal.contract import Recovered
from portico.journal.folder import SCRATCH
from portico.journal.operating import Wish
from portico.journal.postgres import Journal
from portico.language.content import Content
from portico.listeners import contract as inbound
from portico.listeners.contract import Listener
from portico.model.delivery import Attempt, Delivery
from portico.server import terms
from portico.server.auditing import Auditing
from portico.server.editions import Editions
from portico.server.modelling import Modelling
from portico.server.names import Names
from portico.server.plugging import Plugging
from portico.tls.certificates import Certificates
from portico.workers.pool import Pool

_HIGH, _LOW = 4096, 1024  # answers owed at which reading stops, and goes on again


@dataclass(frozen=True, slots=True)
class Base:
    """What the process gives: built once, before any site."""

    clock: Clock
    reactor: Any
    loop: asyncio.AbstractEventLoop
    emit: Emit
    metrics: Metrics
    environ: Mapping[str, str] = field(default_factory=dict)
    certificates: Certificates = field(default_factory=Certificates)
    auditing: Auditing = field(default_factory=Auditing)


@dataclass(slots=True)
class House:
    """All parts, and the site they follow.

    books: (scope, name, state) to how many, as committed. wishes: the operator's, by (scope,
    name). orphans: destinations that left and are owed something. shut: why no source may open.
    """

    base: Base
    site: Site
    journal: Journal
    pool: Pool
    channels: dict[str, Channel] = field(default_factory=dict)
    outboxes: dict[str, Outbox] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    books: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    shared: dict[str, Any] = field(default_factory=dict)
    wishes: dict[tuple[str, str], Wish] = field(default_factory=dict)
    orphans: set[str] = field(default_factory=set)
    names: Names = field(default_factory=Names)
    shut: set[str] = field(default_factory=set)
    doers: dict[str, Doer] = field(default_factory=dict)
    editions: Editions = field(init=False)
    recorded: Recorded = field(init=False)
    plugging: Plugging = field(init=False)
    modelling: Modelling = field(init=False)
    once: Once = field(init=False)
    broker: Broker = field(init=False)
    running: Running = field(init=False)
    shelf: Shelf = field(init=False)
    resuming: Resuming = field(init=False)
    dispatcher: Dispatcher = field(init=False)
    recaller: Recaller = field(init=False)
    deferring: Deferring = field(init=False)
    policies: dict[str, Policy] = field(default_factory=dict)
    waiters: dict[SignalId, Waiter] = field(default_factory=dict)
    ids: IdMaker = field(init=False)

    def __post_init__(self) -> None:
        base, journal = self.base, self.journal
        self.ids = IdMaker(base.clock, os.urandom)
        self.shelf = Shelf(lambda run: self.dispatcher.shelve(run))
        left = journal, self.shelf, lambda: self.dispatcher.matcher, self.policies.get
        skimming = Skimming(SkimmingWorld(*left, journal.writer.first))
        self.dispatcher = Dispatcher(
            DispatchWorld(
                skimming.waiting,
                self._recall,
                self._run,
                base.loop.call_later,
                base.emit,
                journal.writer.first,
            ),
            Matcher({}),
        )
        self.deferring = Deferring(
            DeferringWorld(
                journal.writer,
                base.clock,
                base.loop.call_later,
                base.metrics,
                self.queue,
                terms.lane_namer(lambda: self.site.destinations),
                journal.reader.owing,
                self.forget,
            )
        )
        self.recaller = Recaller(
            self.policies.get,
            self.dispatcher,
            journal.writer,
            self.ids,
            base.clock,
            self.deferring,
            lambda origin: self.site.rules(origin),
            self.names.agent,
        )
        around = (lambda: self.site), base.clock, base.emit
        self.editions = Editions(journal.editions, self.pool, *around)
        self.recorded = self.editions.recorded(base.loop.call_later, self.names.destination)
        ways = base.environ, base.clock, base.emit, base.metrics
        self.plugging = Plugging(self.site.root, *ways)
        self.once = Once(self.plugging.do, base.emit)
        self.doers["plugin"] = self.once.do
        self.modelling = Modelling(
            self.site, base.environ, journal.calls, *ways[1:], self.plugging.do
        )
        self.doers |= self.modelling.doers
        self.broker = Broker(journal.calls, self.doers, base.emit)
        self.running = Running(
            RunningWorld(
                journal.writer,
                self.recorded,
                base.clock,
                base.loop.call_later,
                random.random,
                base.emit,
                base.metrics,
                self.recaller.emitted,
                self.queue,
                terms.lane_namer(lambda: self.site.destinations),
                terms.file_namer(lambda: self.site.destinations, self._form),
                self.dispatcher.ended,
                self.broker.ask,
                self.shelf,
            )
        )
        parts = self.shelf, self.dispatcher, self.running
        self.resuming = Resuming(ResumingWorld(*parts, journal.waiting_at, self.pool.give_back))

    def follow(self, site: Site) -> None:
        """Decide by this site from now on: matching, policies, terms."""
        self.site = site
        self.pool.quotas = terms.quotas(site.config)
        self.plugging.follow(site)
        self.modelling.follow(site)
        self.policies.clear()
        answered = terms.answered(site.destinations)
        confirming = terms.confirming(site.destinations)
        self.policies |= {
            name: terms.policy_of(one, answered, confirming, self.names.firsts.get(name, ""))
            for name, one in site.channels.items()
        }
        windows = [policy.duplicates.window for policy in self.policies.values()]
        self.journal.writer.window = max(windows, default=0.0)
        self.dispatcher.matcher = Matcher(
            {name: agent.on for name, agent in site.agents.items()}
        )
        self.running.adopt(
            {
                name: terms.run_terms(agent, self.versions.get(name, ""))
                for name, agent in site.agents.items()
            }
        )
        for name, channel in self.channels.items():
            if name in self.policies:
                channel.intake.policy = self.policies[name]
        for name, outbox in self.outboxes.items():
            if name in site.destinations:
                outbox.terms = terms.delivery_terms(site.destinations[name])
        self.rest_agents()

    def wanted(self, scope: str, name: str) -> str:
        """What the operator wants of it, else how its document says it starts."""
        wish = self.wishes.get((scope, name))
        if wish is not None:
            return wish.wish
        nouns = getattr(self.site, f"{scope}s")
        return nouns[name].start if name in nouns else "running"

    def rest_agents(self) -> None:
        """Pause the agents that are to be paused, and resume the others."""
        agents = self.site.agents
        self.resuming.follow({n for n in agents if self.wanted("agent", n) != "running"})

    def new_channel(self, name: str) -> Channel:
        """A channel of the site, not started."""
        base = self.base
        world = IntakeWorld(
            self.journal.writer,
            self.dispatcher,
            self.ids,
            base.clock,
            base.loop.call_later,
            base.emit,
            base.metrics,
            self.journal.reader.state_of,
            self.forget,
            self.deferring,
            self.journal.reader.answer_of,
            self._credit,
        )
        taken = Intake(self.policies[name], world, self._pressed)
        build = self._listener_builder(taken)
        origin = terms.origin_of(self.site.channels[name])
        channel = Channel(taken, origin, build, base.emit, base.loop.call_later)
        channel.shut |= self.shut
        if self.wanted("channel", name) != "running":
            channel.shut.add("wish")
        self.channels[name] = channel
        return channel

    def new_outbox(self, name: str, held: frozenset[str]) -> Outbox:
        """A destination of the site, not started."""
        base, spec = self.base, self.site.destinations[name]
        around = outbound.Surroundings(
            base.reactor,
            base.clock,
            base.emit,
            self.site.root,
            base.environ,
            base.certificates,
        )
        adapter = catalog.destination(spec.type).build(name, spec, around)
        world = DeliveringWorld(
            self.journal.writer,
            self.journal.reader,
            base.clock,
            base.loop.call_later,
            random.random,
            base.emit,
            base.metrics,
            self._settled,
        )
        outbox = Outbox(name, adapter, terms.delivery_terms(spec), world, held)
        self.outboxes[name] = outbox
        return outbox

    def _listener_builder(self, taken: Intake) -> Callable[[Origin], Listener]:
        base, root = self.base, self.site.root
        around = inbound.Surroundings(
            base.reactor,
            base.clock,
            base.emit,
            root,
            base.environ,
            base.certificates,
            shared=self.shared,
            fetching=self._fetching(taken),
            scratch=str(root / self.site.config.data / SCRATCH),
        )

        def build(origin: Origin) -> Listener:
            kind = catalog.listener(origin.type)
            return kind.build(taken.name, origin.source, taken.receive, around)

        return build

    def _fetching(self, taken: Intake) -> Fetch:
        book = ("channel", taken.name, "waiting")
        return Fetch(taken, self.journal.memories, lambda: self.books[book])

    def _pressed(self, taken: Intake) -> None:
        """A channel's debt of answers changed: read no faster than the journal writes."""
        channel = self.channels.get(taken.name)
        if channel is None or channel.intake is not taken:  # it has left the site
            return
        if taken.owed >= _HIGH:
            channel.hold("answers")
        elif taken.owed <= _LOW and channel.holds:
            channel.release("answers")

    def _form(self, origin: str) -> Content:
        """What the Signals of an origin are."""
        return self.site.form(origin)

    def _recall(self, recovered: Recovered, waiter: Waiter | None) -> Run | None:
        return self.recaller.recall(recovered, waiter)

    def _run(self, run: Run) -> None:
        if run.waiter is not None and run.waiter.open:
            self.waiters[run.signal.id] = run.waiter
            run.waiter.begun(run)
        self.running.start(run)

    def forget(self, signal: SignalId) -> None:
        """Its sender has been told: nobody waits for its end any more."""
        self.waiters.pop(signal, None)
        self.dispatcher.forget(signal)

    def _credit(self, channel: str, content: bytes) -> None:
        """An answer came to this channel: end the Delivery that waits for it there."""
        adapters = (outbox.adapter for outbox in self.outboxes.values())
        asked = [one for one in adapters if isinstance(one, Creditor) and one.ack_on == channel]
        if not crediting.credit(asked, content):
            self.base.emit(AnswerUncredited(channel))

    def queue(self, delivery: Delivery) -> None:
        """A committed Delivery goes to its destination."""
        outbox = self.outboxes.get(delivery.destination)
        if outbox is not None:
            outbox.enqueue(delivery)
        else:
            self.orphans.add(delivery.destination)

    def _settled(self, delivery: Delivery, outcome: str, attempt: Attempt) -> None:
        waiter = self.waiters.get(delivery.signal)
        if waiter is not None:
            waiter.settled(outcome, delivery.destination, attempt.answer)
