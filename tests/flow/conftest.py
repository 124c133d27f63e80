"""Twins of what flow stands on: a journal that commits on demand, time that is told."""

import asyncio
import itertools

import pytest

from portico.errors import JournalUnavailable
from portico.flow.arrivals import entries
from portico.flow.arrivals.deferring import Deferring, DeferringWorld
from portico.flow.arrivals.desk import IntakeWorld, Policy
from portico.flow.arrivals.intake import Intake
from portico.flow.arrivals.recalling import Recaller
from portico.flow.sessions.dispatch import Dispatcher, DispatchWorld
from portico.flow.sessions.failing import FailureTerms
from portico.flow.sessions.resuming import Resuming, ResumingWorld
from portico.flow.sessions.running import Running, RunningWorld
from portico.flow.sessions.shelf import Shelf
from portico.flow.sessions.skimming import Skimming, SkimmingWorld
from portico.ids import IdMaker
from portico.journal.contract import Earlier, Recovered
from portico.journal.outlines import Outline
from portico.language.content import AUTO
from portico.language.order import Order, beside
from portico.model.states import SignalState
from portico.model.verdict import Failure, Kind, Output, Refusal, SessionResult
from portico.policy.answer import Answering
from portico.policy.repeats import Rules as Repeats
from portico.policy.routing import Rules
from portico.spec.channel import Duplicates
from portico.workers.backlog import NOT_RUN, Outcome

FIRST = 1 << 20


class Time:
    """A clock and a loop's timers that move when told to."""

    def __init__(self):
        self.now = 1_000.0
        self._calls = []

    def time_ns(self):
        """The wall clock."""
        return 1_773_475_200_000_000_000 + int(self.now * 1e9)

    def monotonic(self):
        """The other one."""
        return self.now

    def later(self, seconds, call):
        """As the loop's call_later."""
        timer = Timer(self.now + seconds, call)
        self._calls.append(timer)
        return timer

    def pass_(self, seconds):
        """Let that much time go by."""
        end = self.now + seconds
        while due := [t for t in self._calls if t.call and t.at <= end]:
            first = min(due, key=lambda timer: timer.at)
            self.now, call, first.call = max(self.now, first.at), first.call, None
            call()
        self.now = end


class Timer:
    """One call to come."""

    def __init__(self, at, call):
        self.at, self.call = at, call

    def cancel(self):
        """Never call it."""
        self.call = None


