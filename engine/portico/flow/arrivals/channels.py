"""Channels: sources opened, held, swapped and closed; each its own failure domain.

A source is open unless somebody wants it shut, and reads unless somebody holds it; each of
them has a word of its own, so that one lets go without undoing another.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from portico.errors import PorticoError, RequestError
from portico.events.emit import Emit
from portico.events.site import ChannelClosed, ChannelFailed, ChannelOpened
from portico.flow.arrivals.intake import Intake
from portico.listeners.contract import Listener

_OPEN_AGAIN = 5.0  # seconds between tries to open a source


@dataclass(frozen=True, slots=True)
class Origin:
    """What a channel listens with. type and where are for people."""

    type: str
    where: str
    source: object


class Channel:
    """One channel: its intake and its listener.

    build makes a listener for a source; it may be called again after a reload.
    """

    def __init__(
        self,
        intake: Intake,
        origin: Origin,
        build: Callable[[Origin], Listener],
        emit: Emit,
        later: Callable[[float, Callable[[], None]], asyncio.TimerHandle],
    ) -> None:
        self.intake = intake
        self.origin = origin
        self._build = build
        self._emit = emit
        self._later = later
        self._listener: Listener | None = None
        self._again: asyncio.TimerHandle | None = None
        self._retrying: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()  # opening and closing take turns
        self.shut: set[str] = set()  # `wish`, `disk`, `end`
        self.holds: set[str] = set()  # `answers`, `queue`
        self.fault = ""

    @property
    def held(self) -> bool:
        """Nothing is read at the moment."""
        return bool(self.holds)

    @property
    def settled(self) -> bool:
        """The source is open, or the operator wants it shut."""
        return self.open or "wish" in self.shut

    @property
    def open(self) -> bool:
        """The source is open."""
        return self._listener is not None

    @property
    def connections(self) -> int:
        """How many peers are connected now."""
        return self._listener.connections() if self._listener else 0

    async def start(self) -> None:
        """Open the source, unless it is to be shut; when that fails, say so and try again
        every few seconds."""
        async with self._turn:
            if not self.shut and not self.open:
                await self._open()

    async def _open(self) -> None:
        self._try_no_more()
        try:
            listener = self._build(self.origin)
            if self.held:
                listener.hold()
            await listener.start()
        except PorticoError as error:
            self._failed(error.code, str(error))
            return
        except Exception as error:  # noqa: BLE001  the fence of one channel
            self._failed("internal", type(error).__name__)
            return
        self._listener, self.fault = listener, ""
        if self.held:  # somebody may have said so meanwhile, or taken it back
            listener.hold()
        else:
            listener.release()
        self._emit(ChannelOpened(self.intake.name, self.origin.type, self.origin.where))

    def _failed(self, code: str, text: str) -> None:
        if self.fault != text:
            self._emit(ChannelFailed(self.intake.name, code, text))
        self.fault = text
        self._again = self._later(_OPEN_AGAIN, self._retry)

    async def swap(self, origin: Origin, grace: float) -> None:
        """Take another source: without closing anything where the listener can, else closed for
        `start` to open. Whoever swaps several starts them when all have let go: one may take
        the place of another.
        """
        before, self.origin = self.origin, origin
        if self._listener is not None and before.type == origin.type:
            if before.source == origin.source or self._listener.adopt(origin.source):
                return
        await self._close(grace)

    async def fire(self) -> bool:
        """Fire a schedule now, beside its plan; whether that is stored. Raises RequestError."""
        fire = getattr(self._listener, "fire", None)
        if fire is None:
            open_one = self.origin.type == "schedule"
            why = "is not open" if open_one else f"is no schedule, but {self.origin.type}"
            raise RequestError(f"channel {self.intake.name!r} {why}")
        return bool(await fire())

    async def stop(self, grace: float) -> None:
        """Close the source for good; answers that are owed may still leave for `grace`
        seconds."""
        self.shut.add("end")
        await self._close(grace)

    async def _close(self, grace: float) -> None:
        async with self._turn:
            self._try_no_more()
            listener, self._listener = self._listener, None
            if listener is not None:
                await listener.stop(grace)
                self._emit(ChannelClosed(self.intake.name))

    async def close(self, why: str, grace: float) -> None:
        """Close the source until `reopen`: its peers are refused, nothing is fetched."""
        self.shut.add(why)
        await self._close(grace)
        self.fault = ""

    async def reopen(self, why: str) -> None:
        """This reason is gone; open the source when it was the last."""
        self.shut.discard(why)
        await self.start()

    def hold(self, why: str) -> None:
        """Read nothing for a while (back-pressure); connections stay."""
        if not self.holds and self._listener is not None:
            self._listener.hold()
        self.holds.add(why)

    def release(self, why: str) -> None:
        """This reason is gone; read again when it was the last."""
        if why not in self.holds:
            return
        self.holds.discard(why)
        if not self.holds and self._listener is not None:
            self._listener.release()

    def _try_no_more(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def _retry(self) -> None:
        self._again = None
        self._retrying = asyncio.ensure_future(self.start())
