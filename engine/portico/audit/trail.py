"""The audit trail of one engine: an Emit that puts what matters on disk and sends it on.

Two threads of its own, so that neither a slow disk nor a repository that is away is waited for:
the keeper writes messages into the spool, the sender empties it. What an engine leaves behind,
the next one sends.
"""

import os
import queue
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from portico.audit import message, records, sending, syslog
from portico.audit.message import Record, Source
from portico.audit.sending import Refused
from portico.audit.spool import Full, Spool
from portico.clock import Clock, moment
from portico.events.auditing import AuditAway, AuditBack, AuditLost, LoginAccepted
from portico.events.emit import Emit, Event
from portico.spec.auditing import Audit
from portico.tls.certificates import Secured

_LOOK = 2.0  # seconds until what another process has put is seen
_FIRST, _LONGEST = 1.0, 30.0  # seconds between tries
_BATCH = 100  # messages of one write
_AWAY = 60.0  # seconds until the alarm
_SAME = 600.0  # seconds in which the same user at the same place logs in once
_USERS = 10_000
_MOST = 10_000  # messages that wait for the disk
_EASED = 0.8  # of the spool: less than that is room again
_STORED = 2.0  # seconds for the last messages at the end


def formed(record: Record, options: Audit, at: int) -> bytes:
    """One message, as it is kept and sent. at: nanoseconds since 1970."""
    when = moment(at)
    content = message.written(record, Source(options.source, options.enterprise), when)
    return syslog.line(content, when, socket.gethostname(), os.getpid(), record.outcome > 0)


@dataclass(slots=True)
class _Habit:
    """Logins that were told lately: a client that connects for every request is one."""

    clock: Clock
    known: dict[tuple[str, ...], float] = field(default_factory=dict)

    def fresh(self, event: LoginAccepted) -> bool:
        now = self.clock.monotonic()
        key = (event.channel, event.user, event.code, event.peer.rpartition(":")[0])
        if now - self.known.get(key, -_SAME) < _SAME:
            return False
        if len(self.known) >= _USERS:
            self.known.clear()
        self.known[key] = now
        return True


class Trail:
    """Listens to events; keeps and sends them from `start` to `close`.

    emit: for what it has to say itself, from any thread. secured: for `tls://`.
    """

    def __init__(
        self,
        options: Audit,
        data: Path,
        clock: Clock,
        emit: Emit,
        secured: Secured | None = None,
    ) -> None:
        assert options.to is not None
        self.to = options.to
        self._options, self._clock, self._emit = options, clock, emit
        self._spool = Spool(data, options.spool)
        self._line = sending.line(options.to, secured)
        self._habit = _Habit(clock)
        self._queue: queue.SimpleQueue[tuple[int, Record] | None] = queue.SimpleQueue()
        self._more, self._ending = threading.Event(), threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="audit keeper", daemon=True)
        self._sender = threading.Thread(target=self._send, name="audit sender", daemon=True)
        self._since: float | None = None  # away since
        self._full = False

    def start(self) -> None:
        """Begin; what an earlier engine left is sent first."""
        self._keeper.start()
        self._sender.start()

    def event(self, event: Event) -> None:
        """Tell of this, if it is of those that are told. Never waits."""
        if type(event) not in records.TELLERS:
            return
        if isinstance(event, LoginAccepted) and not self._habit.fresh(event):
            return
        record = records.of(event)
        if record is None:
            return
        if self._queue.qsize() < _MOST:
            self._queue.put((self._clock.time_ns(), record))
        else:
            self._lose("slow")

    def trouble(self) -> str:
        """What people should know; empty when all is well."""
        if self._full:
            return "audit messages are lost: its spool is full, or cannot be written"
        since = self._since
        if since is not None and self._clock.monotonic() - since >= _AWAY:
            return f"the repository {self.to} cannot be reached; what it is owed waits"
        return ""

    def waiting(self) -> int:
        """Bytes that the repository is owed."""
        return self._spool.size

    def close(self, seconds: float) -> None:
        """Keep what waits, and send as much of it as goes in that time; blocks."""
        if self._keeper.ident is None:
            self.start()
        self._queue.put(None)
        self._keeper.join(_STORED)
        self._ending.set()
        self._more.set()
        self._sender.join(seconds)

    def _keep(self) -> None:
        """The keeper: until the end is asked for."""
        while (one := self._queue.get()) is not None:
            at, record = one
            try:
                self._spool.put(formed(record, self._options, at), at)
            except Full:
                self._lose("full")
            except Exception as error:  # noqa: BLE001  the fence of one message
                self._lose(type(error).__name__)
            else:
                self._more.set()

    def _lose(self, code: str) -> None:
        self._full = True
        self._emit(AuditLost(code))

    def _send(self) -> None:
        """The sender: all that waits, again and again; once more at the end."""
        wait = _FIRST
        while True:
            self._more.clear()
            ending = self._ending.is_set()
            done = self._empty()
            if ending:
                self._line.close()
                return
            if done:
                wait = _FIRST
                self._more.wait(_LOOK)
            else:
                self._ending.wait(wait)
                wait = min(wait * 2, _LONGEST)

    def _empty(self) -> bool:
        """Give the repository all that waits; False when it does not take it."""
        try:
            names = self._spool.look()
            for first in range(0, len(names), _BATCH):
                part = names[first : first + _BATCH]
                self._line.send(self._spool.read(part))
                self._spool.drop(part)
                self._back()
            self._full &= self._spool.size > self._spool.most * _EASED
        except Refused as error:
            self._away(error.code)
            return False
        except Exception as error:  # noqa: BLE001  the fence of one round
            self._away(type(error).__name__)
            return False
        return True

    def _away(self, code: str) -> None:
        if self._since is None:
            self._since = self._clock.monotonic()
            self._emit(AuditAway(str(self.to), code))

    def _back(self) -> None:
        if self._since is not None:
            self._since = None
            self._emit(AuditBack(str(self.to)))


def put(data: Path, options: Audit, events: Sequence[Event], at: int) -> None:
    """Tell of these where no engine runs: into the spool, for the next one. at: nanoseconds
    since 1970. Raises OSError."""
    spool = Spool(data, options.spool)
    spool.look()
    for event in events:
        record = records.of(event)
        if record is not None:
            spool.put(formed(record, options, at), at)