class JournalTwin:
    """The writer and what it stored. Nothing is durable before `commit`."""

    def __init__(self):
        self.pending, self.conclusions, self.marks = [], [], []
        self.signals, self.ends, self.marked = {}, [], []
        self.waiting_rows = {}
        self.settled = {}
        self.parked = []
        self.seqs = itertools.count(FIRST)

    def accept(self, pending):
        """Queue."""
        self.pending.append(pending)

    def conclude(self, conclusion):
        """Queue."""
        self.conclusions.append(conclusion)

    def mark(self, mark, urgent):
        """Queue."""
        self.marks.append(mark)

    def fail(self):
        """The database is gone: what arrived fails, the rest waits."""
        arrived, self.pending = self.pending, []
        for pending in arrived:
            pending.failed(JournalUnavailable("gone"))

    def store(self):
        """One flush reaches the database; gives the calls that are due."""
        conclusions, self.conclusions = self.conclusions, []
        arrived, self.pending = self.pending, []
        marks, self.marks = self.marks, []
        calls = []
        for pending in (*arrived, *(p for c in conclusions for p in c.emitted)):
            seq, signal = next(self.seqs), pending.signal
            earlier = self._earlier(signal)
            self.signals[seq] = signal
            if not signal.ended:
                self.waiting_rows[seq] = signal
            calls.append(lambda p=pending, s=seq, e=earlier: p.stored(s, e))
        for conclusion in conclusions:
            seq = next(self.seqs)
            for _ in conclusion.owed[1:]:
                next(self.seqs)
            if conclusion.state is not None:
                del self.waiting_rows[conclusion.waiting]
            if conclusion.parked:
                self.parked.append(conclusion.parked)
            self.ends.append(conclusion)
            calls.append(lambda c=conclusion, s=seq: c.stored(s))
        for mark in marks:
            self.marked.append(mark)
            calls.append(mark.stored)
        return calls

    def commit(self):
        """Flush until nothing waits, and call everybody back."""
        while self.pending or self.conclusions or self.marks:
            for call in self.store():
                call()

    def states(self):
        """What each Signal ended as, in the order of the ends."""
        return [end.state for end in self.ends if end.state is not None]

    def _earlier(self, signal):
        own = {e.signal for e in self.ends if e.row.verdict in ("duplicate", "refuse")
               and not e.row.agent}  # fmt: skip
        return tuple(
            Earlier(one.id, one.sha256)
            for one in reversed(self.signals.values())
            if signal.repeat_key and one.repeat_key == signal.repeat_key
            and not one.ended.startswith("refused:") and one.id not in own
        )  # fmt: skip

    async def state_of(self, signal, deep=False):
        """What became of a Signal."""
        return self._state(signal)

    def _state(self, signal):
        for seq, one in self.signals.items():
            if one.id == signal and seq in self.waiting_rows:
                return SignalState.WAITING
        ends = [e.state for e in self.ends if e.signal == signal and e.state is not None]
        return ends[-1] if ends else SignalState.FILTERED

    async def owing(self, signals):
        """Whether Deliveries of each are queued, or parked."""
        return {one: self._owing(one) for one in signals}

    def _owing(self, signal):
        made = [(signal, o.number) for e in self.ends if e.signal == signal for o in e.owed]
        outcomes = [self.settled.get(one, ("",))[0] for one in made]
        return "" in outcomes, "parked" in outcomes

    async def answer_of(self, signal, asked):
        """What its sender was told."""
        ends = [end for end in self.ends if end.signal == signal]
        if asked == "result":
            return next((end.value for end in reversed(ends) if end.value is not None), None)
        made = [(signal, o.number) for e in ends for o in e.owed if o.destination == asked]
        return self.settled[made[-1]][1] if made and made[-1] in self.settled else None

    async def waiting(self, after, limit, without=(), only=""):
        """Signals that wait, as the reader gives them."""
        rows = [
            (seq, one)
            for seq, one in sorted(self.waiting_rows.items())
            if seq > after and one.origin not in without and only in ("", one.origin)
        ]
        return [self.recovered(seq, one) for seq, one in rows[:limit]]

    async def place_of(self, signal):
        """Where a Signal that waits stands."""
        return next((seq for seq, one in self.waiting_rows.items() if one.id == signal), None)

    async def outlines(self, after, before, limit):
        """What waits between two places, each for itself."""
        rows = sorted((s, one) for s, one in self.waiting_rows.items() if after < s < before)
        found = []
        for seq, one in rows[:limit]:
            agents = tuple(sorted(e.row.agent for e in self.ends if e.signal == one.id))
            found.append((Outline(one.origin, one.type, agents, not one.about), [seq]))
        return found

    async def waiting_at(self, places):
        """The same of these places."""
        found = ((place, self.waiting_rows.get(place)) for place in places)
        return [self.recovered(place, one) for place, one in found if one is not None]

    def recovered(self, seq, signal):
        """One of them."""
        done = [e for e in self.ends if e.signal == signal.id]
        earlier = [
            Earlier(one.id, one.sha256, self._state(one.id))
            for place, one in reversed(self.signals.items())
            if place < seq and one.repeat_key == signal.repeat_key and signal.repeat_key
            and not one.ended.startswith("refused:")
        ]  # fmt: skip
        return Recovered(
            seq,
            signal,
            tuple(e.row.agent for e in done),
            sum(len(e.owed) for e in done),
            tuple(earlier),
            tuple({e.row.verdict for e in done}),
        )


