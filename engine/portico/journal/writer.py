"""The group commit: one connection, one flush at a time, everything that waits in it.

A flush starts as soon as something inbound waits and none is on its way; the next starts when
the last returns. Results and marks ride along, and wait at most LINGER seconds for company
unless a lane waits for them. When the connection is lost, inbound work fails at once (its
sender is told nothing) and the rest is kept; after the reconnect the lease row says whether
the flush in doubt was committed, so nothing is stored twice.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from portico.clock import Clock
from portico.errors import JournalError, JournalFenced, JournalRefused, JournalUnavailable
from portico.ids import SignalId, floor_at
from portico.journal import statements
from portico.journal.batch import SEQ_SHIFT, Batch, Books
from portico.journal.contract import Act, Conclusion, Earlier, Mark, Pending
from portico.journal.pipeline import Pipeline, Rows

MOST_ITEMS = 256
MOST_BYTES = 8 << 20
LINGER = 0.003
_NO_PARTITION = "23514"
_ROW_AT_FAULT = ("22", "23")  # SQLSTATE classes: data exception, integrity violation


@dataclass(frozen=True, slots=True)
class Opened:
    """A fresh writing connection whose lease still is ours.

    epoch: the lease's for this connection. flushed: the number of the last flush stored.
    repeats: those of Signals that are stored already, by id, for a flush whose own answer was
    lost.
    """

    pipeline: Pipeline
    epoch: int
    flushed: int
    next_number: int
    repeats: Callable[[list[SignalId]], Awaitable[dict[bytes, tuple[Earlier, ...]]]]


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the writer tells the rest of the house.

    flushed: items, seconds and changes of the books of each flush. down/up: the journal
    cannot/can be written. fenced: the lease is lost, the engine must end. rejected: the
    database refused one item for good; its Signal or Delivery stays where the journal has it.
    broken: a callback of ours failed; what it was about stays in the journal.
    """

    flushed: Callable[[int, float, Books], None]
    down: Callable[[JournalError], None]
    up: Callable[[], None]
    fenced: Callable[[], None]
    rejected: Callable[[str], None]
    broken: Callable[[Exception], None]


