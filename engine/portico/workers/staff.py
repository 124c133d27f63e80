"""Which processes work for one agent: hired, watched, dismissed, replaced.

Every worker belongs to an edition of the agent. A new edition is proven by one worker, on
trial, before it can be put in force; the workers of the one before then end as soon as they
are empty.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from portico.clock import Clock
from portico.errors import ConfigError, WorkerError
from portico.events import running as events
from portico.events.emit import Emit
from portico.ids import SignalId
from portico.model.verdict import Failure
from portico.workers import manner
from portico.workers.editions import CrewTerms, Edition, Proof
from portico.workers.intensity import Intensity
from portico.workers.nursery import Nursery
from portico.workers.protocol import Load
from portico.workers.worker import ORDERLY, End, Owner, Worker

_GRACE_SECONDS = 1.0  # beyond the agent's limit: its own timer comes first
_CANCEL_SECONDS = 2.0  # that an item has to end by itself
_LOAD_SECONDS = 30.0
_IDLE_SECONDS = 30.0
_PING_SECONDS, _PONG_SECONDS = 10.0, 5.0
_EXIT_SECONDS = 1.0


class Staff:
    """One agent's processes.

    owner hears what the workers say; gone is told once of each that ended, with what it has
    not answered still in `sent`. may_grow: whether the pool allows one beyond the fewest.
    """

    def __init__(
        self,
        agent: str,
        nursery: Nursery,
        clock: Clock,
        emit: Emit,
        *,
        owner: Owner,
        gone: Callable[[Worker, End, str], None],
        may_grow: Callable[[], bool],
    ) -> None:
        self.version = ""
        self.cpu = 0.0  # seconds, of workers that ended
        self._agent = agent
        self._nursery = nursery
        self._clock = clock
        self._emit = emit
        self._owner = owner
        self._gone = gone
        self._may_grow = may_grow
        self._loop = asyncio.get_running_loop()
        self._workers: dict[int, Worker] = {}
        self._edition = Edition(0, Load(agent, {}, "", 0), CrewTerms(fewest=0, most=0))
        self._editions = 0
        self._told: set[str] = set()  # versions that workers loaded and people know of
        self._trials: dict[int, asyncio.Future[str]] = {}
        self._connecting: set[asyncio.Task[Any]] = set()
        self._intensity = Intensity()
        self.leaving: End | None = None
        self.left: asyncio.Future[None] = self._loop.create_future()

    async def prove(self, plan: Load, terms: CrewTerms) -> Proof:
        """Load a plan in a worker, beside what is in force.

        Raises ConfigError: it does not load; WorkerError: the parent of the workers ended.
        """
        self._editions += 1
        edition = Edition(self._editions, plan, terms)
        proven: asyncio.Future[str] = self._loop.create_future()
        token = self._hire(edition)
        self._trials[token] = proven
        try:
            return Proof(self._agent, await proven, token, edition)
        except asyncio.CancelledError:
            self._withdraw(token)
            raise

    def adopt(self, proof: Proof) -> None:
        """Put a proven edition in force; what waits is run by it."""
        self._trials.pop(proof.token, None)
        self._edition, self.version = proof.edition, proof.version
        self._told = {proof.version}
        self._intensity = Intensity()
        self._emit(events.AgentLoaded(self._agent, proof.version))
        for worker in list(self._workers.values()):
            self.dismiss(worker)
        self.keep_fewest()

    def discard(self, proof: Proof) -> None:
        """End the worker of a proof that is not wanted."""
        self._withdraw(proof.token)

    def vacant(self) -> bool:
        """Whether nothing is in force and nothing is on trial."""
        return not self.version and not self._trials

    def active(self) -> list[Worker]:
        """Workers of the edition in force that can be given something, now or soon."""
        number = self._edition.number
        return [
            worker
            for worker in self._workers.values()
            if worker.edition == number and worker.life.why is None and worker.life.left > 0
        ]

    @property
    def terms(self) -> CrewTerms:
        """Of the edition in force."""
        return self._edition.terms

    def extras(self) -> int:
        """Workers beyond the fewest."""
        return max(0, len(self.active()) - self._edition.terms.fewest)

    def leave(self, why: End) -> None:
        """Hire no more; end each worker once it is empty. `left` is done when none is left."""
        self.leaving = why
        for worker in list(self._workers.values()):
            if worker.token in self._trials:
                self.end(worker, why, "the engine stops")
            self.dismiss(worker)
        self._leave_if_empty()

    def cut(self) -> None:
        """End every worker now."""
        for worker in list(self._workers.values()):
            self.end(worker, End.STOPPED, "")

    def loaded(self, worker: Worker, version: str) -> None:
        """A worker can run its plan, or has proven one."""
        life = worker.life
        self._emit(
            events.WorkerStarted(self._agent, life.pid, self._clock.monotonic() - life.born)
        )
        if proven := self._trials.get(worker.token):
            if not proven.done():
                proven.set_result(version)
        elif worker.edition == self._edition.number and version not in self._told:
            self._told.add(version)
            self._emit(events.AgentDiffers(self._agent, self.version, version))
        self.dismiss(worker)

    def dismiss(self, worker: Worker) -> None:
        """End a worker that is empty and will be given nothing more."""
        if worker.sent or worker.life.why is not None or worker.token in self._trials:
            return
        if self.leaving is not None:
            self.end(worker, self.leaving, "")
        elif worker.edition != self._edition.number:
            self.end(worker, End.REPLACED, "")
        elif worker.life.left <= 0:
            self.end(worker, worker.life.full, "")

    def end(self, worker: Worker, why: End, how: str) -> None:
        """Use it no more, end its process, have another. Only the first reason counts."""
        life = worker.life
        if worker.token not in self._workers:
            return
        if life.why is None:
            life.why, life.how, life.heard = why, how, self._clock.monotonic()
            if why not in ORDERLY or worker.sent:
                self._nursery.kill(worker.token)
            worker.hang_up()
            self._count_death(worker, why)
            self.keep_fewest()
        if life.gone and life.code is not None:
            self._bury(worker)

    def keep_fewest(self) -> None:
        """Hire what is missing, unless the workers die too often."""
        for _ in range(self._edition.terms.fewest - len(self.active())):
            self._hire_another()

    def grow(self) -> None:
        """Hire one more, if none is on its way and the agent and the pool allow it.

        An agent that has none at all gets one whatever the pool says.
        """
        if not self.active() or (self.wants() and self._may_grow()):
            self._hire_another()

    def wants(self) -> bool:
        """Whether the agent allows one more, and none is on its way."""
        staff = self.active()
        loaded = all(worker.life.version for worker in staff)
        return loaded and len(staff) < self.terms.most

    def yield_one(self) -> None:
        """Give one beyond the fewest nothing more: it ends with what it has."""
        worker = min(self.active(), key=lambda one: (not one.life.version, len(one.sent)))
        worker.life.left, worker.life.full = 0, End.YIELDED
        self.dismiss(worker)

    def cancel(self, signal: SignalId, failure: Failure) -> bool:
        """End that item in its worker, which then goes; False when none has it."""
        for worker in list(self._workers.values()):
            if worker.life.why is None and worker.cancel(signal, failure, _CANCEL_SECONDS):
                self._nursery.nudge(worker.token)
                self.keep_fewest()
                return True
        return False

    def holder(self, signal: SignalId) -> Worker | None:
        """The worker that has that item."""
        return next((one for one in self._workers.values() if one.has(signal)), None)

    def watch(self) -> None:
        """End what is late, silent or idle too long; hire what is missing."""
        now = self._clock.monotonic()
        for worker in list(self._workers.values()):
            self._watch(worker, now)
        self.keep_fewest()

    def status(self) -> dict[str, Any]:
        """Numbers for people and metrics."""
        workers = [w for w in self._workers.values() if w.life.why is None]
        loaded = [w for w in workers if w.life.version]
        busy = sum(1 for w in loaded if w.sent)
        return {
            "version": self.version,
            "workers": len(workers),
            "starting": len(workers) - len(loaded),
            "idle": len(loaded) - busy,
            "busy": busy,
            "quarantined": self._intensity.until > self._clock.monotonic(),
            "pids": [w.life.pid for w in loaded],
        }

    def _hire(self, edition: Edition) -> int:
        terms = edition.terms
        worker = Worker(
            edition.plan, edition.number, terms.time, terms.recycle, self._owner, self._clock
        )
        worker.token, ours = self._nursery.spawn(worker)
        self._workers[worker.token] = worker
        task = self._loop.create_task(
            self._loop.create_unix_connection(lambda: worker, sock=ours)
        )
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return worker.token

    def _withdraw(self, token: int) -> None:
        if self._trials.pop(token, None) and token in self._workers:
            self.end(self._workers[token], End.RETIRED, "")

    def _hire_another(self) -> None:
        """Hire for the edition in force; those that do their last runs count to its most."""
        number, most = self._edition.number, self._edition.terms.most
        living = [w for w in self._workers.values() if w.edition == number and not w.life.why]
        if self.leaving is not None or len(living) >= most:
            return
        if self._clock.monotonic() < self._intensity.until:
            return
        try:
            self._hire(self._edition)
        except WorkerError:  # the nursery is being replaced; the next watch tries again
            return

    def _count_death(self, worker: Worker, why: End) -> None:
        if why in ORDERLY or why is End.NURSERY or worker.token in self._trials:
            return
        storm = self._intensity.died(self._clock.monotonic())
        if storm is not None:
            self._emit(events.AgentQuarantined(self._agent, *storm))

    def _watch(self, worker: Worker, now: float) -> None:
        life = worker.life
        if life.why is not None or life.code is not None:
            self._see_out(worker, now)
        elif not life.version:
            if now - life.born > _LOAD_SECONDS:
                self.end(worker, End.TIMEOUT, f"not within {_LOAD_SECONDS:.0f} s")
        elif worker.sent:
            if now > life.patience:
                self.end(worker, End.CANCELLED, "")
            elif now - life.since > worker.limit + _GRACE_SECONDS:
                self.end(worker, End.TIMEOUT, "")
        else:
            self._watch_idle(worker, now)

    def _watch_idle(self, worker: Worker, now: float) -> None:
        life = worker.life
        if life.pinged:
            if now - life.heard > _PONG_SECONDS:
                self.end(worker, End.SILENT, "")
        elif self.extras() and now - rested(worker) > _IDLE_SECONDS:
            self.end(worker, End.IDLE, "")
        elif now - life.heard > _PING_SECONDS:
            worker.ping()

    def _see_out(self, worker: Worker, now: float) -> None:
        """One that should be gone: first by force, then without waiting for its end."""
        life = worker.life
        if now - life.heard > 2 * _EXIT_SECONDS:
            life.why = life.why or End.CRASHED
            worker.hang_up()
            self._bury(worker)
        elif now - life.heard > _EXIT_SECONDS:
            self._nursery.kill(worker.token)
            worker.hang_up()

    def _bury(self, worker: Worker) -> None:
        """Nothing more will be heard of it: say how it ended, hand over what it left."""
        del self._workers[worker.token]
        life = worker.life
        self.cpu += life.cpu
        why, how = life.why or End.CRASHED, life.how or manner.told(life.code)
        if why in ORDERLY:
            self._emit(events.WorkerEnded(self._agent, life.pid, why.value, life.runs))
        else:
            self._emit(events.WorkerDied(self._agent, life.pid, why.value, how, life.runs))
        proven = self._trials.pop(worker.token, None)
        if proven and not proven.done():
            proven.set_exception(
                WorkerError("the parent of the workers ended")
                if why is End.NURSERY
                else ConfigError(f"agent {self._agent} does not load: {how}")
            )
        self._gone(worker, why, how)
        self._leave_if_empty()

    def _leave_if_empty(self) -> None:
        if self.leaving is not None and not self._workers and not self.left.done():
            self.left.set_result(None)


def rested(worker: Worker) -> float:
    """Since when it has nothing to do."""
    return max(worker.life.since, worker.life.born)
