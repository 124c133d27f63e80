"""Senders for each type of source: one message at a time, again until it is taken.

`taken` is what the source's protocol says: an ACK, a closed upload that is listed, a file that
lies in `done`.
"""

import asyncio
import html
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2
import paramiko

from drills import message
from drills.message import Sent
from drills.source import Line, Source

STX, ETX = b"\x02", b"\x03"
_PATIENCE = 12.0
_ENVELOPE = """\
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>\
<submitSingleMessage xmlns="urn:cdc:iisb:2011"><facilityID>F</facilityID>\
<hl7Message>{}</hl7Message></submitSingleMessage></s:Body></s:Envelope>"""
_RETURN = re.compile(r"<(?:\w+:)?return[^>]*>(.*?)</", re.DOTALL)


class TcpLine(Line):
    """Frames between STX and ETX."""

    async def exchange(self, one: Sent) -> bytes:
        """Its ACK."""
        await self.open()
        await self.send(STX + one.content + ETX)
        assert self._streams is not None
        async with asyncio.timeout(_PATIENCE):
            return (await self._streams[0].readuntil(ETX))[1:-1]


class WebLine(Line):
    """Requests over HTTP."""

    path, media = "/adt", "application/hl7-v2"

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._client = httpx2.AsyncClient(timeout=_PATIENCE)

    def written(self, one: Sent) -> bytes:
        """The body."""
        return one.content

    def read(self, body: str) -> bytes:
        """The ACK in an answer."""
        return body.encode()

    async def exchange(self, one: Sent) -> bytes:
        """Its ACK."""
        where, headers = (
            f"http://127.0.0.1:{self._port}{self.path}",
            {"Content-Type": self.media},
        )
        try:
            told = await self._client.post(where, content=self.written(one), headers=headers)
        except httpx2.HTTPError as error:
            raise OSError(type(error).__name__) from None
        if told.status_code != 200:
            raise OSError(f"HTTP {told.status_code}")
        return self.read(told.text)


class SoapLine(WebLine):
    """`submitSingleMessage`."""

    path, media = "/iis", "application/soap+xml"

    def written(self, one: Sent) -> bytes:
        """The message in its envelope."""
        text = html.escape(one.content.decode()).replace("\r", "&#13;")
        return _ENVELOPE.format(text).encode()

    def read(self, body: str) -> bytes:
        """What `return` holds."""
        found = _RETURN.search(body)
        return html.unescape(found[1]).encode() if found else b""


class UploadLine(Line):
    """paramiko puts files into our SFTP server, and looks whether they are there."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._transport: paramiko.Transport | None = None
        self._files: paramiko.SFTPClient | None = None

    async def exchange(self, one: Sent) -> bytes:
        """AA once it is listed."""
        try:
            await asyncio.wait_for(asyncio.to_thread(self._put, one), _PATIENCE)
        except (paramiko.SSHException, AttributeError) as error:
            raise OSError(type(error).__name__) from None
        return message.answer("AA", one.control_id)

    def _put(self, one: Sent) -> None:
        if self._files is None:
            self._transport = paramiko.Transport(("127.0.0.1", self._port))
            self._transport.connect(None, "lab", "correct horse")
            self._files = paramiko.SFTPClient.from_transport(self._transport)
            assert self._files is not None
            self._files.get_channel().settimeout(_PATIENCE)
        self._files.putfo(io.BytesIO(one.content), f"{one.control_id}.hl7", confirm=True)

    def close(self) -> None:
        """Hang up."""
        transport, self._transport, self._files = self._transport, None, None
        if transport is not None:
            transport.close()


class FolderLine(Line):
    """Files that are put into a folder, and taken when they lie in `done`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(0)
        self._folder = folder

    async def exchange(self, one: Sent) -> bytes:
        """AA once it lies in `done`; it is put once, whatever happens."""
        name = f"{one.control_id}.hl7"
        draft = self._folder / f".{name}"
        draft.write_bytes(one.content)
        draft.rename(self._folder / name)
        done = self._folder / "done" / name
        while not done.exists():
            await asyncio.sleep(0.02)
        return message.answer("AA", one.control_id)


@dataclass(slots=True)
class Feed(Source):
    """A Source of another type. kind: makes its connections."""

    kind: Callable[[], Line] = lambda: Line(0)

    def line(self) -> Line:
        """A connection, not opened yet."""
        return self.kind()

    async def _exchange(self, line: "Line", one: Sent) -> bytes:
        return await line.exchange(one)  # type: ignore[attr-defined, no-any-return]
