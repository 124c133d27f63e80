"""The journal of one engine on its ground: the writer, what is lost and found again."""

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path

from portico.errors import JournalError
from portico.events.writing import (
    CallbackFailed,
    JournalBack,
    JournalLost,
    JournalMigrated,
    LeaseAwaited,
    LeaseLost,
    RowRejected,
)
from portico.journal.batch import Books
from portico.journal.folder import write_durably
from portico.journal.postgres import Journal, Told
from portico.journal.writer import Hooks
from portico.server import faults
from portico.server.ground import Ground
from portico.server.parts import Base, House

IDENTITY = "identity"
_PROVEN = 2.0  # seconds that a new connection holds before it counts, with nothing to store


class Storage:
    """Where an engine remembers."""

    def __init__(self, ground: Ground, base: Base) -> None:
        self._ground = ground
        self._base = base
        self._journal: Journal | None = None
        self._house: House | None = None
        self._closing = self._lost = False
        self._proof: asyncio.TimerHandle | None = None
        self.up = False
        self.changed: Callable[[], None] = _nothing  # after every flush
        self.data = ground.data
        self.kind = ground.kind
        self.conninfo = ground.conninfo

    @property
    def version(self) -> str:
        """PostgreSQL's, when it is ours."""
        return self._ground.version

    async def open(self, lost: Callable[[], None]) -> Journal:
        """Wait for the ground, and hold the lease.

        lost: called when another engine has taken the lease: this one must end, and sends
        nothing more meanwhile. Raises SecretMissing and ConfigError.
        """
        await self._ground.laid(self._base.emit)

        def fenced() -> None:
            self._base.emit(LeaseLost())
            self._send_no_more()
            lost()

        hooks = Hooks(self._flushed, self._down, self._up, fenced, self._rejected, self._broken)
        told = Told(
            hooks,
            lambda: self._base.emit(LeaseAwaited()),
            lambda done: self._base.emit(JournalMigrated(done.before, done.after)),
        )
        self._journal = Journal(
            self.conninfo,
            _owner(self.data),
            self._base.clock,
            self._base.loop,
            told,
            alone=self.kind == "embedded",
        )
        await self._journal.open()
        return self._journal

    def attach(self, house: House) -> None:
        """Whose books are kept, and whose sources are held while the journal is down."""
        self._house = house

    async def read_books(self, house: House) -> None:
        """The books as they were when this engine began."""
        for scope, name, state, n in await house.journal.reader.tally():
            house.books[scope, name, state] += n

    async def close(self, grace: float) -> bool:
        """Store what waits, then stop what is ours. False when not all could be stored."""
        self._closing = True
        self._disprove()
        stored = True
        if self._journal is not None:
            stored = await self._journal.close(grace)
        await self._ground.close()
        return stored

    def _send_no_more(self) -> None:
        """The other engine sends what is queued, at the head of every lane; a drain comes to
        the queues last."""
        if self._house is not None:
            for outbox in self._house.outboxes.values():
                outbox.let(-1)

    def _flushed(self, items: int, seconds: float, books: Books) -> None:
        if not self.up:
            self._proven()
        self._base.metrics.flushed(items, seconds)
        if self._house is not None:
            self._house.books.update(books)
            self.changed()

    def _down(self, error: JournalError) -> None:
        self._disprove()
        self.up = False
        if not self._closing and not self._lost:
            self._lost = True
            self._base.emit(JournalLost(error.code, str(error)))

    def _up(self) -> None:
        """There is a connection. With a full disk there is, too: after a loss it counts once
        something was stored, or once it has held for a while."""
        if self._house is None:
            self._proven()
        elif not self.up:
            self._proof = self._base.loop.call_later(_PROVEN, self._proven)

    def _proven(self) -> None:
        self._disprove()
        self.up = True
        if self._lost:
            self._lost = False
            self._base.emit(JournalBack())

    def _disprove(self) -> None:
        if self._proof is not None:
            self._proof.cancel()
            self._proof = None

    def _broken(self, fault: Exception) -> None:
        self._base.emit(CallbackFailed(type(fault).__name__, faults.place(fault)))

    def _rejected(self, sqlstate: str) -> None:
        self._base.emit(RowRejected(sqlstate))


def _nothing() -> None:
    """Nobody looks at the books yet."""


def _owner(data: Path) -> str:
    """This installation's identity, made once and kept in its data folder."""
    path = data / IDENTITY
    if not path.exists():
        write_durably(path, secrets.token_hex(16))
    return path.read_text().strip()
