"""Running: from a journaled Signal to its sessions' verdicts, journaled with what they owe.

Signals of one order key run in order; a key whose session failed transiently waits, with all
that came after it. What a session decided leaves for the destinations only once it is
committed.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

from portico import ids
from portico.agents.item import Item
from portico.clock import Clock
from portico.events.delivering import SessionFaulted, SessionRetried
from portico.events.emit import Emit
from portico.events.metrics import Metrics
from portico.flow import endings, rows
from portico.flow.runs import Run
from portico.flow.sessions.failing import FailureTerms, given_up, weigh
from portico.flow.sessions.line import Line, Try, groups_of
from portico.flow.sessions.shelf import Shelf
from portico.flow.sessions.submitting import Submitter
from portico.ids import SignalId
from portico.journal.contract import Conclusion, Owed, ParkedRow, Pending, SessionRow, Writer
from portico.model import crews
from portico.model.call import Call, Reply
from portico.model.delivery import Delivery
from portico.model.signal import Signal
from portico.model.states import SignalState
from portico.model.verdict import Emission, Failure, Kind, Output, Refusal, SessionResult
from portico.policy import retry
from portico.workers.backlog import Outcome

MOST_DELIVERIES = 30_000  # of one Signal; 16 bits number them
_LOOK_AGAIN = 0.1  # seconds until a group whose last items are still out is looked at again


@dataclass(frozen=True, slots=True)
class RunningWorld:
    """What running needs of the engine.

    emitted: makes a Pending of what an agent emits. queue: takes a committed Delivery. lane:
    the lane of (destination, order key, Signal, Delivery). name: of a Delivery's file. ended: a
    Run has left memory. ask: has a step's Call answered, for (agent, Run). shelf: of paused
    agents.
    """

    writer: Writer
    pool: Submitter
    clock: Clock
    later: Callable[[float, Callable[[], None]], asyncio.TimerHandle]
    chance: Callable[[], float]
    emit: Emit
    metrics: Metrics
    emitted: Callable[[Signal, Emission], Pending]
    queue: Callable[[Delivery], None]
    lane: rows.Lane
    name: rows.Name
    ended: Callable[[Run], None]
    ask: Callable[[str, Run, Call, Callable[[Reply], None]], None]
    shelf: Shelf


class Running:
    """Runs Signals through agents."""

    def __init__(self, world: RunningWorld) -> None:
        self._world = world
        self._terms: dict[str, FailureTerms] = {}
        self._lines: dict[str, Line] = {}
        self._stopped = False

    def adopt(self, agents: dict[str, FailureTerms]) -> None:
        """Take the agents of a site; those that stay keep what waits."""
        for name, terms in agents.items():
            self._lines.setdefault(name, Line())
            self._terms[name] = terms
        for name in self._lines.keys() - agents.keys():
            for attempt in () if crews.parts(name)[1] else self._lines[name].clear():
                self._leave(attempt)

    def hold(self, origin: str, agent: str, key: str) -> None:
        """Keep an order key for a person: what comes waits behind the parked Signal."""
        group, keys = groups_of(origin, key)
        if key:
            self._lines.setdefault(agent, Line()).hold(keys or (group,))

    def free(self, origin: str, agent: str, key: str, first: SignalId | None = None) -> None:
        """An order key that a person was to look at goes on. first: runs before what waited."""
        group, keys = groups_of(origin, key)
        line = self._lines.get(agent, Line())
        for one in keys or (group,):
            line.held.discard(one)
            if one in line.kept:
                line.kept[one].sort(key=lambda attempt: attempt.run.signal.id != first)
                self._again(agent, one)

    def waiting(self, signal: SignalId) -> list[Try]:
        """What of a Signal waits: for a retry, a reply, or others of its order key."""
        found = [attempt for line in self._lines.values() for attempt in line.all()]
        return [attempt for attempt in found if attempt.run.signal.id == signal]

    def cancel(self, attempt: Try, failure: Failure) -> None:
        """End one that waits, when its turn comes; for a retry or a reply it waits no more."""
        attempt.cancelled = failure
        self._wake(attempt)

    def stop(self) -> None:
        """Submit nothing more: what comes back stays in the journal."""
        self._stopped = True

    def start(self, run: Run) -> None:
        """Run every agent that has not concluded yet."""
        for agent in sorted(run.todo):
            self.run(agent, run)

    def run(self, agent: str, run: Run) -> None:
        """Run one of them, unless it is paused."""
        if run.cancelled is None and self._world.shelf.takes(agent, run):
            return
        group, keys = groups_of(run.signal.origin, run.signal.order_key)
        crew = run.crew(agent)
        if run.editions:
            self._lines.setdefault(crew, Line())
            self._terms.setdefault(agent, FailureTerms(""))
        self._submit(Try(agent, crew, run, group, keys, cancelled=run.cancelled))

    def _submit(self, attempt: Try) -> None:
        """Have it run, in its turn."""
        if self._lines[attempt.crew].waits(attempt):
            self._cross(attempt)
        else:
            self._hand(attempt)

    def _cross(self, attempt: Try) -> None:
        """Have the barriers run that nothing keeps any more, by the groups of this one."""
        for barrier in self._lines[attempt.crew].due(attempt.groups):
            self._hand(barrier)

    def _hand(self, attempt: Try) -> None:
        if self._stopped:
            return
        signal, line = attempt.run.signal, self._lines[attempt.crew]
        if attempt.cancelled is not None:
            line.rested(attempt)
            self._judge(attempt, SessionResult(Kind.FAULT, failure=attempt.cancelled), "")
            return
        if self._world.shelf.stops(attempt.agent, attempt.run):
            line.rested(attempt)
            if attempt.keys:
                self._pass(attempt)
            return
        item = Item(
            signal.id,
            signal.content,
            attempt.run.envelope,
            signal.order_key,
            attempt.number,
            attempt.replies,
            attempt.asked,
        )
        done = partial(self._done, attempt)
        try:
            self._world.pool.submit(attempt.crew, item, attempt.group, done)
        except KeyError:
            self._leave(attempt)
            return
        line.count_out(attempt)

    def _done(self, attempt: Try, outcome: Outcome) -> None:
        line = self._lines[attempt.crew]
        line.count_back(attempt)
        if outcome.result is None:
            self._submit(attempt)
        else:
            self._judge(attempt, outcome.result, outcome.version)
        if line.crossings:
            self._cross(attempt)

    def _judge(self, attempt: Try, result: SessionResult, version: str) -> None:
        if result.kind is Kind.CALL and result.call is not None:
            self._ask(attempt, result.call, version)
            return
        if len(result.outputs) > MOST_DELIVERIES - attempt.run.deliveries:
            text = f"more than {MOST_DELIVERIES} deliveries"
            result = SessionResult(Kind.FAULT, failure=Failure("step.permanent", text))
        failure = result.failure
        if result.kind is Kind.FAULT and failure is not None:
            if self._may_pass(attempt, failure):
                self._keep(attempt, failure)
                return
            result = given_up(self._terms[attempt.agent], result, failure)
        self._conclude(attempt, result, version)
        if attempt.keys:
            self._pass(attempt)

    def _pass(self, attempt: Try) -> None:
        """What stood behind a barrier may go, the next barrier too."""
        for freed in self._lines[attempt.crew].passed(attempt):
            self._submit(freed)
        self._cross(attempt)

    def _leave(self, attempt: Try) -> None:
        """Its agent has left the site: other agents may end the Run, or nobody."""
        run = attempt.run
        run.todo.discard(attempt.agent)
        if not run.todo:
            stored = partial(self._stored, run, (), (), True)
            self._world.writer.conclude(endings.unanswered(run, self._world.clock, stored))
        self._world.shelf.settle(run)
        if attempt.keys:
            self._pass(attempt)

    def _ask(self, attempt: Try, call: Call, version: str) -> None:
        """The group waits for the reply; then it runs again with it."""
        self._rest(attempt.asking(call, version))
        self._world.ask(attempt.agent, attempt.run, call, partial(self._replied, attempt))

    def _replied(self, attempt: Try, reply: Reply) -> None:
        attempt.replies += (reply,)
        self._wake(attempt)

    def _may_pass(self, attempt: Try, failure: Failure) -> bool:
        if not failure.transient:
            return False
        now = self._world.clock.monotonic()
        attempt.since = now if attempt.since is None else attempt.since
        return now - attempt.since <= self._terms[attempt.agent].lasting

    def _keep(self, attempt: Try, failure: Failure) -> None:
        """The group waits, this one first."""
        agent, terms = attempt.agent, self._terms[attempt.agent]
        wait = retry.delay(terms.first, terms.most, attempt.number, self._world.chance())
        event = SessionRetried(agent, failure.code, failure.step, attempt.number, wait)
        self._world.emit(event)
        attempt.number += 1
        settled = takewhile(lambda reply: not reply.transient, attempt.replies)
        attempt.replies = tuple(settled)
        self._rest(attempt)
        self._world.later(wait, partial(self._wake, attempt))

    def _rest(self, attempt: Try) -> None:
        """Its group waits until it is woken."""
        line = self._lines[attempt.crew]
        line.resting.add(attempt)
        if attempt.keys:
            line.rest(attempt)
        elif attempt.group:
            line.keep(attempt)

    def _wake(self, attempt: Try) -> None:
        if attempt not in self._lines[attempt.crew].resting:
            return
        self._lines[attempt.crew].resting.discard(attempt)
        if attempt.group and not attempt.keys:
            self._again(attempt.crew, attempt.group)
            return
        self._lines[attempt.crew].rested(attempt)
        self._submit(attempt)

    def _again(self, crew: str, group: str) -> None:
        line = self._lines[crew]
        if group in line.out:
            self._world.later(_LOOK_AGAIN, partial(self._again, crew, group))
            return
        for attempt in line.kept.pop(group, ()):
            self._submit(attempt)
        for barrier in line.due((group,)):
            self._hand(barrier)

    def _conclude(self, attempt: Try, result: SessionResult, version: str) -> None:
        run, terms = attempt.run, self._terms[attempt.agent]
        run.sessions += 1
        run.unstored += 1
        run.todo.discard(attempt.agent)
        now = self._world.clock.time_ns()
        if result.refusal is not None:
            run.refuse(result.refusal)
        last, parked = not run.todo, None
        if weigh(run, result, last) is SignalState.PARKED:
            parked = self._parked(attempt, result, now)
        outputs, over = result.outputs, last
        if run.waiter is not None:
            run.value = run.value if result.value is None else result.value
            if last:
                replies, over = run.waiter.closing(run, len(outputs))
                outputs += replies
        owed = rows.owed(run, outputs, self._world.lane, self._world.name)
        self._world.metrics.session(attempt.agent, result.kind, result.micros)
        self._world.writer.conclude(
            Conclusion(
                run.signal.id,
                run.signal.origin,
                run.seq,
                SessionRow(
                    run.sessions,
                    attempt.agent,
                    version or run.editions.get(attempt.agent, terms.version),
                    result.kind,
                    now,
                    result.step,
                    result.failure.code if result.failure else "",
                    result.micros,
                    rows.detail(result),
                ),
                partial(self._stored, run, owed, outputs, last),
                owed,
                tuple(self._world.emitted(run.signal, e) for e in result.emissions),
                parked,
                run.state() if over else None,
                result.value,
                run.flag,
            )
        )

    def _parked(self, attempt: Try, result: SessionResult, now: int) -> ParkedRow:
        run = attempt.run
        refusal = result.refusal or run.refusal or Refusal(text="refused, too late to say")
        why = result.failure or Failure("step.refused", refusal.seen, result.step)
        run.failure = why
        self._world.emit(
            SessionFaulted(attempt.agent, why.code, why.step, why.at, ids.text(run.signal.id))
        )
        hold = result.hold and not run.editions  # what was is no reason to stop what is
        if hold:
            self._lines[attempt.crew].hold(attempt.groups)
        return rows.parked(run, attempt.agent, attempt.number, hold, why, now)

    def _stored(
        self,
        run: Run,
        owed: tuple[Owed, ...],
        outputs: tuple[Output, ...],
        last: bool,
        seq: int,
    ) -> None:
        """The conclusion is committed: its Deliveries may leave."""
        signal = run.signal
        run.unstored -= 1
        if last:
            self._world.ended(run)
            if run.waiter is not None:
                run.waiter.ended(run.ending())
        for delivery in rows.deliveries(signal, owed, outputs, seq):
            self._world.queue(delivery)
        if run.shelved:
            self._world.shelf.settle(run)
