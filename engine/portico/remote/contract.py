"""What is asked of a server that holds files, whatever its protocol.

Every verb connects when it has to, and may raise: ConnectionError when the server cannot be
reached or has gone, FileNotFoundError, FileExistsError, or another OSError with the server's
refusal in words of ours. No error's text holds a name of a file.
"""

from collections.abc import AsyncIterator
from typing import BinaryIO, NamedTuple, Protocol


class ListedFile(NamedTuple):
    """A file of a listing. size in bytes; changed: nanoseconds since 1970 UTC, 0: unknown.

    regular: neither a folder nor a link nor anything else, as far as the server tells.
    """

    name: str
    size: int
    changed: int
    regular: bool


class Unproven(ConnectionError):
    """The server has not shown that it is the one we want. word: `host_key`, or `tls_` and the
    word of a failed handshake.
    """

    def __init__(self, word: str, text: str) -> None:
        super().__init__(text)
        self.word = word


class Remote(Protocol):
    """One session. where: `user@host:port`, for people."""

    where: str

    async def connect(self) -> None:
        """Log in, unless it is logged in."""
        ...

    def scan(self, folder: str) -> AsyncIterator[ListedFile]:
        """What lies in a folder, without `.` and `..`, in any order."""
        ...

    async def entry(self, path: str) -> ListedFile | None:
        """What lies there, links not followed; None when nothing does."""
        ...

    async def fetch(self, path: str, into: BinaryIO, most: int) -> None:
        """Write the file's bytes into that file, at most one more than `most`."""
        ...

    async def store(self, path: str, content: bytes) -> None:
        """Write a file anew, on the server's disk where the server can say so."""
        ...

    async def rename(self, old: str, new: str) -> None:
        """Raises FileExistsError when the new name is taken, where the server tells."""
        ...

    async def replace(self, old: str, new: str) -> None:
        """Rename over what has the name now, in one step where the server can."""
        ...

    async def remove(self, path: str) -> None:
        """Remove a file."""
        ...

    async def folder(self, path: str) -> None:
        """Make a folder, unless it is there."""
        ...

    async def close(self) -> None:
        """Log out. Never raises."""
        ...
