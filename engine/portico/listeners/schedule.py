"""The schedule source: `source: {type: schedule, cron: "5 0 * * *", timezone: Europe/Berlin}`.

Each planned time is one Signal, `{"planned": TIME}`, and one row of the journal: fired, missed
or overlapped. The Signal is known by its time, so that it runs once, whichever engine fires it
and however often: a crash between the two leaves a repeat that the journal recognises.
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

from portico.clock import SystemClock, moment
from portico.errors import JournalError
from portico.events.fetching import ScheduleMissed, ScheduleOverlapped, SourceLost
from portico.listeners import plan
from portico.listeners.contract import Fetching, Firing, ListenerType, Receive, Surroundings
from portico.model.receipt import Receipt, Told
from portico.spec.fields import Options, Text, nearest, wrong

_LOOK = 60  # seconds after which the clock on the wall is looked at again
_AGAIN = 1.0  # seconds until a journal that is away is asked again
_AFTER_FAULT = 30.0
_AHEAD = 86_400  # seconds that the clock may be set back and nothing is fired twice
_MACHINE = SystemClock()  # by which the scheduler ticks
_NO_WORDS: Mapping[str, Any] = {}


def _cron(text: str) -> str:
    try:
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        words = str(error) or "it never comes"
        hint = "minute hour day month weekday, such as 5 0 * * *"
        raise wrong("config.value", f"{text!r} is no plan: {words}", hint) from None
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, OSError, ValueError):
        near = nearest(text, ("Europe/Berlin", "America/New_York", "America/Chicago", "UTC"))
        raise wrong("config.value", f"{text!r} is no time zone", near) from None
    return text


class ScheduleSource(Options):
    """Options of a schedule. catch_up: which of the times that passed while no engine ran;
    overlap: what a time does when the Signal of the last has not ended.
    """

    cron: Annotated[Text, AfterValidator(_cron)]
    timezone: Annotated[Text, AfterValidator(_zone)]
    catch_up: Literal["none", "one", "all"] = "one"
    overlap: Literal["skip", "queue"] = "skip"


class Fired:
    """A time that has come: an Arrival."""

    def __init__(self, channel: str, planned: str, received: int) -> None:
        self.content = json.dumps({"planned": planned}).encode()
        self.peer, self.file, self.connection = "schedule", "", 0
        self.about: Mapping[str, Any] = _NO_WORDS
        self.received = received
        self._told: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()

    def answer(self, receipt: Receipt) -> None:
        """Stored, or not."""
        if not self._told.done():
            self._told.set_result(receipt)

    def say(self, receipt: Receipt) -> None:
        """Nobody listens."""

    async def stored(self) -> bool:
        """Whether the journal has it."""
        receipt = await self._told
        return not (receipt.told is Told.SILENT and receipt.close)


class Schedule:
    """One channel's plan: a Listener."""

    def __init__(self, channel: str, source: ScheduleSource, around: Surroundings) -> None:
        assert around.fetching is not None
        self._channel, self._source = channel, source
        self._zone = ZoneInfo(source.timezone)
        self._plan = " ".join([*source.cron.split(), source.timezone])
        self._fetching: Fetching = around.fetching
        self._emit, self._now = around.emit, around.clock.time_ns
        self._going, self._woken = asyncio.Event(), asyncio.Event()
        self._going.set()
        self._ticks: Any = None
        self._task: asyncio.Task[None] | None = None
        self._fired: int | None = None  # the last that is stored, perhaps without its row

    async def start(self) -> None:
        """Begin to tick."""
        self._ticks = AsyncIOScheduler(event_loop=asyncio.get_running_loop(), timezone=UTC)
        self._ticks.start()
        self._task = asyncio.ensure_future(self._live())

    def hold(self) -> None:
        """Fire nothing; what becomes due meanwhile is caught up with."""
        self._going.clear()

    def release(self) -> None:
        """Fire again."""
        self._going.set()

    def adopt(self, source: object) -> bool:
        """Never: another one costs nothing."""
        return False

    async def stop(self, grace: float) -> None:
        """Tick no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._ticks.shutdown(wait=False)
            self._task = None

    def connections(self) -> int:
        """None: nobody connects."""
        return 0

    async def fire(self) -> bool:
        """Fire now, beside the plan; whether it is stored."""
        now = self._now()
        planned = datetime.fromtimestamp(now / 1e9, UTC).astimezone(self._zone).isoformat()
        arrival = Fired(self._channel, planned, now)
        self._fetching.once(arrival, f"by hand\0{now}")
        return await arrival.stored()

    async def _live(self) -> None:
        while True:
            try:
                await self._until_next(await self._catch_up(await self._begun()))
            except JournalError:
                await asyncio.sleep(_AGAIN)
            except Exception as error:  # noqa: BLE001  the fence of one channel
                self._emit(SourceLost(self._channel, "internal", type(error).__name__))
                await asyncio.sleep(_AFTER_FAULT)

    async def _begun(self) -> int:
        """The last time that was dealt with; a plan that is new begins now.

        What was dealt with while the clock was far ahead counts when its time has come. It is
        asked each time, since the clock that is behind may be the one of today.
        """
        now = self._now() // 1_000_000_000
        known = await self._fetching.memory.firing(now + _AHEAD)
        if known is None or known.plan not in ("", self._plan):
            last = now if known is None else max(now, known.planned)
            known = Firing(last, "begun", self._plan)
            await self._fetching.memory.fired(known)
        return known.planned

    async def _catch_up(self, last: int) -> int:
        """Deal with what has become due; the last time that has its row."""
        await self._going.wait()
        source, now = self._source, self._now() / 1e9
        due = plan.due(source.cron, self._zone, last, now, source.catch_up)
        if due.missed:
            last = due.missed[-1]
            await self._fetching.memory.fired(Firing(last, "missed", self._plan))
            self._emit(ScheduleMissed(self._channel, len(due.missed)))
        for planned in due.fire:
            await self._going.wait()
            last, outcome = planned, await self._deal_with(planned)
            await self._fetching.memory.fired(Firing(last, outcome, self._plan))
        return last

    async def _deal_with(self, planned: int) -> str:
        """Fire it, unless the last one still runs; what became of it."""
        if planned == self._fired:  # its row could not be written
            return "fired"
        if self._source.overlap == "skip" and self._fetching.waiting():
            self._emit(ScheduleOverlapped(self._channel))
            return "overlapped"
        text = plan.text(planned, self._zone)
        while True:
            arrival = Fired(self._channel, text, self._now())
            self._fetching.once(arrival, f"planned\0{planned}")
            if await arrival.stored():
                self._fired = planned
                return "fired"
            await asyncio.sleep(_AGAIN)

    async def _wake(self) -> None:
        """The time has come. A coroutine: the scheduler would run anything else in a thread."""
        self._woken.set()

    async def _until_next(self, last: int) -> None:
        """Until the next time; the clock on the wall may have been set meanwhile."""
        following = plan.following(self._source.cron, self._zone, last)
        wait: float = _LOOK
        if following is not None:  # it may have come while the last one was dealt with
            wait = min(max(following - self._now() / 1e9, 0.0), _LOOK)
        self._woken.clear()
        self._ticks.add_job(
            self._wake,
            "date",
            run_date=moment(_MACHINE.time_ns()) + timedelta(seconds=wait),
            id=self._channel,
            replace_existing=True,
            misfire_grace_time=None,
        )
        with suppress(TimeoutError):  # the scheduler waits by the wall, however it is set
            await asyncio.wait_for(self._woken.wait(), _LOOK)


def _build(channel: str, source: Any, receive: Receive, around: Surroundings) -> Schedule:
    return Schedule(channel, source, around)


SCHEDULE = ListenerType(
    name="schedule",
    summary="a Signal at each planned time",
    options=ScheduleSource,
    build=_build,
    defaults={"order_by": "channel", "content": "json"},
)
