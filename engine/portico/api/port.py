"""What /v1 asks of a running engine; server/ implements it."""

from pathlib import Path
from typing import Protocol

from portico.api.calling import Callers
from portico.api.keeping import Keeping
from portico.api.live import Sessions
from portico.api.models import Models
from portico.api.parked import Handling
from portico.api.replay import Replays
from portico.api.shapes import Reloaded, Status
from portico.events.emit import Emit
from portico.ids import SignalId
from portico.journal.found import Page, Query, Record, Row
from portico.journal.operating import Wish


class Messages(Handling, Replays, Protocol):
    """Parked messages and replays."""


class EnginePort(Protocol):
    """A running engine, from outside. Every verb may raise PorticoError.

    site: the site's folder. tell: of who asks for what.
    """

    site: Path
    tell: Emit

    async def status(self) -> Status:
        """What runs, and the books of promise P2."""
        ...

    async def search(self, query: Query, page: Page) -> list[Row]:
        """Signals, newest first."""
        ...

    async def show(self, signal: SignalId) -> Record | None:
        """One Signal whole; None when the journal has none of that id."""
        ...

    async def reload(self) -> Reloaded:
        """Check the site whole and swap it in, or keep the old one and say why."""
        ...

    async def wish(self, scope: str, name: str, verb: str, by: str) -> Wish:
        """Pause, resume, drain or stop a channel or a destination; stored when it returns.

        Raises NounUnknown.
        """
        ...

    async def fire(self, channel: str) -> None:
        """Fire a schedule now; stored when it returns. Raises NounUnknown, RequestError."""
        ...

    async def try_sink(self, name: str) -> None:
        """Send a trial to a sink of alarms. Raises NounUnknown, RequestError."""
        ...

    @property
    def keeping(self) -> Keeping:
        """Retention and legal holds."""
        ...

    @property
    def messages(self) -> Messages:
        """What people do to messages."""
        ...

    @property
    def callers(self) -> Callers:
        """Signals that people and programs make for agents."""
        ...

    @property
    def sessions(self) -> Sessions:
        """Sessions that have not concluded."""
        ...

    @property
    def models(self) -> Models:
        """Calls of language models, and answers that wait for a person."""
        ...

    def stop(self) -> None:
        """Begin to drain; returns at once."""
        ...
