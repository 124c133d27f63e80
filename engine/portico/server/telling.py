"""Alarms on their way to people: each sink has a queue and a patience of its own.

A notice is tried until the sink takes it or it is too old to help. What is sent names channels
and destinations, and never a patient.
"""

import asyncio
import importlib
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portico import __version__
from portico.clock import Clock, moment
from portico.errors import NounUnknown, PorticoError
from portico.events.emit import Emit
from portico.events.operating import AlarmUntold
from portico.policy import retry
from portico.policy.alarms import Key
from portico.spec.alarming import Sink

SINKS = {"webhook": "portico.server.webhook:send", "mail": "portico.server.mail:send"}
_MOST = 200  # notices that wait for one sink; the oldest is given up first
_FIRST, _LONGEST = 1.0, 60.0  # seconds between tries
_PATIENCE = 3600.0


class SinkRefused(Exception):
    """A sink did not take it. code: an HTTP status, or the kind of error."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told. state: `open`, `closed` or `trial`; since, at: nanoseconds since 1970."""

    state: str
    kind: str
    scope: str
    name: str
    text: str
    since: int
    at: int
    owner: str = ""

    @property
    def key(self) -> Key:
        """Which alarm it is about."""
        return (self.kind, self.scope, self.name)

    def subject(self) -> str:
        """One line for people: `portico open: down destination lab`."""
        words = ("portico", f"{self.state}:", self.kind, self.scope, self.name)
        return " ".join(word for word in words if word)

    def plain(self) -> dict[str, str]:
        """As JSON."""
        return {
            "state": self.state,
            "kind": self.kind,
            "scope": self.scope,
            "name": self.name,
            "text": self.text,
            "since": moment(self.since).isoformat(),
            "at": moment(self.at).isoformat(),
            "owner": self.owner,
            "host": socket.gethostname(),
            "version": __version__,
        }


# (what the site says of the sink, its folder, the environment, the notice); raises SinkRefused.
Send = Callable[[Any, Path, Mapping[str, str], Notice], Awaitable[None]]


class Teller:
    """Tells sinks. sinks: those of the site now; chance: 0 to 1."""

    def __init__(
        self,
        sinks: Callable[[], Mapping[str, Sink]],
        root: Path,
        environ: Mapping[str, str],
        clock: Clock,
        emit: Emit,
        chance: Callable[[], float],
    ) -> None:
        self._sinks, self._root, self._environ = sinks, root, environ
        self._clock, self._emit, self._chance = clock, emit, chance
        self._queues: dict[str, deque[Notice]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._owed: dict[Key, int] = {}
        self.news = asyncio.Event()  # a notice is settled

    def tell(self, notice: Notice, names: tuple[str, ...] | None) -> None:
        """Tell these sinks, all of the site's for None; returns at once."""
        for name in self._sinks() if names is None else names:
            queue = self._queues.setdefault(name, deque())
            if len(queue) >= _MOST:
                self._settled(queue.popleft())
            queue.append(notice)
            self._owed[notice.key] = self._owed.get(notice.key, 0) + 1
            if name not in self._tasks:
                self._tasks[name] = asyncio.ensure_future(self._serve(name, queue))

    def taken(self, key: Key) -> bool:
        """No sink is still to be told of this alarm."""
        return key not in self._owed

    async def trial(self, name: str, notice: Notice) -> None:
        """Try a sink once, now. Raises NounUnknown, SinkRefused."""
        if name not in self._sinks():
            raise NounUnknown("sink", name, self._sinks())
        await self._send(name, notice)

    async def stop(self) -> None:
        """Try no more."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, name: str, queue: deque[Notice]) -> None:
        try:
            while queue:
                notice = queue.popleft()  # a queue that is full gives up none that is under way
                await self._insist(name, notice)
                self._settled(notice)
        finally:
            del self._tasks[name]

    async def _insist(self, name: str, notice: Notice) -> None:
        """Until it is taken, the sink is gone, or it would come too late."""
        began, tries = self._clock.monotonic(), 0
        while name in self._sinks():
            try:
                await self._send(name, notice)
            except SinkRefused as error:
                tries += 1
                late = self._clock.monotonic() - began > _PATIENCE
                if late or tries in (1, 10):
                    self._emit(AlarmUntold(name, error.code, 0 if late else tries))
                if late:
                    return
                await asyncio.sleep(retry.delay(_FIRST, _LONGEST, tries, self._chance()))
            else:
                return

    async def _send(self, name: str, notice: Notice) -> None:
        sink = self._sinks()[name]
        kind = "mail" if sink.mail else "webhook"
        module, _, attribute = SINKS[kind].partition(":")
        send: Send = getattr(
            await asyncio.to_thread(importlib.import_module, module), attribute
        )
        try:
            await send(getattr(sink, kind), self._root, self._environ, notice)
        except PorticoError as error:
            raise SinkRefused(error.code) from error
        except SinkRefused:
            raise
        except Exception as error:  # noqa: BLE001  the fence of one sink; a text may hold a secret
            raise SinkRefused(type(error).__name__) from None

    def _settled(self, notice: Notice) -> None:
        self.news.set()
        left = self._owed.get(notice.key, 1) - 1
        if left:
            self._owed[notice.key] = left
        else:
            self._owed.pop(notice.key, None)
