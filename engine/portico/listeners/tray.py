"""A place with files to be taken: what a poller asks of a folder, an SFTP or an FTP server.

Names are the place's own, as text; bytes that are no UTF-8 are kept by surrogates. A Tray never
follows a link and never leaves its folder (F7).
"""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from portico.errors import PorticoError, SourceAway

CHUNK = 1_000  # files of one step of a look
_LONGEST = 200  # bytes of a name; NAME_MAX is 255, suffixes need room


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A file as it was seen. size in bytes; changed: nanoseconds since 1970, as exact as the
    place tells. claimed: it lies among our claims, from an earlier life.
    """

    name: str
    size: int
    changed: int
    claimed: bool = False


class Tray(Protocol):
    """One folder of one place. Every verb may raise SourceAway; then `open` is due again."""

    where: str

    async def open(self, mark: str) -> None:
        """Make ready. mark: what our claims bear."""
        ...

    async def left(self) -> list[FileSeen]:
        """What we had claimed when an earlier life ended, oldest first."""
        ...

    def look(self) -> AsyncIterator[list[FileSeen]]:
        """Every file that lies there, a chunk at a time, in any order."""
        ...

    async def take(self, found: FileSeen) -> BinaryIO | None:
        """Claim it (F2) and give its bytes, which can be read from the start more than once;
        None when it is gone, another has it, or it changed. Raises FileLeft.
        """
        ...

    async def give_back(self, found: FileSeen) -> None:
        """Undo the claim."""
        ...

    async def reply(self, found: FileSeen, content: BinaryIO) -> None:
        """Place the answer to a file, whole or not at all, over an earlier one. Raises
        FileLeft.
        """
        ...

    async def finish(self, found: FileSeen) -> None:
        """Do what `after` says. Raises FileLeft."""
        ...

    async def wait(self, seconds: float) -> None:
        """Return after that time, or sooner when something new may lie there."""
        ...

    async def close(self) -> None:
        """Let go. Never raises."""
        ...


def claim_folder(mark: str) -> str:
    """Where this channel's claims lie, in the folder itself."""
    return f".portico-{mark}"


def reply_name(name: str) -> str:
    """What the answer to a file of that name is called."""
    stem = os.fsencode(name)[:_LONGEST]
    return os.fsdecode(stem) + ".ack"


def printable(name: str) -> str:
    """The name as text that a database takes."""
    return (
        name.encode("utf-8", "surrogateescape")
        .decode("utf-8", "backslashreplace")
        .replace("\0", "\\0")
    )


def away(where: str, error: BaseException) -> SourceAway:
    """A place that cannot be reached, in words that name no file."""
    if isinstance(error, PorticoError):
        return SourceAway(f"{where}: {error}")
    words = getattr(error, "strerror", None) or type(error).__name__
    return SourceAway(f"{where}: {words}")
