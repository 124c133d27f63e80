"""Receiving systems for each type of destination: they record what they got as a Sink does."""

import asyncio
import hashlib
import html
import re
import time
from pathlib import Path

from drills import message
from drills.feeds import ETX, STX
from drills.sink import Received, Sink

_HL7 = re.compile(rb"<(?:\w+:)?hl7Message[^>]*>(.*?)</", re.DOTALL)
_ANSWER = """\
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>\
<submitSingleMessageResponse xmlns="urn:cdc:iisb:2011"><return>{}</return>\
</submitSingleMessageResponse></s:Body></s:Envelope>"""


class TcpTaker(Sink):
    """Frames between STX and ETX, answered by `OK`."""

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        while True:
            frame = await reader.readuntil(ETX)
            self._record(frame[1:-1], number)
            writer.write(STX + b"OK" + ETX)
            await writer.drain()


class WebTaker(Sink):
    """Requests, each answered by 200."""

    media = "text/plain"

    def message(self, body: bytes) -> bytes:
        """The message in a request."""
        return body

    def answer(self, control_id: str) -> str:
        """What it is told."""
        return ""

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].partition("\r")[0])
            one = self._record(self.message(await reader.readexactly(length)), number)
            body = self.answer(one.control_id).encode()
            writer.write(
                f"HTTP/1.1 200 OK\r\nContent-Type: {self.media}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            await writer.drain()


class SoapTaker(WebTaker):
    """`submitSingleMessage`, answered by an ACK."""

    media = "application/soap+xml"

    def message(self, body: bytes) -> bytes:
        """The argument, its returns as they were."""
        found = _HL7.search(body)
        assert found is not None, body
        return html.unescape(found[1].decode()).encode()

    def answer(self, control_id: str) -> str:
        """The ACK in `return`."""
        ack = message.answer("AA", control_id)[1:-2].decode()
        return _ANSWER.format(html.escape(ack).replace("\r", "&#13;"))


class FileTaker(Sink):
    """A folder that fills with files; `look` reads it, oldest first."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, 0)
        self.folder = folder

    async def start(self) -> None:
        """Nobody listens."""

    def look(self) -> None:
        """What lies there now. What is not whole has a hidden name."""
        ahead = time.time() - time.monotonic()
        found = [one for one in self.folder.glob("*.hl7") if one.name[0] != "."]
        times = sorted((one.stat().st_mtime_ns, one) for one in found)
        self.received = [_file(one.read_bytes(), at / 1e9 - ahead) for at, one in times]


def _file(content: bytes, at: float) -> Received:
    return Received(
        message.field(content, b"MSH", 10),
        message.field(content, b"PID", 3).partition("^")[0],
        int(message.field(content, b"ZSQ", 1)),
        hashlib.sha256(content).digest(),
        1,
        "AA",
        at,
        0,
        message.field(content, b"ZSQ", 3) == "STAMPED",
        True,
    )