class GroupCommit:
    """The writing side of the journal (journal/contract.py, Writer).

    dial: opens a connection, checks and prepares it; called again after each loss.
    partition: makes the partitions that these ids need. window: seconds that repeats count.
    """

    def __init__(
        self,
        lease: str,
        dial: Callable[[Callable[[], None]], Awaitable[Opened]],
        partition: Callable[[list[SignalId]], Awaitable[None]],
        hooks: Hooks,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._lease, self._epoch = lease, 0
        self._dial, self._partition, self._hooks = dial, partition, hooks
        self._clock, self._loop = clock, loop
        self.window = 7 * 86_400.0
        self.first = 0  # the first place that this engine gives, once it is open
        self._arrived: deque[Pending] = deque()
        self._conclusions: deque[Conclusion] = deque()
        self._marks: deque[Mark] = deque()
        self._acts: deque[Act] = deque()
        self._pipeline: Pipeline | None = None
        self._number = 0
        self._flying: Batch | None = None
        self._doubt: Batch | None = None
        self._soon = False
        self._linger: asyncio.TimerHandle | None = None
        self._solo = 0
        self._started = 0.0
        self._task: asyncio.Task[None] | None = None
        self.opened = asyncio.Event()  # it could be written at least once
        self._lost = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def open(self) -> bool:
        """The journal can be written now."""
        return self._pipeline is not None

    @property
    def lag(self) -> float:
        """Seconds that the group commit under way has taken; 0 when there is none."""
        return self._clock.monotonic() - self._started if self._flying is not None else 0.0

    def accept(self, pending: Pending) -> None:
        """Queue a Signal; fails at once while the journal is down."""
        if self._pipeline is None:
            pending.failed(JournalUnavailable("the journal is not reachable"))
            return
        self._arrived.append(pending)
        self._kick()

    def conclude(self, conclusion: Conclusion) -> None:
        """Queue a session's end."""
        self._conclusions.append(conclusion)
        self._idle.clear()
        self._kick_late()

    def mark(self, mark: Mark, urgent: bool) -> None:
        """Queue an attempt's end; urgent when a lane waits for it."""
        self._marks.append(mark)
        self._idle.clear()
        if urgent:
            self._kick()
        else:
            self._kick_late()

    def act(self, act: Act) -> None:
        """Queue a person's act; fails at once while the journal is down."""
        if self._pipeline is None:
            act.failed(JournalUnavailable("the journal is not reachable"))
            return
        self._acts.append(act)
        self._kick()

    async def run(self) -> None:
        """Keep a connection; returns only when the lease is lost. Cancel it to end."""
        while True:
            self._lost.clear()
            opened = await self._dial(self._gone)
            try:
                await self._settle(opened)
            except JournalError:
                opened.pipeline.close()
            if self._lost.is_set():
                continue
            self._number, self._epoch = opened.next_number, opened.epoch
            self._pipeline = opened.pipeline
            self.first = self.first or self._number << SEQ_SHIFT
            self._hooks.up()
            self.opened.set()
            self._kick()
            await self._lost.wait()

    async def drain(self, grace: float) -> bool:
        """Wait until nothing waits to be stored; False when `grace` seconds were not enough."""
        try:
            await asyncio.wait_for(self._idle.wait(), grace)
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Drop the connection; what waits stays unstored."""
        if self._pipeline is not None:
            self._pipeline.close()

    def _kick(self) -> None:
        """Flush in the next turn of the loop, so that all reads of this turn are in it."""
        self._idle.clear()
        if self._flying is None and self._pipeline is not None and not self._soon:
            self._soon = True
            self._loop.call_soon(self._flush)

    def _kick_late(self) -> None:
        if self._flying is None and self._linger is None and not self._soon:
            self._linger = self._loop.call_later(LINGER, self._kick)

    def _flush(self) -> None:
        self._soon = False
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._pipeline is None or self._flying is not None:
            return
        batch = self._gather()
        if not batch.size:
            self._idle.set()
            return
        self._send(batch)

    def _send(self, batch: Batch) -> None:
        assert self._pipeline is not None
        self._flying, self._started = batch, self._clock.monotonic()
        now = self._clock.time_ns() // 1_000_000
        window = floor_at(max(0, now - int(self.window * 1000)))
        batch.books.clear()
        self._pipeline.send(batch.statements(self._lease, self._epoch, window), self._returned)

    def _gather(self) -> Batch:
        """The next batch, oldest first; one item at a time while a faulty row is looked for."""
        most = 1 if self._solo else MOST_ITEMS
        batch = Batch(self._number)
        weight = 0
        while self._arrived and len(batch.arrived) < most and weight < MOST_BYTES:
            weight += len(self._arrived[0].signal.content)
            batch.arrived.append(self._arrived.popleft())
        most -= len(batch.arrived) if self._solo else 0
        while self._conclusions and len(batch.conclusions) < most and weight < MOST_BYTES:
            weight += sum(len(o.content or b"") for o in self._conclusions[0].owed)
            batch.conclusions.append(self._conclusions.popleft())
        most -= len(batch.conclusions) if self._solo else 0
        while self._marks and len(batch.marks) < most:
            batch.marks.append(self._marks.popleft())
        most -= len(batch.marks) if self._solo else 0
        while self._acts and len(batch.acts) < most and weight < MOST_BYTES:
            weight += sum(len(p.signal.content) for p in self._acts[0].arrived)
            batch.acts.append(self._acts.popleft())
        self._solo = max(0, self._solo - 1)
        return batch

    def _returned(self, rows: Rows | None, error: JournalError | None) -> None:
        batch, self._flying = self._flying, None
        assert batch is not None
        if rows is not None:
            seconds = self._clock.monotonic() - self._started
            self._hooks.flushed(batch.size, seconds, batch.books)
            number = rows[statements.NEXT][0][0]
            assert number is not None
            self._number = int.from_bytes(number, "big")
            self._report(batch.tell(rows))
            self._next()
        elif isinstance(error, JournalFenced):
            self._fail(batch.arrived, batch.acts, error)
            self.close()
            self._hooks.fenced()
        elif isinstance(error, JournalRefused):
            self._refused(error, batch)
        else:
            self._doubt = batch
            error = error or JournalUnavailable("no answer")
            self._fail(batch.arrived, batch.acts, error)

    def _report(self, faults: list[Exception]) -> None:
        for fault in faults:
            self._hooks.broken(fault)

    def _next(self) -> None:
        if self._arrived or self._conclusions or self._marks or self._acts:
            self._kick()
        else:
            self._idle.set()

    def _refused(self, error: JournalRefused, batch: Batch) -> None:
        """Nothing of this batch is stored: mend what can be mended, and say what cannot."""
        if error.sqlstate == _NO_PARTITION:
            self._flying = batch
            self._task = self._loop.create_task(self._partitioned(batch))
        elif error.sqlstate[:2] in _ROW_AT_FAULT and batch.size > 1:
            self._solo = batch.size
            self._put_back(batch)
            self._arrived.extendleft(reversed(batch.arrived))
            self._acts.extendleft(reversed(batch.acts))
            self._kick()
        elif error.sqlstate[:2] in _ROW_AT_FAULT:
            self._fail(batch.arrived, batch.acts, error)
            self._hooks.rejected(error.sqlstate)
            self._next()
        else:
            self._give_up(batch, error)

    async def _partitioned(self, batch: Batch) -> None:
        ids = [p.signal.id for p in batch.inbound()] + [c.signal for c in batch.conclusions]
        try:
            await self._partition(ids)
        except JournalError as error:
            self._flying = None
            self._give_up(batch, error)
        else:
            self._flying = None
            if self._pipeline is not None:
                self._send(batch)
            else:
                self._give_up(batch, JournalUnavailable("the connection was lost"))

    def _give_up(self, batch: Batch, error: JournalError) -> None:
        """Nothing of it is stored, and this connection will not take it: try a new one."""
        self._put_back(batch)
        self._fail(batch.arrived, batch.acts, error)
        self.close()

    def _gone(self) -> None:
        """The connection is closed; whatever flew in it has been dealt with."""
        self._pipeline = None
        error = JournalUnavailable("the journal is not reachable")
        self._hooks.down(error)
        waiting, acts = list(self._arrived), list(self._acts)
        self._arrived.clear()
        self._acts.clear()
        self._fail(waiting, acts, error)
        self._lost.set()

    def _fail(self, pendings: list[Pending], acts: list[Act], error: JournalError) -> None:
        for pending in pendings:
            pending.failed(error)
        for act in acts:
            act.failed(error)

    def _put_back(self, batch: Batch) -> None:
        self._conclusions.extendleft(reversed(batch.conclusions))
        self._marks.extendleft(reversed(batch.marks))

    async def _settle(self, opened: Opened) -> None:
        """Was the flush in doubt committed? Then its callbacks are due; else it goes again."""
        batch = self._doubt
        if batch is None:
            return
        if opened.flushed == batch.number:
            keyed = [p.signal.id for p in batch.arrived if p.signal.repeat_key]
            found = await opened.repeats(keyed) if keyed else {}
            self._doubt = None
            self._hooks.flushed(batch.size, 0.0, batch.books)
            self._report(batch.tell_late(found))
        else:
            self._doubt = None
            self._put_back(batch)
