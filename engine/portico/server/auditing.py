"""The audit trail of the site in force, or none: what it is told, and what it has to say."""

import asyncio
import importlib
from pathlib import Path
from typing import Any

from portico.clock import Clock, SystemClock
from portico.errors import TlsInvalid
from portico.events.auditing import AuditAway
from portico.events.emit import Emit, Event
from portico.spec.auditing import Audit
from portico.spec.tls import Tls
from portico.tls.certificates import Certificates

_LAST = 3.0  # seconds for what waits when a trail ends


def _silent(event: Event) -> None:
    """An Emit for those who do not listen."""


class Auditing:
    """Follows `audit:`. Without it an event costs a comparison, and nothing is loaded.

    emit: for what the trail says of itself, from its threads.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        data: Path = Path(),
        emit: Emit = _silent,
        certificates: Certificates | None = None,
    ) -> None:
        self._clock, self._data, self._emit = clock or SystemClock(), data, emit
        self.certificates = certificates or Certificates()
        self._options = Audit()
        self._trail: Any = None

    def event(self, event: Event) -> None:
        """An Emit."""
        if self._trail is not None:
            self._trail.event(event)

    def trouble(self) -> str:
        """What is wrong with it; empty when nothing is."""
        return self._trail.trouble() if self._trail is not None else ""

    def waiting(self) -> float:
        """Bytes that the repository is owed."""
        return self._trail.waiting() if self._trail is not None else 0

    async def follow(self, options: Audit) -> None:
        """Tell there from now on. One whose certificates went since `check` is not followed."""
        if options == self._options:
            return
        try:
            secured = self._secured(options)
        except TlsInvalid:
            self._emit(AuditAway(str(options.to), "tls_invalid"))
            return
        after = None
        if options.to is not None:
            trails = await asyncio.to_thread(importlib.import_module, "portico.audit.trail")
            after = trails.Trail(options, self._data, self._clock, self._emit, secured)
        before, self._options, self._trail = self._trail, options, after
        await _close(before)  # two would send what waits twice
        if after is not None and after is self._trail:
            after.start()

    async def stop(self) -> None:
        """Tell no more; what waits is on disk, and sent as far as it goes."""
        trail, self._trail = self._trail, None
        await _close(trail)

    def _secured(self, options: Audit) -> Any:
        if options.to is None or options.to.way != "tls":
            return None
        return self.certificates.client(options.tls or Tls.model_validate({}))


async def _close(trail: Any) -> None:
    if trail is not None:
        await asyncio.to_thread(trail.close, _LAST)
