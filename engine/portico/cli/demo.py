"""The peer of `portico run --demo`: an MLLP server that shows, masked, what it gets.

A process of its own, so that its messages go over a real socket. It ends when its standard
input ends, that is with the engine, however the engine ends.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

from portico.clock import SystemClock, moment
from portico.errors import MessageError
from portico.hl7 import ack, header, mask
from portico.ids import IdMaker, short
from portico.wire import mllp

HOST, PORT = "127.0.0.1", 2576
_LIMIT = 16 << 20
_READ = 64 << 10


class Peer:
    """Answers AA to whatever has an MSH, and prints it."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._ids = IdMaker(self._clock)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        decoder = mllp.MllpDecoder(_LIMIT)
        with contextlib.suppress(OSError):
            while decoder.fault is None and (data := await reader.read(_READ)):
                for content in decoder.feed(data):
                    writer.write(self.answer(content))
                await writer.drain()
        writer.close()

    def answer(self, content: bytes) -> bytes:
        """The block with the ACK; nothing for what cannot be answered."""
        try:
            read = header.read(content)
        except MessageError:
            return b""
        now = self._clock.time_ns()
        self._print(content, read.type, now)
        control_id = short(self._ids.next())
        return mllp.encode(ack.build(read, code="AA", control_id=control_id, at_ns=now))

    def _print(self, content: bytes, kind: str, now: int) -> None:
        print(f"-- demo peer {moment(now):%H:%M:%S} got {kind}, {len(content)} bytes:")
        for line in mask.mask(content).split("\n"):
            print("   " + "".join(c if c.isprintable() else "?" for c in line))
        sys.stdout.flush()


@contextlib.contextmanager
def running(port: int = PORT) -> Iterator[None]:
    """The peer as a process beside this one, listening; a port in use is said, not raised."""
    lifeline, ours = os.pipe()
    listens, its = os.pipe()
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "portico.cli.demo", str(port), str(its)],
        stdin=lifeline,
        pass_fds=(its,),
        start_new_session=True,
    )
    os.close(lifeline)
    os.close(its)
    os.read(listens, 1)
    os.close(listens)
    try:
        yield
    finally:
        os.close(ours)
        process.wait(5)


async def main(port: int, listens: int) -> None:
    """Serve until standard input ends; closing `listens` says that we do."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    server = await asyncio.start_server(Peer().serve, HOST, port)
    os.close(listens)
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
    except OSError as error:
        print(f"demo peer: {HOST}:{sys.argv[1]}: {error.strerror}", file=sys.stderr)
