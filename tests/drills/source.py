"""Senders as hospitals have them: one message at a time, repeated until it is acknowledged."""

import asyncio
import random
import socket
import struct
import time
from dataclasses import dataclass, field
from itertools import count

from drills import message
from drills.message import Sent

_CONNECT, _ANSWER = 2.0, 12.0
_PAUSE = 0.03  # seconds before a sender knocks again


@dataclass(slots=True)
class Answered:
    """A positive answer. began, at: monotonic seconds of the last sending and of the answer."""

    sent: Sent
    began: float
    at: float


@dataclass(slots=True)
class Mischief:
    """How likely a sender does what it should not, for each message: 0 to 1."""

    half_frame: float = 0.0  # sends half of it and hangs up
    reset: float = 0.0  # sends it and resets before the answer
    noise: float = 0.0  # sends junk first


@dataclass(slots=True)
class Source:
    """Connections to one channel. Patients are split among them, so that each story is told
    by one connection and its numbers are acknowledged in order.

    acknowledged: positive answers with their own control id, in order of arrival.
    negative, foreign: control ids that got another answer, or another message's.
    """

    port: int
    name: str
    chance: random.Random
    connections: int = 8
    patients: int = 64
    pace: float = 0.01
    mischief: Mischief = field(default_factory=Mischief)
    acknowledged: list[Answered] = field(default_factory=list)
    negative: list[tuple[str, str]] = field(default_factory=list)
    foreign: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0
    repeats: int = 0
    _stopping: bool = False
    _numbers: count = field(default_factory=lambda: count(1))  # type: ignore[type-arg]
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Begin to send."""
        for number in range(self.connections):
            story = [f"{self.name}P{n}" for n in range(number, self.patients, self.connections)]
            self._tasks.append(asyncio.create_task(self._tell(story)))

    async def finish(self, within: float = 60.0) -> None:
        """Begin no new message; returns when each connection's last is acknowledged."""
        self._stopping = True
        async with asyncio.timeout(within):
            await asyncio.gather(*self._tasks)

    async def end(self) -> None:
        """Stop at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def acknowledges(self, after: float, within: float = 60.0) -> float:
        """Wait for an answer to what was sent after this moment; when it came."""
        seen = len(self.acknowledged)
        async with asyncio.timeout(within):
            while True:
                for one in self.acknowledged[seen:]:
                    if one.began > after:
                        return one.at
                seen = len(self.acknowledged)
                await asyncio.sleep(0.005)

    def line(self) -> "Line":
        """A connection, not opened yet."""
        return Line(self.port)

    async def _tell(self, patients: list[str]) -> None:
        numbers = dict.fromkeys(patients, 0)
        line = self.line()
        try:
            while not self._stopping:
                patient = self.chance.choice(patients)
                numbers[patient] += 1
                one = message.make(
                    f"{self.name}{next(self._numbers)}", patient, numbers[patient]
                )
                await self._deliver(line, one)
                await asyncio.sleep(self.pace * 2 * self.chance.random())
        finally:
            line.close()

    async def _deliver(self, line: "Line", one: Sent) -> None:
        """Send it until it is acknowledged."""
        self.sent += 1
        while True:
            began = time.monotonic()
            try:
                answer = await self._exchange(line, one)
            except (OSError, EOFError, TimeoutError):
                line.close()
                answer = b""
                await asyncio.sleep(_PAUSE)
            if answer and self._taken(one, answer, began):
                return
            self.repeats += 1

    def _taken(self, one: Sent, answer: bytes, began: float) -> bool:
        code = message.field(answer, b"MSA", 1)
        named = message.field(answer, b"MSA", 2)
        if named != one.control_id:
            self.foreign.append((one.control_id, named))
            return False
        if code not in ("AA", "CA"):
            self.negative.append((one.control_id, code))
            return False
        self.acknowledged.append(Answered(one, began, time.monotonic()))
        return True

    async def _exchange(self, line: "Line", one: Sent) -> bytes:
        frame = message.START + one.content + message.END
        dice, mischief = self.chance.random(), self.mischief
        await line.open()
        if dice < mischief.half_frame:
            await line.send(frame[: self.chance.randrange(1, len(frame) - 2)])
            line.close()
            return b""
        dice -= mischief.half_frame
        if dice < mischief.reset:
            await line.send(frame)
            line.reset()
            return b""
        dice -= mischief.reset
        if dice < mischief.noise:
            await line.send(b"\r\nNOISE\x1c\r\n")
        await line.send(frame)
        return await line.answer()


class Line:
    """One connection, opened when needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        if self._streams is None:
            async with asyncio.timeout(_CONNECT):
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)

    async def send(self, data: bytes) -> None:
        assert self._streams is not None
        self._streams[1].write(data)
        await self._streams[1].drain()

    async def answer(self) -> bytes:
        assert self._streams is not None
        async with asyncio.timeout(_ANSWER):
            return await self._streams[0].readuntil(message.END)

    def reset(self) -> None:
        """Hang up with RST."""
        if self._streams is not None:
            hard = struct.pack("ii", 1, 0)
            wire = self._streams[1].get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
        self.close()

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