class PoolTwin:
    """Workers that answer when told to."""

    def __init__(self):
        self.agents = set()
        self.items = []

    def submit(self, agent, item, group, done):
        """As workers.pool."""
        if agent not in self.agents:
            raise KeyError(agent)
        self.items.append((agent, item, group, done))

    def give_back(self, agent):
        """As workers.pool, as if no worker had begun anything."""
        back = [one for one in self.items if one[0] == agent]
        self.items = [one for one in self.items if one[0] != agent]
        for *_, done in back:
            done(NOT_RUN)

    def answer(self, result=None, at=0):
        """The oldest item ended so; without a result it was not run."""
        _, item, _, done = self.items.pop(at)
        done(NOT_RUN if result is None else Outcome(result, "v1"))
        return item

    def deliver(self, *to, at=0, emissions=()):
        """It owes these destinations the message."""
        outputs = tuple(Output(one) for one in to)
        return self.answer(
            SessionResult(Kind.DELIVER, outputs=outputs, emissions=emissions), at
        )

    def refuse(self, ack="AE", at=0):
        """It would not have the message."""
        return self.answer(SessionResult(Kind.REFUSE, refusal=Refusal(ack, "101", "no")), at)

    def fault(self, code="step.permanent", at=0, transient=False, hold=False):
        """It failed."""
        failure = Failure(code, "it failed", "s1", transient=transient)
        return self.answer(SessionResult(Kind.FAULT, failure=failure, hold=hold), at)

    @property
    def control_ids(self):
        """MSH-10 of what is out, in order."""
        return [item.content.split(b"|")[9].decode() for _, item, _, _ in self.items]


class Sender:
    """One arrival, and what its sender was told."""

    def __init__(self, content, connection=1):
        self.content, self.connection = content, connection
        self.peer, self.received, self.file = "10.0.0.1:4000", 1_773_475_200 * 10**9, ""
        self.told, self.about = [], {}

    def answer(self, receipt):
        """Remember it."""
        self.told.append(receipt)

    @property
    def code(self):
        """The code it was told, `close` for a closed connection, None while it waits."""
        assert len(self.told) < 2, "told twice"
        if not self.told:
            return None
        return "close" if self.told[0].close else self.told[0].code


class MetricsTwin:
    """Counts nothing."""

    def __getattr__(self, name):
        return lambda *args, **kw: None


class MatcherTwin:
    """Matches what a test says."""

    def __init__(self, agents):
        self.agents = agents

    def matching(self, context):
        """The agents, by a function or always the same."""
        return self.agents(context) if callable(self.agents) else self.agents

    def possible(self, origin, kind):
        """Any, when it is for the content to say."""
        return frozenset("ab" if callable(self.agents) else self.agents)


