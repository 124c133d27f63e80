"""Replaying: many old Signals run anew, as a job that can be watched, cancelled and killed.

Each new Signal, the record that it came of that old one, and how far the job has come are one
transaction: after a crash the job goes on behind the last that was stored, and nothing is made
twice. It goes at its own rate, and waits while live traffic has much under way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from msgspec.structs import replace

from portico import ids
from portico.errors import JournalError, JournalRefused, RequestError
from portico.events.acting import ReplayBegun, ReplayEnded
from portico.flow.acts import acting, choosing
from portico.flow.acts.acting import ActingWorld
from portico.flow.acts.choosing import ReplayChoice
from portico.flow.acts.remaking import Remade
from portico.ids import SignalId
from portico.journal import held
from portico.journal.contract import Act, ActRow, JobRow
from portico.journal.held import Original
from portico.journal.search import Search
from portico.model import crews

MOST = 1_000_000  # Signals that one job is counted up to
_BUSY = 512  # Runs under way at which a job waits
_TURN = 0.1  # seconds between two of its pages
_PAGE = 100
_AGAIN = 1.0
_PATIENCE = 12.0  # seconds for the page that is under way


@dataclass(frozen=True, slots=True)
class Sources:
    """What a replay reads by. ready: has a crew (model.crews) loaded; why it cannot be."""

    search: Callable[[], Search]
    ready: Callable[[str], Awaitable[str]]

    async def next(
        self, wanted: ReplayChoice, after: SignalId | None, limit: int
    ) -> list[SignalId]:
        """The next Signals to take."""
        if wanted.signals:
            return choosing.listed(wanted, after, limit)
        before = ids.parse(wanted.before)
        return await self.search().sweep(wanted.query(), after, before, limit)

    async def count(self, wanted: ReplayChoice) -> int:
        """How many there are."""
        if wanted.signals:
            return len(set(wanted.signals))
        before = ids.parse(wanted.before)
        return await self.search().count(wanted.query(), before, MOST)


class Replaying:
    """The jobs of one engine."""

    def __init__(self, world: ActingWorld, sources: Sources) -> None:
        self._world, self._sources = world, sources
        self._running: dict[bytes, tuple[asyncio.Task[None], asyncio.Event]] = {}

    async def resume(self) -> None:
        """Go on with what a stop or a crash has left."""
        for job in await held.jobs(self._world.reader):
            self._go(job)

    async def begin(self, wanted: ReplayChoice, who: str) -> JobRow:
        """Begin a job. Raises RequestError when nothing fits."""
        total = await self._sources.count(wanted)
        if not total:
            raise RequestError("no Signal fits; nothing is to be replayed")
        made = self._world.recaller.ids.next()
        at = self._world.clock.time_ns()
        job = JobRow(made, at, who, choosing.dump(wanted), "running", total)
        await self._store(job)
        self._go(job)
        return job

    async def cancel(self, job: str) -> JobRow:
        """End a job where it is; what it has made stays. Raises RequestError."""
        key = ids.parse(job)
        await self._halt([key])
        rows = [one for one in await held.jobs(self._world.reader, [key]) if one.id == key]
        if not rows:
            raise RequestError(f"there is no job {job}")
        (row,) = rows
        if row.state == "running":
            row = replace(row, state="cancelled")
            await self._end(row)
        return row

    async def remade(self, original: Original, wanted: ReplayChoice) -> Remade:
        """The new Signal, or why there is none."""
        signal = original.recovered.signal
        versions = self._world.recaller.today(dict(original.ran))
        if not wanted.as_recorded:
            return Remade(self._world.recaller, signal, signal.content)
        made = Remade(self._world.recaller, signal, signal.content, versions)
        if not versions:
            made.why_not = "no agent has run it"
        elif not made.why_not:
            made.why_not = await self._missing(versions)
        return made

    async def _missing(self, versions: Mapping[str, str]) -> str:
        """The first of these editions that cannot be had, and why; empty when all can."""
        for agent, version in sorted(versions.items()):
            if why := await self._sources.ready(crews.name(agent, version)):
                return f"{agent} ran it as {version}, {why}"
        return ""

    async def stop(self) -> None:
        """End all; they go on when an engine runs again."""
        await self._halt(list(self._running))

    async def _halt(self, jobs: list[bytes]) -> None:
        """These end after the page that is under way, if they run."""
        tasks = []
        for job in jobs:
            if job in self._running:
                task, halt = self._running[job]
                halt.set()
                tasks.append(task)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_PATIENCE)
            for task in late:
                task.cancel()

    def _go(self, job: JobRow) -> None:
        text = str(UUID(bytes=job.id))
        self._world.emit(ReplayBegun(text, job.who, job.total, job.made))
        halt = asyncio.Event()
        task = asyncio.ensure_future(self._run(job, halt))
        self._running[job.id] = task, halt
        task.add_done_callback(lambda done: self._running.pop(job.id, None))

    async def _run(self, job: JobRow, halt: asyncio.Event) -> None:
        wanted = choosing.load(job.query)
        page = max(1, min(_PAGE, round(wanted.rate * _TURN)))
        wait = page / wanted.rate
        while not await _halted(halt, wait):
            if self._world.dispatcher.count > _BUSY:
                wait = _TURN
                continue
            try:
                after = await self._page(job, wanted, page)
                if after is job:
                    await self._end(replace(job, state="done"))
                    return
                job, wait = after, page / wanted.rate
            except JournalRefused as error:
                await self._fail(job, str(error))
                return
            except JournalError:
                job, wait = await self._stands(job), _AGAIN

    async def _fail(self, job: JobRow, note: str) -> None:
        now = await self._stands(job)
        with suppress(JournalError):
            await self._end(replace(now, state="failed", note=note))

    async def _page(self, job: JobRow, wanted: ReplayChoice, limit: int) -> JobRow:
        """How far it is after one page; the same when there is none. Raises JournalError."""
        chosen = await self._sources.next(wanted, job.cursor, limit)
        if not chosen:
            return job
        found = await held.originals(self._world.reader, chosen)
        there = {one.recovered.signal.id: one for one in found}
        stored = []
        for one in chosen:
            made = await self.remade(there[one], wanted) if one in there else None
            job, act = self._item(job, one, made)
            stored.append(acting.stored(self._world.writer, act))
        for failure in await asyncio.gather(*stored, return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure
        return job

    def _item(self, job: JobRow, one: SignalId, made: Remade | None) -> tuple[JobRow, Act]:
        why = made.why_not if made else "its bytes are not in the journal any more"
        arrived = (made,) if made and not why else ()
        job = replace(
            job,
            made=job.made + len(arrived),
            skipped=job.skipped + (not arrived),
            cursor=one,
        )
        other = made.signal.id if made and arrived else None
        now = self._world.clock.time_ns()
        row = ActRow(
            one,
            "signal",
            0,
            "replay",
            job.who,
            now,
            why and f"skipped: {why}",
            0,
            other,
            job.id,
        )
        how = acting.nothing, acting.nobody
        return job, Act((row,), *how, arrived=arrived, jobs=(job,))

    async def _stands(self, job: JobRow) -> JobRow:
        """How far it has really come, as soon as the journal can say."""
        while True:
            await asyncio.sleep(_AGAIN)
            try:
                await self._store()  # what the writer had in doubt is settled by then
                rows = await held.jobs(self._world.reader, [SignalId(job.id)])
                return next(one for one in rows if one.id == job.id)
            except JournalError:
                continue

    async def _end(self, job: JobRow) -> None:
        await self._store(job)
        text = str(UUID(bytes=job.id))
        self._world.emit(ReplayEnded(text, job.state, job.made, job.skipped))

    async def _store(self, *jobs: JobRow) -> None:
        await acting.stored(
            self._world.writer, Act((), acting.nothing, acting.nobody, jobs=jobs)
        )


async def _halted(halt: asyncio.Event, seconds: float) -> bool:
    """Whether it was set within that time."""
    try:
        await asyncio.wait_for(halt.wait(), seconds)
    except TimeoutError:
        return False
    return True
