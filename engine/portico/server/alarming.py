"""Looks at the engine every second, and says what has opened or closed since."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from portico.clock import moment
from portico.errors import JournalError
from portico.events.operating import AlarmClosed, AlarmOpened, AlarmsUnkept
from portico.ids import millis
from portico.journal.operating import OpenAlarm
from portico.policy import alarms
from portico.policy.alarms import Key, Observation, RaisedAlarm, Window
from portico.server.disk import Disk
from portico.server.outboxes import patiently
from portico.server.parts import House
from portico.server.pressure import Pressure
from portico.server.telling import Notice, Teller
from portico.spec.alarming import Expect
from portico.spec.channel import Channel
from portico.spec.destination import Destination

_TICK = 1.0
_DOWN = 60.0  # seconds that a destination may be away
_LAG = 2.0  # seconds that one group commit may take


class Alarms:
    """The alarms of a running engine.

    expiries: when each certificate ends. up: whether the journal can be written.
    """

    def __init__(
        self,
        house: House,
        disk: Disk,
        pressure: Pressure,
        expiries: Callable[[], Iterable[tuple[str, datetime]]],
        teller: Teller,
        up: Callable[[], bool],
    ) -> None:
        self._house, self._disk, self._pressure = house, disk, pressure
        self._expiries, self._teller, self._up = expiries, teller, up
        self.open: dict[Key, RaisedAlarm] = {}
        self._told: set[Key] = set()
        self._stored: dict[Key, bool] = {}  # as the journal has it: told or not
        self._since: dict[tuple[str, str], float] = {}  # monotonic: down or busy since
        self._seen: dict[tuple[str, str], tuple[int, int]] = {}  # count, and when it grew

    async def restore(self) -> None:
        """Those that were open when the last engine ended: nobody is told of them again."""
        for one in await patiently(self._house.journal.desk.alarms):
            key = (one.kind, one.scope, one.name)
            self.open[key] = RaisedAlarm(key, int(one.since.timestamp() * 1e9), "")
            self._stored[key] = one.told
            if one.told:
                self._told.add(key)
        for name in self._house.site.channels:
            last = await patiently(partial(self._house.journal.reader.last_of, name))
            count = self._house.books["channel", name, "received"]
            if last is not None:
                self._seen["channel", name] = (count, millis(last) * 1_000_000)

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            observations = [*self._observations(), *await self._waiting_signals()]
            self._step(observations)
            await self._keep()
            self._teller.news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._teller.news.wait(), _TICK)

    def gauge(self) -> dict[tuple[str, ...], float]:
        """portico_alarm_open: one for each that is open."""
        return {key: 1.0 for key in self.open}

    def _step(self, observations: list[Observation]) -> None:
        now = self._house.base.clock.time_ns()
        change = alarms.step(self.open, observations, now)
        self.open = dict(change.open)
        for one in change.opened:
            self._house.base.emit(AlarmOpened(*one.key, one.text))
        for one in change.closed:
            self._house.base.emit(AlarmClosed(*one.key, (now - one.since) / 1e9))
            self._told.discard(one.key)
            self._tell(one, "closed", now)
        for key, one in self.open.items():
            if key not in self._told:
                self._told.add(key)
                self._tell(one, "open", now)

    def _tell(self, one: RaisedAlarm, state: str, now: int) -> None:
        kind, scope, name = one.key
        spec = self._noun(scope, name)
        notice = Notice(state, kind, scope, name, one.text, one.since, now, _owner(spec))
        self._teller.tell(notice, spec.alarms.to if spec else None)

    def _noun(self, scope: str, name: str) -> Channel | Destination | None:
        site = self._house.site
        if scope == "channel":
            return site.channels.get(name)
        return site.destinations.get(name) if scope == "destination" else None

    async def _keep(self) -> None:
        """Store what differs from what the journal has; later, when it cannot be now."""
        wanted = {
            key: self._teller.taken(key) or self._stored.get(key, False) for key in self.open
        }
        changed = [key for key, told in wanted.items() if self._stored.get(key) != told]
        gone = [key for key in self._stored if key not in wanted]
        if not changed and not gone:
            return
        rows = [OpenAlarm(*key, moment(self.open[key].since), wanted[key]) for key in changed]
        if not self._up():
            return
        try:
            await self._house.journal.desk.keep_alarms(rows, gone)
        except JournalError as error:
            self._house.base.emit(AlarmsUnkept(error.code))
        else:
            self._stored = wanted

    def _observations(self) -> Iterator[Observation]:
        house = self._house
        for name, channel in house.channels.items():
            spec = house.site.channels.get(name)
            if spec is None:  # a reload is about to close it
                continue
            yield self._parked("channel", name, spec.alarms.parked)
            text = f"its source cannot be opened: {channel.fault}"
            yield alarms.state("source", "channel", name, bool(channel.fault), text)
            yield from self._silence("channel", name, "received", spec.expect)
        for name, outbox in house.outboxes.items():
            to = house.site.destinations.get(name)
            if to is None:
                continue
            yield self._parked("destination", name, to.alarms.parked)
            yield from self._silence("destination", name, "delivered", to.expect)
            yield self._waiting("destination", name, "queued", outbox.oldest, to.alarms.waiting)
            away = self._lasting(("down", name), outbox.down)
            text = f"it cannot be reached ({outbox.trouble}); its queue waits"
            yield alarms.state("down", "destination", name, away >= _DOWN, text)
            full = name in self._pressure.full
            text = "its queue has reached its limit; its channels have stopped reading"
            yield alarms.state("queue_full", "destination", name, full, text)
        yield from self._engine()

    def _engine(self) -> Iterator[Observation]:
        house, now = self._house, self._house.base.clock.time_ns()
        for agent, crew in house.pool.status().items():
            text = "its workers die too often; it gets no new one for a while"
            yield alarms.state("quarantined", "agent", agent, bool(crew["quarantined"]), text)
        for plugin, one in house.plugging.status().items():
            text = "its processes die too often; it gets no new one for a while"
            yield alarms.state("quarantined", "plugin", plugin, bool(one["quarantined"]), text)
        limit = house.site.config.alarms.certificates
        for name, ends in self._expiries():
            yield alarms.certificate(name, (ends - moment(now)).total_seconds(), limit)
        if self._disk.free is not None:
            close = house.site.config.journal.disk.close
            yield alarms.disk(self._disk.free, close, self._disk.shut)
        trouble = house.base.auditing.trouble()
        yield alarms.state("audit", "engine", "", bool(trouble), trouble)
        text = "it cannot be written: nothing is acknowledged"
        yield alarms.state("journal_unavailable", "engine", "", not self._up(), text)
        lag = house.journal.writer.lag
        yield alarms.measured("journal_slow", "engine", "", lag, _LAG, "commits take seconds")

    def _parked(self, scope: str, name: str, limit: int) -> Observation:
        return alarms.parked(scope, name, self._house.books[scope, name, "parked"], limit)

    def _waiting(
        self, scope: str, name: str, state: str, oldest: int, limit: float
    ) -> Observation:
        count = self._house.books[scope, name, state]
        now = self._house.base.clock.time_ns()
        age = (now - oldest) / 1e9 if oldest and count else 0.0
        return alarms.waiting(scope, name, age, limit, count)

    async def _waiting_signals(self) -> list[Observation]:
        """A channel's oldest Signal is asked of the journal only when some have waited for as
        long as the alarm says, without a pause."""
        found = []
        for name, spec in tuple(self._house.site.channels.items()):
            limit = spec.alarms.waiting
            busy = self._house.books["channel", name, "waiting"] > 0
            oldest = 0
            if self._lasting(("waiting", name), busy) >= limit * alarms.EASED:
                try:
                    first = await self._house.journal.reader.first_waiting(name)
                except JournalError:
                    known = self.open.get(("waiting", "channel", name))
                    first, oldest = None, known.since if known else 0
                oldest = millis(first) * 1_000_000 if first else oldest
            found.append(self._waiting("channel", name, "waiting", oldest, limit))
        return found

    def _lasting(self, what: tuple[str, str], holds: bool) -> float:
        """For how many seconds it has held without a pause."""
        now = self._house.base.clock.monotonic()
        if not holds:
            self._since.pop(what, None)
            return 0.0
        return now - self._since.setdefault(what, now)

    def _silence(
        self, scope: str, name: str, counted: str, expect: Expect | None
    ) -> Iterator[Observation]:
        if expect is None:
            return
        house, now = self._house, self._house.base.clock.time_ns()
        count = house.books[scope, name, counted]
        before, at = self._seen.setdefault((scope, name), (count, now))
        if count != before:
            at = now
            self._seen[scope, name] = (count, now)
        quiet, inside = (now - at) / 1e9, True
        if expect.during:
            hours = house.site.config.hours[expect.during]
            elapsed = Window(hours.days, hours.from_, hours.to).elapsed(self._local(now))
            inside, quiet = elapsed is not None, min(quiet, elapsed or 0.0)
        known = self.open.get(("silence", scope, name))
        back = known is not None and at > known.since
        yield alarms.silence(scope, name, expect.every, quiet, inside, back)

    def _local(self, now: int) -> datetime:
        zone = self._house.site.config.timezone
        return moment(now).astimezone(ZoneInfo(zone) if zone else None)


def _owner(spec: Channel | Destination | None) -> str:
    return spec.owner if spec else ""