class Engine:
    """Intake, dispatch and running on a journal twin."""

    def __init__(self, journal=None, agents=("a",), **settings):
        self.journal = journal or JournalTwin()
        self.time, self.pool, self.events, self.queued = Time(), PoolTwin(), [], []
        self.pool.agents = {"a", "b"}
        self.ids = IdMaker(self.time)
        self.waiters, self.credited = {}, []
        self.policy = policy(**settings)
        first = FIRST if journal is None else next(self.journal.seqs)
        self.shelf = Shelf(lambda run: self.dispatcher.shelve(run))
        left = (
            self.journal,
            self.shelf,
            lambda: self.dispatcher.matcher,
            {"adt": self.policy}.get,
        )
        self.dispatcher = Dispatcher(
            DispatchWorld(
                Skimming(SkimmingWorld(*left, first)).waiting,
                lambda r, w: self.recaller.recall(r, w), self._start, self.time.later,
                self.events.append, first,
            ),
            MatcherTwin(agents),
        )  # fmt: skip
        self.deferring = Deferring(
            DeferringWorld(
                self.journal, self.time, self.time.later, MetricsTwin(), self.queued.append,
                lambda to, key, signal, number: key, self.journal.owing, self._forget,
            )
        )  # fmt: skip
        self.recaller = Recaller(
            {"adt": self.policy}.get, self.dispatcher, self.journal, self.ids, self.time,
            self.deferring, lambda origin: Rules(origin, AUTO),
        )  # fmt: skip
        self.running = Running(
            RunningWorld(
                self.journal, self.pool, self.time, self.time.later, lambda: 0.5,
                self.events.append, MetricsTwin(), self.recaller.emitted, self.queued.append,
                lambda to, key, signal, number: key, lambda run, output, number: output.file,
                self.dispatcher.ended,
                lambda *asked: self.ask(*asked),
                self.shelf,
            )
        )  # fmt: skip
        self.resuming = Resuming(
            ResumingWorld(
                self.shelf, self.dispatcher, self.running, self.journal.waiting_at,
                self.pool.give_back,
            )
        )  # fmt: skip
        self.asked = []
        self.running.adopt({"a": FailureTerms("v1"), "b": FailureTerms("v1")})
        self.intake = Intake(
            self.policy,
            IntakeWorld(
                self.journal, self.dispatcher, self.ids, self.time, self.time.later,
                self.events.append, MetricsTwin(), self.journal.state_of, self._forget,
                self.deferring, self.journal.answer_of,
                lambda channel, content: self.credited.append((channel, content)),
            ),
            lambda taken: None,
        )  # fmt: skip

    async def work(self):
        """Workers do what there is, and all is stored: who ran what, in order."""
        ran, idle = [], 0
        while idle < 3:
            idle = 0 if self.pool.items else idle + 1
            while self.pool.items:
                ran.append((self.pool.items[0][0], self.pool.control_ids[0]))
                self.pool.deliver()
            self.journal.commit()
            for _ in range(30):
                await asyncio.sleep(0)
        return ran

    def ask(self, agent, run, call, replied):
        """A step asks: whoever tests answers."""
        self.asked.append((agent, call, replied))

    def _start(self, run):
        if run.waiter is not None and run.waiter.open:
            self.waiters[run.signal.id] = run.waiter
            run.waiter.begun(run)
        self.running.start(run)

    def _forget(self, signal):
        self.waiters.pop(signal, None)
        self.dispatcher.forget(signal)

    def send(self, control_id="1", patient="7", **fields):
        """One message arrives; it is not committed yet."""
        return self.take(message(control_id, patient, **fields))

    def take(self, content):
        """The same for any content."""
        sender = Sender(content)
        self.intake.receive(sender)
        return sender

    def deliver(self, delivery, outcome="delivered", content=b""):
        """A Delivery left its queue."""
        self.journal.settled[delivery.signal, delivery.number] = outcome, content
        if waiter := self.waiters.get(delivery.signal):
            waiter.settled(outcome, delivery.destination, content)


def message(control_id="1", patient="7", name="MUSTER", modes="", kind="ADT^A01"):
    """An HL7 message; modes: MSH-15 and MSH-16, as `AL|NE`."""
    head = f"MSH|^~\\&|HIS|ST|LAB|ST|2026||{kind}|{control_id}|P|2.5|||{modes}"
    return f"{head}\rPID|||{patient}||{name}\r".encode()


def policy(when="journaled", timeout=30.0, same="answer", changed="process", window=7 * 86400.0,
           unmatched="drop", order_by=("sender",), **answering):  # fmt: skip
    """A channel's settings."""
    return Policy(
        Rules(
            "adt",
            order_by=order_by,
            repeat_by=Duplicates().key,
            standard_repeat=True,
            beside=beside(Order(order_by)),
        ),
        Answering(when, **answering),
        timeout,
        Repeats(window, same, changed),
        unmatched,
    )


@pytest.fixture
async def start():
    """Makes an engine whose dispatcher has read its journal. paused: agents that are."""

    async def make(journal=None, paused=(), read=True, **settings):
        engine = Engine(journal, **settings)
        engine.resuming.follow(paused)
        engine.dispatcher.start()
        if read:
            await engine.dispatcher._reading
        return engine

    return make


@pytest.fixture
def looked(monkeypatch):
    """Lets repeats look at those before them, until they have decided or must wait."""
    monkeypatch.setattr(entries, "_LOOK_AGAIN", 0.0)

    async def look(engine):
        for _ in range(20):
            await asyncio.sleep(0)

    return look


@pytest.fixture
def time():
    """A clock and timers that move when told to."""
    return Time()
