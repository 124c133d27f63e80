"""A listener on a real port, and a desk that takes what it hands up."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from portico.clock import SystemClock
from portico.events.emit import Event
from portico.listeners.contract import Surroundings
from portico.listeners.mllp import MLLP, MllpSource
from portico.model.receipt import Receipt, Told
from portico.tls.certificates import Certificates
from portico.wire.mllp import encode

# Twins are imported as `listeners.fetching`; importmode importlib adds nobody's place.


def accepted(text: bytes) -> Receipt:
    """A positive answer."""
    return Receipt(Told.ACCEPTED, (text,), code="AA")


class Desk:
    """Takes arrivals. Answers each at once with `ACK:` and its content, unless told not to."""

    accepted = staticmethod(accepted)

    def __init__(self) -> None:
        self.arrivals: list[Any] = []
        self.events: list[Event] = []
        self.at_once = True
        self._more = asyncio.Event()

    def receive(self, arrival: Any) -> None:
        """A Receive."""
        self.arrivals.append(arrival)
        self._more.set()
        if self.at_once:
            arrival.answer(accepted(b"ACK:" + arrival.content))

    def emit(self, event: Event) -> None:
        """An Emit."""
        self.events.append(event)
        self._more.set()

    async def until(self, true) -> None:
        """Wait for arrivals and events that make it true."""
        while not true():
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 10)

    async def got(self, count: int) -> list[bytes]:
        """The contents of the first `count` arrivals."""
        await self.until(lambda: len(self.arrivals) >= count)
        return [arrival.content for arrival in self.arrivals]

    def named(self, name: str) -> list[Event]:
        """Events of that class."""
        return [event for event in self.events if type(event).__name__ == name]


class Peer:
    """A client on a plain socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *contents: bytes) -> None:
        """Frames, in one write."""
        self.writer.write(b"".join(map(encode, contents)))

    async def read(self, size: int) -> bytes:
        """Exactly so many bytes."""
        return await asyncio.wait_for(self.reader.readexactly(size), 10)

    async def hear(self, content: bytes) -> None:
        """Exactly this frame."""
        assert await self.read(len(content) + 3) == encode(content)

    async def rest(self) -> bytes:
        """All until the listener closes, which it must."""
        try:
            return await asyncio.wait_for(self.reader.read(), 10)
        except ConnectionResetError:
            return b""


@pytest.fixture
async def desk() -> Desk:
    """The flow above the listener."""
    return Desk()


@pytest.fixture
async def listening(reactor, desk):
    """`await listening(limit=...)`: a started listener; all are stopped at the end."""
    started = []

    async def start(certificates: Certificates | None = None, **options: Any):
        source = MllpSource.model_validate({"listen": "127.0.0.1:0", **options})
        around = Surroundings(
            reactor,
            SystemClock(),
            desk.emit,
            Path(),
            certificates=certificates or Certificates(),
        )
        listener = MLLP.build("adt_in", source, desk.receive, around)
        await listener.start()
        started.append(listener)
        return listener

    yield start
    for listener in started:
        await listener.stop(0)


@pytest.fixture
async def connect():
    """`await connect(listener)`: a Peer; all are closed at the end."""
    peers = []

    async def open_one(listener: Any, **more: Any) -> Peer:
        peer = Peer(*await asyncio.open_connection(*listener.address, **more))
        peers.append(peer)
        return peer

    yield open_one
    for peer in peers:
        peer.writer.close()
