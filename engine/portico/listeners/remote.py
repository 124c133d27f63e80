"""A folder of a server, as a place to take files from, whatever the server's protocol.

A claim is a rename into a hidden folder beside the files (F2), as in local.py. A file is
brought over whole before it is cut: into memory, a large one into a temporary file that has no
name. What is no regular file is not taken, and names that hold a slash are not believed (F7).
"""

import asyncio
import posixpath
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import BinaryIO, cast

from portico.errors import FileLeft, SourceAway
from portico.language import filename
from portico.listeners.tray import CHUNK, FileSeen, claim_folder, reply_name
from portico.remote.contract import ListedFile, Remote, Unproven
from portico.spec.fetching import PollSource

_TRIES = 10  # names that look free and are not
_NUMBERS = 1 << 30  # names beyond are not looked for
_IN_MEMORY = 1 << 20  # bytes of a file that are kept in memory


class RemoteTray:
    """One folder of one server: a Tray. scratch: where large files lie while they are read."""

    def __init__(self, remote: Remote, source: PollSource, scratch: str | None = None) -> None:
        self._remote, self._source, self._scratch = remote, source, scratch
        self._path = source.path.rstrip("/") or "/"
        self._claims, self._made = "", False
        self.where = f"{remote.where}{'' if source.path[0] == '/' else '/'}{self._path}"
        self.where = self.where.rstrip("/")

    async def open(self, mark: str) -> None:
        """Log in, and make the folders that claims and finished files need."""
        try:
            await self._remote.connect()
            if self._made:
                return
            if self._source.replies:
                await self._remote.folder(self._at(self._source.replies))
            if self._source.after.way == "keep":
                self._made = True
                return
            self._claims = self._at(claim_folder(mark))
            await self._remote.folder(self._claims)
            if self._source.after.way == "move":
                await self._remote.folder(self._at(self._source.after.path))
        except OSError as error:
            raise self._away(error) from None
        self._made = True

    async def left(self) -> list[FileSeen]:
        """What an earlier life had claimed."""
        found: list[FileSeen] = []
        if self._claims:
            async for chunk in self._scan(self._claims):
                found += (FileSeen(one.name, one.size, one.changed, True) for one in chunk)
        return sorted(found, key=lambda one: (one.changed, one.name))

    async def look(self) -> AsyncIterator[list[FileSeen]]:
        """Every regular file."""
        async for chunk in self._scan(self._path):
            yield [FileSeen(one.name, one.size, one.changed) for one in chunk]

    async def take(self, found: FileSeen) -> BinaryIO | None:
        """Claim it, and bring it over."""
        path = self._at(found.name)
        try:
            if self._claims:
                path = posixpath.join(self._claims, found.name)
                if not found.claimed and not await self._claim(found.name, path):
                    return None
            if not _as_seen(await self._remote.entry(path), found):
                await self.give_back(found)
                return None
            return await self._fetched(path, found)
        except ConnectionError as error:
            raise self._away(error) from None
        except FileNotFoundError:
            return None
        except OSError as error:
            with suppress(OSError):
                await self.give_back(found)
            raise FileLeft("unreadable", found.size, str(error)) from None

    async def give_back(self, found: FileSeen) -> None:
        """Undo the claim; where that fails, it is found among our claims."""
        if self._claims:
            path = posixpath.join(self._claims, found.name)
            with suppress(OSError):
                await self._remote.rename(path, self._at(found.name))

    async def reply(self, found: FileSeen, content: BinaryIO) -> None:
        """Temporary name, then renamed over an earlier one."""
        folder, name = self._at(self._source.replies), reply_name(found.name)
        part = posixpath.join(folder, f".{name}.part")
        try:
            await self._remote.store(part, await asyncio.to_thread(content.read))
            await self._remote.replace(part, posixpath.join(folder, name))
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                self._made = False  # the folder is gone
            raise FileLeft("unfinished", found.size, str(error)) from None

    async def finish(self, found: FileSeen) -> None:
        """Marker first, so that a file that comes under the name waits for its own."""
        if not self._claims:
            return
        claimed = posixpath.join(self._claims, found.name)
        try:
            if self._source.ready.suffix:
                with suppress(FileNotFoundError):
                    await self._remote.remove(self._at(found.name + self._source.ready.suffix))
            try:
                if self._source.after.way == "delete":
                    await self._remote.remove(claimed)
                else:
                    await self._move(claimed, found.name)
            except FileNotFoundError as error:
                if not await self._gone(claimed):
                    raise OSError(str(error)) from None
        except OSError as error:
            raise FileLeft("unfinished", found.size, str(error)) from None

    async def wait(self, seconds: float) -> None:
        """No server tells when something new lies there."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Log out."""
        self._made = False
        await self._remote.close()

    def _at(self, name: str) -> str:
        return posixpath.join(self._path, name)

    async def _scan(self, folder: str) -> AsyncIterator[list[ListedFile]]:
        chunk: list[ListedFile] = []
        try:
            async for one in self._remote.scan(folder):
                if one.regular:
                    chunk.append(one)
                if len(chunk) >= CHUNK:
                    yield chunk
                    chunk = []
        except OSError as error:
            raise self._away(error) from None
        yield chunk

    async def _claim(self, name: str, path: str) -> bool:
        """False when another has it, or an earlier file of that name is not finished yet."""
        try:
            await self._remote.rename(self._at(name), path)
        except FileExistsError:
            return False
        except ConnectionError:
            raise
        except OSError as error:
            if isinstance(error, FileNotFoundError) and await self._gone(self._at(name)):
                return False
            raise FileLeft("unclaimed", 0, str(error)) from None
        return True

    async def _gone(self, path: str) -> bool:
        """Whether a file that cannot be found is no more. Where it is there, a folder of ours
        is not, which is made at the next look; or an FTP server says so to permissions."""
        if await self._remote.entry(path) is None:
            return True
        self._made = False
        return False

    async def _fetched(self, path: str, found: FileSeen) -> BinaryIO | None:
        file = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=self._scratch))
        try:
            await self._remote.fetch(path, file, found.size)
        except FileNotFoundError as error:
            if await self._gone(path):
                return None
            raise OSError(str(error)) from None
        if file.tell() == found.size:
            file.seek(0)
            return file
        file.close()
        await self.give_back(found)
        return None

    async def _move(self, claimed: str, name: str) -> None:
        """Under a name that is free, unless others are always faster."""
        folder = self._at(self._source.after.path)
        for _ in range(_TRIES):
            path = posixpath.join(folder, await self._free(folder, name))
            with suppress(FileExistsError):
                await self._remote.rename(claimed, path)
                return
        raise FileExistsError("every name is taken")

    async def _free(self, folder: str, name: str) -> str:
        """A name that is free there. Its number is found by halves: each look is a round trip,
        and a name that comes each hour has thousands in a year."""

        def candidate(number: int) -> str:
            return filename.numbered(name, number) if number else name

        async def taken(number: int) -> bool:
            path = posixpath.join(folder, candidate(number))
            return await self._remote.entry(path) is not None

        below, free = -1, 0
        while free < _NUMBERS and await taken(free):
            below, free = free, 2 * free + 1
        while free - below > 1:
            middle = (below + free) // 2
            if await taken(middle):
                below = middle
            else:
                free = middle
        return candidate(free)

    def _away(self, error: OSError) -> SourceAway:
        away = SourceAway(f"{self.where}: {error}")
        away.word = error.word if isinstance(error, Unproven) else ""
        return away


def _as_seen(entry: ListedFile | None, found: FileSeen) -> bool:
    """A listing may tell the time less exactly than a look at one file: size must agree, and
    the time to the minute."""
    if entry is None or not entry.regular or entry.size != found.size:
        return False
    return abs(entry.changed - found.changed) < 60_000_000_000 or not entry.changed
