"""The group commit: one connection, everything that waits in the next flush.

A flush starts as soon as something inbound waits and none is on its way. While one is, a second
starts once half as much waits, so that the engine works while the database does; the third
waits for the first. Results and marks ride along, and wait at most LINGER seconds for company
unless a lane waits for them. A flush carries the number after that of the one before it, and
fails when that one failed: nothing overtakes. When the connection is lost, inbound work fails
at once (its sender is told nothing) and the rest is kept; after the reconnect the lease row
says which of the flushes in doubt were committed, so nothing is stored twice.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from portico.clock import Clock
from portico.errors import JournalError, JournalFenced, JournalRefused, JournalUnavailable
from portico.ids import SignalId, floor_at
from portico.journal.batch import SEQ_SHIFT, Batch, Books
from portico.journal.contract import Act, Conclusion, Earlier, Mark, Pending
from portico.journal.gathering import Gathering
from portico.journal.known import Known
from portico.journal.pipeline import Pipeline, Rows

MOST_FLUSHES = 2  # on their way at once
WORTHWHILE = 32  # items for which a second flush may start beside one
LINGER = 0.003
_AWAY = "the journal is not reachable"
_NO_PARTITION = "23514"
_ROW_AT_FAULT = ("22", "23")  # SQLSTATE classes: data exception, integrity violation


@dataclass(frozen=True, slots=True)
class Opened:
    """A fresh writing connection whose lease still is ours.

    epoch: the lease's for this connection. flushed: the number of the last flush stored, by
    whichever engine. repeats: those of Signals that are stored already, by id, for a flush
    whose own answer was lost.
    """

    pipeline: Pipeline
    epoch: int
    flushed: int
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
        self.known = Known()
        self.first = 0  # the first place that this engine gives, once it is open
        self._gathering = Gathering()
        self._pipeline: Pipeline | None = None
        self._number = 0
        self._flying: deque[Batch] = deque()
        self._wreck: list[tuple[Batch, JournalRefused]] = []  # refused, the first and all after
        self._doubt: list[Batch] = []
        self._soon = False
        self._linger: asyncio.TimerHandle | None = None
        self._why = _AWAY
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
        """Seconds that the oldest group commit under way has taken; 0 when there is none."""
        return self._clock.monotonic() - self._flying[0].sent if self._flying else 0.0

    def accept(self, pending: Pending) -> None:
        """Queue a Signal; fails at once while the journal is down."""
        if self._pipeline is None:
            pending.failed(JournalUnavailable(_AWAY))
            return
        self._gathering.arrived.append(pending)
        self._kick()

    def conclude(self, conclusion: Conclusion) -> None:
        """Queue a session's end."""
        self._gathering.conclusions.append(conclusion)
        self._idle.clear()
        self._kick_late()

    def mark(self, mark: Mark, urgent: bool) -> None:
        """Queue an attempt's end; urgent when a lane waits for it."""
        self._gathering.marks.append(mark)
        self._idle.clear()
        if urgent:
            self._kick()
        else:
            self._kick_late()

    def act(self, act: Act) -> None:
        """Queue a person's act; fails at once while the journal is down."""
        if self._pipeline is None:
            act.failed(JournalUnavailable(_AWAY))
            return
        self._gathering.acts.append(act)
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
            self._number, self._epoch = opened.flushed + 1, opened.epoch
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
        if not self._soon and self._pipeline is not None and self._room():
            self._soon = True
            self._loop.call_soon(self._flush)

    def _kick_late(self) -> None:
        if self._flying:
            self._kick()
        elif self._linger is None and not self._soon:
            self._linger = self._loop.call_later(LINGER, self._kick)

    def _room(self) -> bool:
        """Whether a flush may start: beside another only for enough, and when all is well."""
        flying = len(self._flying)
        if not flying:
            return self._task is None
        if flying == MOST_FLUSHES or self._wreck or self._gathering.alone:
            return False
        return len(self._gathering) >= max(WORTHWHILE, self._flying[0].size // 2)

    def _flush(self) -> None:
        self._soon = False
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._pipeline is not None and self._room():
            if self._gathering:
                self._send(self._gathering.next(self._number))
            self._next()

    def _send(self, batch: Batch) -> None:
        assert self._pipeline is not None
        self._flying.append(batch)
        self._number += 1
        batch.sent = self._clock.monotonic()
        since = floor_at(max(0, self._clock.time_ns() // 1_000_000 - int(self.window * 1000)))
        statements = batch.statements(self._lease, self._epoch, since, self.known)
        self._pipeline.send(statements, self._returned)

    def _returned(self, rows: Rows | None, error: JournalError | None) -> None:
        batch = self._flying.popleft()
        if rows is not None:
            seconds = self._clock.monotonic() - batch.sent
            self._hooks.flushed(batch.size, seconds, batch.books)
            for fault in batch.tell(rows):
                self._hooks.broken(fault)
            self._next()
        elif isinstance(error, JournalFenced):
            self._fail(batch.arrived, batch.acts, error)
            self.close()
            self._hooks.fenced()
        elif isinstance(error, JournalRefused):
            self._wreck.append((batch, error))
            if not self._flying:
                self._mend()
        else:
            self._doubt.append(batch)
            self._fail(batch.arrived, batch.acts, error or JournalUnavailable("no answer"))

    def _next(self) -> None:
        if self._gathering:
            self._kick()
        elif not self._flying and not self._doubt:
            self._idle.set()

    def _mend(self) -> None:
        """Nothing of these flushes is stored, for the reason that the first was refused: mend
        what can be mended, and say what cannot."""
        first, error = self._wreck[0]
        batches = [batch for batch, _ in self._wreck]
        self._wreck.clear()
        self._number = first.number
        if error.sqlstate == _NO_PARTITION:
            self._gathering.put_back(batches)
            self._task = self._loop.create_task(self._partitioned(batches))
        elif error.sqlstate[:2] in _ROW_AT_FAULT and first.size > 1:
            self._gathering.alone = first.size
            self._gathering.put_back(batches)
            self._kick()
        elif error.sqlstate[:2] in _ROW_AT_FAULT:
            self._gathering.put_back(batches[1:])
            self._fail(first.arrived, first.acts, error)
            self._hooks.rejected(error.sqlstate)
            self._next()
        else:
            self._gathering.put_back(batches)
            self._why = f"the journal can store nothing: {error}"
            self.close()

    async def _partitioned(self, batches: list[Batch]) -> None:
        try:
            await self._partition([one for batch in batches for one in batch.signals()])
        except JournalError:
            self.close()
        finally:
            self._task = None
        self._kick()

    def _gone(self) -> None:
        """The connection is closed; whatever flew in it has been dealt with."""
        self._pipeline = None
        error, self._why = JournalUnavailable(self._why), _AWAY
        self._hooks.down(error)
        self._doubt[:0] = [batch for batch, _ in self._wreck]
        for batch, _ in self._wreck:
            self._fail(batch.arrived, batch.acts, error)
        self._wreck.clear()
        self._fail(*self._gathering.give_up(), error)
        self._lost.set()

    def _fail(self, pendings: list[Pending], acts: list[Act], error: JournalError) -> None:
        for pending in pendings:
            pending.failed(error)
        for act in acts:
            act.failed(error)

    async def _settle(self, opened: Opened) -> None:
        """Were the flushes in doubt committed? Then their callbacks are due; else what they
        held goes again."""
        while self._doubt and self._doubt[0].number <= opened.flushed:
            batch = self._doubt[0]
            keyed = [p.signal.id for p in batch.arrived if p.signal.repeat_key]
            found = await opened.repeats(keyed) if keyed else {}
            del self._doubt[0]
            self._hooks.flushed(batch.size, 0.0, batch.books)
            for fault in batch.tell_late(found):
                self._hooks.broken(fault)
        self._gathering.put_back(self._doubt, asked=False)
        self._doubt.clear()
