"""Senders of 1 KB ADT that wait for each answer: `python -m bench.senders KIND PORT SECONDS`.

KIND: `https` (POST to /bench) or `tcp` (STX, ETX); 50 connections. Half a second that does not
count, then so many seconds; prints the answers of that time as JSON. Every answer must say AA.
"""

import asyncio
import json
import sys
import time

from bench import messages

CONNECTIONS = 50
_HEAD = (
    b"POST /bench HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/hl7-v2\r\n"
    b"Content-Length: %d\r\n\r\n"
)


class Sender(asyncio.Protocol):
    """One connection: the next message leaves when the last is answered."""

    def __init__(self, frames: messages.Frames, told: list[int]) -> None:
        self._frames, self._told = frames, told
        self._buffer = b""

    def connection_made(self, transport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        _, block = self._frames.render(messages.now())
        self._transport.write(self.wrap(block[1:-2]))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if (answer := self.whole(self._buffer)) is not None:
            if b"\rMSA|AA|" not in answer:
                raise SystemExit(f"an answer was {answer[:200]!r}")
            self._buffer = b""
            self._told[0] += 1
            self._send()

    def wrap(self, content: bytes) -> bytes:
        """The message as it goes out."""
        raise NotImplementedError

    def whole(self, read: bytes) -> bytes | None:
        """The answer, once all of it is there."""
        raise NotImplementedError


class Https(Sender):
    """HTTP/1.1, the ACK in the response."""

    def wrap(self, content: bytes) -> bytes:
        return _HEAD % len(content) + content

    def whole(self, read: bytes) -> bytes | None:
        head, found, rest = read.partition(b"\r\n\r\n")
        if not found:
            return None
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        return rest if len(rest) >= length else None


class Tcp(Sender):
    """Frames between STX and ETX."""

    def wrap(self, content: bytes) -> bytes:
        return b"\x02%b\x03" % content

    def whole(self, read: bytes) -> bytes | None:
        return read if read.endswith(b"\x03") else None


KINDS = {"https": Https, "tcp": Tcp}


async def run(kind: str, port: int, seconds: float) -> dict[str, float]:
    """Send for so long."""
    told, frames = [0], messages.Frames()
    loop = asyncio.get_running_loop()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: KINDS[kind](frames, told), "127.0.0.1", port)
    await asyncio.sleep(0.5)
    before, began = told[0], time.perf_counter()
    await asyncio.sleep(seconds)
    return {"answered": told[0] - before, "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))
