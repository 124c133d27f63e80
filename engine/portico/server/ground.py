"""The ground of an engine: its data folder, locked, and PostgreSQL in it where that is ours.

It is laid while the rest of the engine is being loaded (`launch.py`): what PostgreSQL needs to
recover after a kill is then not added to what Python needs to import.
"""

import asyncio
from collections.abc import Mapping

from portico.check.site import Site
from portico.clock import Clock
from portico.errors import JournalUnavailable, SecretMissing
from portico.events.emit import Emit, Event
from portico.journal import binaries, connect
from portico.journal.embedded import Embedded
from portico.journal.folder import Folder


class Ground:
    """begin() it on the running loop, wait for laid(), and close() it last."""

    def __init__(self, site: Site, environ: Mapping[str, str], clock: Clock) -> None:
        self._root, self._config = site.root, site.config.journal
        self._environ = environ
        self._clock = clock
        self._folder: Folder | None = None
        self._embedded: Embedded | None = None
        self._laying: asyncio.Task[None] | None = None
        self._said: list[Event] = []
        self._tell: Emit = self._said.append
        self.data = site.root / site.config.data

    @property
    def kind(self) -> str:
        """`embedded` or `url`."""
        return "url" if self._config.url else "embedded"

    @property
    def version(self) -> str:
        """PostgreSQL's, when it is ours."""
        return self._embedded.version if self._embedded else ""

    def conninfo(self) -> str:
        """How this process connects now. Holds a password: never print it.

        Raises JournalUnavailable while a password is just being exchanged.
        """
        if self._config.url is not None:
            try:
                return self._config.url.reveal(self._root, self._environ)
            except SecretMissing as error:
                raise JournalUnavailable(str(error)) from error
        assert self._embedded is not None
        return self._embedded.conninfo

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to lay it. From the main thread: see Embedded."""
        self._laying = loop.create_task(self._lay())

    async def laid(self, emit: Emit) -> None:
        """Return when it can be built on. emit: hears what has been said, and all from now on.

        Raises ConfigError, SecretMissing, JournalLocked and JournalUnavailable.
        """
        self._tell = emit
        for event in self._said:
            emit(event)
        assert self._laying is not None
        await self._laying

    async def close(self) -> None:
        """Stop what is ours, and unlock."""
        if self._embedded is not None:
            await self._embedded.stop()
        if self._folder is not None:
            self._folder.close()

    async def _lay(self) -> None:
        folder = self._folder = Folder(self.data)
        if self._config.url is not None:
            # Missing or no address now: do not start.
            connect.require_url(self._config.url.reveal(self._root, self._environ))
            return
        chosen = self._root / self._config.binaries if self._config.binaries else None
        found = await asyncio.to_thread(binaries.find, chosen)
        self._embedded = Embedded(folder, found, self._emit, self._clock)
        await self._embedded.start()

    def _emit(self, event: Event) -> None:
        self._tell(event)
