"""One file on its way up: its messages handed up in order, their Receipts gathered."""

import asyncio
import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Protocol, cast

from portico.errors import FileLeft, MessageError
from portico.events.emit import Event
from portico.events.fetching import FileTaken, MessagesRefused
from portico.listeners.answers import Answers
from portico.listeners.contract import Fetching
from portico.listeners.tray import FileSeen, printable
from portico.model.receipt import Receipt, Told

_PIECES = 64  # messages of one step in a thread
_BYTES = 1 << 20  # or so many bytes
_AHEAD = 1_024  # messages of one file that may wait for their Receipts

NOTHING: Mapping[str, Any] = {}
Cut = tuple[bytes, MessageError | None]


class FilePiece:
    """One message of a file: an Arrival."""

    __slots__ = (
        "_first",
        "_number",
        "_reading",
        "about",
        "connection",
        "content",
        "file",
        "peer",
        "received",
    )

    def __init__(
        self, reading: "FileReading", number: int, content: bytes, received: int
    ) -> None:
        self._reading, self._number = reading, number
        self._first: tuple[bytes, ...] = ()
        self.content, self.received = content, received
        self.peer, self.file, self.connection = reading.peer, reading.file, 0
        self.about: Mapping[str, Any] = NOTHING

    def answer(self, receipt: Receipt) -> None:
        """It is stored, or not; one that promises more waits for it."""
        if receipt.more:
            self._first = receipt.replies
        else:
            self._reading.answered(self._number, receipt)

    def say(self, receipt: Receipt) -> None:
        """What was promised."""
        self._reading.answered(self._number, receipt, self._first)


class Giver(Protocol):
    """What a reading needs of the place where its file lies: see Tray."""

    where: str

    async def take(self, found: FileSeen) -> BinaryIO | None:
        """Claim it and give its bytes."""
        ...

    async def give_back(self, found: FileSeen) -> None:
        """Undo the claim."""
        ...

    async def reply(self, found: FileSeen, content: BinaryIO) -> None:
        """Place the answer to the file; asked only of a place that has one for answers."""
        ...


class FileReading:
    """A file from its claim to its last Receipt. fault: why it must be left. replies: it is to
    be answered by a file; scratch: where a large answer lies until then.
    """

    def __init__(
        self,
        tray: Giver,
        found: FileSeen,
        fetching: Fetching,
        now: Callable[[], int],
        replies: bool = False,
        scratch: str | None = None,
    ) -> None:
        self.found = found
        self.file = printable(found.name)
        self.peer = f"{tray.where}/{self.file}"
        self.fault: FileLeft | None = None
        self._tray, self._fetching, self._now = tray, fetching, now
        self._stream: BinaryIO | None = None
        self._cut: Iterator[Cut] | None = None
        self._first: list[Cut] = []
        self._identity = f"{tray.where}\0{found.name}\0{found.changed}\0{found.size}"
        self._handed = self._open = self._refused = 0
        self._stored = True
        self._answers = Answers(scratch) if replies else None
        self._scratch = scratch
        self._room = asyncio.Event()

    async def open(self) -> None:
        """Claim it and read its first messages. What is wrong with the file is its `fault`."""
        try:
            self._stream = await self._tray.take(self.found)
            if self._stream is not None:
                self._cut = self._fetching.cut(self._stream, self.found.size)
                self._first = await asyncio.to_thread(self._pull)
        except FileLeft as fault:
            self.fault = fault
        except Exception:
            self._stored = False  # whatever it holds: nothing of it has been handed up
            raise

    async def hand_up(self, going: asyncio.Event) -> None:
        """Hand up every message; reading waits while many wait for their Receipts."""
        pieces = self._first
        self._first = []
        while pieces:
            received = self._now()
            for content, refused in pieces:
                self._handed += 1
                self._open += 1
                piece = FilePiece(self, self._handed, content, received)
                self._fetching.once(piece, f"{self._identity}\0{self._handed}", refused)
            await self._until(_AHEAD)
            if not self._stored:
                return
            await going.wait()
            pieces = await asyncio.to_thread(self._pull)

    async def settled(self) -> bool:
        """Wait for every Receipt, and answer; False when the journal did not take a message. A
        file that cannot be finished is given back.
        """
        await self._until(1)
        if self._answers is not None:
            try:
                await self._reply(self._answers)
            except OSError as error:
                self.fault = FileLeft("unfinished", self.found.size, _words(error))
        if self._stream is not None:
            self._stream.close()
            if not self.whole:
                await self._tray.give_back(self.found)
        return self._stored

    async def _reply(self, answers: Answers) -> None:
        """Before the file is finished: a crash in between answers again. Nothing to say is no
        file.
        """
        spool = tempfile.SpooledTemporaryFile(_BYTES, dir=self._scratch)
        with answers, cast(BinaryIO, spool) as content:
            if self.whole and self._stream is not None:
                made = self._fetching.reply(self._stream, answers)
                await asyncio.to_thread(content.writelines, made)
            if content.tell():
                content.seek(0)
                try:
                    await self._tray.reply(self.found, content)
                except FileLeft as fault:
                    self.fault = fault

    @property
    def whole(self) -> bool:
        """It was there, and all of it is stored."""
        return self._stream is not None and self._stored and self.fault is None

    def answered(self, number: int, receipt: Receipt, first: tuple[bytes, ...] = ()) -> None:
        """One more Receipt. A silent one that closes is of a message that is not stored."""
        self._open -= 1
        if self._answers is not None and self.fault is None:
            try:
                self._answers.add(number, receipt, first)
            except OSError as error:  # no room for it: it is told when the file is taken again
                self.fault = FileLeft("unfinished", self.found.size, _words(error))
        if receipt.told is Told.SILENT and receipt.close:
            self._stored = False
        elif receipt.told is Told.REFUSED:
            self._refused += 1
        self._room.set()

    @property
    def refused(self) -> bool:
        """Not one of its messages was acceptable."""
        return self._handed > 0 and self._refused == self._handed

    def events(self, channel: str) -> list[Event]:
        """What is to be told of a file that is stored."""
        told: list[Event] = [FileTaken(channel, self._handed, self.found.size)]
        if self._refused:
            told.append(MessagesRefused(channel, self._refused, self._handed))
        return told

    async def _until(self, fewer: int) -> None:
        while self._open >= fewer:
            self._room.clear()
            await self._room.wait()

    def _pull(self) -> list[Cut]:
        """In a thread: the next few messages; none at the end, and after a fault."""
        assert self._cut is not None
        pieces: list[Cut] = []
        weight = 0
        try:
            for piece in self._cut:
                pieces.append(piece)
                weight += len(piece[0])
                if len(pieces) >= _PIECES or weight >= _BYTES:
                    break
        except MessageError as error:
            self.fault = FileLeft("uncut", self.found.size, str(error))
        except OSError as error:  # of the disk or the network, not of what stands in the file
            self.fault = FileLeft("unreadable", self.found.size, _words(error))
        return pieces


def _words(error: OSError) -> str:
    return os.strerror(error.errno or errno.EIO)
