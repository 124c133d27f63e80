"""A receiving system that records exactly what it got, and misbehaves when told to."""

import asyncio
import hashlib
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from drills import message

Mood = Callable[[str, int], str]


@dataclass(frozen=True, slots=True)
class Received:
    """One whole frame. nth: how often this control id has come; mood: what it got for it.

    at: monotonic seconds. connection: its number.
    """

    control_id: str
    patient: str
    number: int
    digest: bytes
    nth: int
    mood: str
    at: float
    connection: int
    stamped: bool
    settled: bool


def kind(control_id: str, nth: int) -> str:
    """Always AA."""
    return "AA"


class Sink:
    """An MLLP server. mood: (control id, how often it has come) to one of

    AA AE AR CR: that answer; wrong: another message's id; late: AA after `patience` seconds;
    slow: the same, one byte at a time; silent: nothing; close, reset: the connection ends;
    half: half an answer, then the end; broken: an answer that is not HL7.

    settles: moods that end a Delivery by the site's `answers`.
    """

    def __init__(self, name: str, port: int, mood: Mood = kind, patience: float = 3.0) -> None:
        self.name, self.port, self.mood, self.patience = name, port, mood, patience
        self.received: list[Received] = []
        self.settles: tuple[str, ...] = ("AA", "AR", "CR", "slow")
        self._times: dict[str, int] = {}
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()
        self._chores: set[asyncio.Task[None]] = set()
        self._connections = 0

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Be down: no listener, no connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in (*self._lines, *self._chores):
            task.cancel()
        await asyncio.gather(*self._lines, *self._chores, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        self._connections += 1
        try:
            await self._read(reader, writer, self._connections)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the peer has gone, or the drill is over
        finally:
            writer.close()
            self._lines.discard(task)

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        while True:
            frame = await reader.readuntil(message.END)
            one = self._record(frame[1:-2], number)
            if one.mood in ("late", "slow"):
                chore = asyncio.create_task(self._answer_meanwhile(one, writer))
                self._chores.add(chore)
                chore.add_done_callback(self._chores.discard)
            else:
                await self._answer(one, writer)

    def _record(self, content: bytes, connection: int) -> Received:
        control_id = message.field(content, b"MSH", 10)
        nth = self._times[control_id] = self._times.get(control_id, 0) + 1
        mood = self.mood(control_id, nth)
        one = Received(
            control_id,
            message.field(content, b"PID", 3).partition("^")[0],
            int(message.field(content, b"ZSQ", 1)),
            hashlib.sha256(content).digest(),
            nth,
            mood,
            time.monotonic(),
            connection,
            message.field(content, b"ZSQ", 3) == "STAMPED",
            mood in self.settles,
        )
        self.received.append(one)
        return one

    async def _answer_meanwhile(self, one: Received, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # the engine waits for it no longer
            await self._answer(one, writer)

    async def _answer(self, one: Received, writer: asyncio.StreamWriter) -> None:
        mood, aa = one.mood, message.answer("AA", one.control_id)
        if mood in ("AA", "AE", "AR", "CR"):
            writer.write(message.answer(mood, one.control_id))
        elif mood == "wrong":
            writer.write(message.answer("AA", "NOBODY"))
        elif mood == "broken":
            writer.write(message.START + b"<html>" + message.END)
        elif mood == "late":
            await asyncio.sleep(self.patience)
            writer.write(aa)
        elif mood == "slow":
            for byte in aa:
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
        elif mood == "half":
            writer.write(aa[: len(aa) // 2])
            raise EOFError
        elif mood == "close":
            raise EOFError
        elif mood == "reset":
            wire = writer.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise EOFError
        await writer.drain()
