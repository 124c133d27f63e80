"""HTTP senders that wait for each answer: `python -m bench.web PORT PATH [SECONDS]`.

50 connections post 1 KB ADT messages to a channel that is there already and print requests a
second and statuses; read the engine's CPU beside it. Against MLLP on the same engine it says
what HTTP costs (21 November 2026, quiet: 8,600 to 11,500 a second at 74 to 80 us of engine
CPU; MLLP 10,000 to 12,500 at 66 to 79).
"""

import asyncio
import itertools
import sys
import time
from collections import Counter

CONNECTIONS = 50
_NUMBERS = itertools.count()
_HEAD = (
    b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/hl7-v2\r\n"
    b"Content-Length: %d\r\n\r\n"
)


def message() -> bytes:
    """The next of 1,000 patients' messages."""
    number = next(_NUMBERS)
    return (
        b"MSH|^~\\&|BENCH|A|ENGINE|B|20261121||ADT^A01^ADT_A01|%d|P|2.5.1\r"
        b"PID|1||%d^^^H^MR||MUSTER^ERIKA||19700101|F\rPV1|1|I\rNTE|1||"
    ) % (number, number % 1000) + b"x" * 850


class Sender(asyncio.Protocol):
    """One connection: the next request leaves when the last is answered."""

    def __init__(self, path: bytes, told: Counter) -> None:
        self._path, self._told = path, told
        self._buffer = b""

    def connection_made(self, transport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        body = message()
        self._transport.write(_HEAD % (self._path, len(body)) + body)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(rest) >= length:
            self._told[head[9:12].decode()] += 1
            self._buffer = rest[length:]
            self._send()


async def run(port: int, path: str, seconds: float) -> None:
    """Send for so long, after half a second that does not count."""
    told: Counter = Counter()
    loop = asyncio.get_running_loop()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Sender(path.encode(), told), "127.0.0.1", port)
    await asyncio.sleep(0.5)
    before, began = told.total(), time.perf_counter()
    await asyncio.sleep(seconds)
    rate = (told.total() - before) / (time.perf_counter() - began)
    print(f"{rate:.0f} requests/s, statuses {dict(told)}")


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), sys.argv[2], float((sys.argv[3:] or ["5"])[0])))
