"""A session with an FTP server, passive, in plain text or with explicit TLS (RFC 4217).

One command at a time; data connections are protected like the control connection (PROT P) and
reuse its TLS session. FTP has no rename that fails where a name is taken: it is looked for
first, which two writers at the same moment can both pass. Source: RFC 959, 2389, 2428, 3659.
"""

import asyncio
import codecs
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar

import aioftp

from portico.errors import PorticoError
from portico.remote.contract import ListedFile, Unproven
from portico.remote.options import FtpOptions
from portico.tls import faults
from portico.tls.certificates import Certificates

T = TypeVar("T")

_CHUNK = 1 << 18
_CHARSET = "portico_ftp"
_SUM = re.compile(rb"(\S+ +\d+)?")
_DIR = re.compile(rb"(\d\d-\d\d-\d\d(?:\d\d)?) +(\d\d:\d\d[AP]M) +(<DIR>|\d+) +(.+)")


class Amiss(OSError):
    """A transfer that was broken off with what is wrong with it, in words of ours."""


class FtpSession:
    """A Remote. patience: seconds for connection and login together; context: gives the TLS
    context for the next session, None for plain text; silence: seconds in which the server has
    to answer a command or send a byte, None where the caller looks after that.
    """

    def __init__(
        self,
        options: FtpOptions,
        root: Path,
        environ: Mapping[str, str],
        patience: float,
        context: Callable[[], ssl.SSLContext] | None,
        silence: float | None = None,
    ) -> None:
        self.where = f"{options.user}@{options.address}"
        self._options, self._root, self._environ = options, root, environ
        self._patience, self._context, self._silence = patience, context, silence
        self._lock = asyncio.Lock()
        self._client: Any = None

    async def connect(self) -> None:
        """Log in, unless the session still answers."""
        async with self._lock:
            if self._client is not None:
                with suppress(Exception):
                    async with asyncio.timeout(self._patience):
                        await self._client.command("NOOP", "2xx")
                    return
                self._drop()
            await self._dial()

    async def scan(self, folder: str) -> AsyncIterator[ListedFile]:
        """What lies in a folder."""
        for entry in await self._asked(lambda client: _listed(client, folder)):
            yield entry

    async def entry(self, path: str) -> ListedFile | None:
        """What lies there; MLST, or the folder's listing where the server is old."""
        try:
            facts = await self._asked(lambda client: client.stat(path))
        except FileNotFoundError:
            return None
        return _entry(path.rpartition("/")[2], facts)

    async def fetch(self, path: str, into: BinaryIO, most: int) -> None:
        """Write the file's bytes into that file."""

        async def fetching(client: Any) -> None:
            got = 0
            async with client.download_stream(path) as stream:
                async for block in stream.iter_by_block(_CHUNK):
                    got += len(block)
                    if got > most + 1:
                        raise Amiss("the file grew while it was read")
                    into.write(block)

        await self._asked(fetching)

    async def store(self, path: str, content: bytes) -> None:
        """Write a file anew. FTP says nothing about the server's disk."""

        async def storing(client: Any) -> None:
            async with client.upload_stream(path) as stream:
                await stream.write(content)

        await self._asked(storing)

    async def rename(self, old: str, new: str) -> None:
        """Raises FileExistsError when the new name is taken."""
        if await self.entry(new) is not None:
            raise FileExistsError("the name is taken")
        await self._asked(lambda client: client.rename(old, new))

    async def replace(self, old: str, new: str) -> None:
        """In one step where the server overwrites; else the old file is put aside first, and
        back where the server will not rename."""
        try:
            await self._asked(lambda client: client.rename(old, new))
        except ConnectionError:
            raise
        except OSError:
            if await self.entry(new) is None:
                raise
            folder, slash, name = new.rpartition("/")
            aside = f"{folder}{slash}.{name}.old"
            if await self.entry(aside) is not None:  # of a try that was cut short
                await self.remove(aside)
            await self._asked(lambda client: client.rename(new, aside))
            try:
                await self._asked(lambda client: client.rename(old, new))
            except ConnectionError:
                raise
            except OSError:
                with suppress(OSError):
                    await self._asked(lambda client: client.rename(aside, new))
                raise
            with suppress(OSError):
                await self.remove(aside)

    async def remove(self, path: str) -> None:
        """Remove a file."""
        await self._asked(lambda client: client.remove_file(path))

    async def folder(self, path: str) -> None:
        """Make a folder, unless it is there."""
        if await self.entry(path) is None:
            await self._asked(lambda client: client.command(f"MKD {path}", "257"))

    async def close(self) -> None:
        """Log out."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):
                await asyncio.wait_for(client.quit(), 2)
            client.close()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):
                client.close()

    async def _asked(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """One command, or one transfer, at a time."""
        async with self._lock:
            if self._client is None:
                await self._dial()
            try:
                return await ask(self._client)
            except aioftp.StatusCodeError as error:
                raise _meant(error) from None
            except aioftp.errors.InvalidCommand:
                raise OSError("a name holds a line feed") from None
            except (aioftp.AIOFTPException, OSError, EOFError, UnicodeError) as error:
                self._drop()
                if isinstance(error, Amiss):
                    raise
                words = getattr(error, "strerror", None) or type(error).__name__
                raise ConnectionError(f"the connection was lost: {words}") from None

    async def _dial(self) -> None:
        options = self._options
        client = aioftp.Client(
            socket_timeout=self._silence,
            connection_timeout=self._patience,
            encoding=_charset(),
            parse_list_line_custom=_line,
            parse_list_line_custom_first=False,
        )
        try:
            password = await asyncio.to_thread(
                options.password.reveal, self._root, self._environ
            )
            async with asyncio.timeout(self._patience):
                await client.connect(options.address.host, options.address.port)
                if self._context is not None:
                    await client.upgrade_to_tls(self._context())
                await client.login(options.user, password)
        except (OSError, EOFError, aioftp.AIOFTPException, PorticoError, ValueError) as error:
            with suppress(Exception):
                client.close()
            why = _why(error, options.user)
            if isinstance(error, ssl.SSLError):
                raise Unproven(f"tls_{faults.of(error).word}", why) from None
            raise ConnectionError(why) from None
        self._client = client


def context_of(
    options: FtpOptions, certificates: Certificates
) -> Callable[[], ssl.SSLContext] | None:
    """What gives the context for the next session; None for plain text."""
    tls, held = options.tls, list[Any]()
    if tls is None:
        return None

    def context() -> ssl.SSLContext:
        if not held:
            held.append(certificates.client(tls))
        found: ssl.SSLContext = held[0].context
        return found

    return context


async def _listed(client: Any, folder: str) -> list[ListedFile]:
    found = []
    async for path, facts in client.list(folder):
        if path.name not in ("", ".", "..") and not set(path.name) & {"\r", "\n"}:
            found.append(_entry(path.name, facts))
    return found


def _line(b: bytes) -> tuple[PurePosixPath, Any]:
    """A line of LIST that aioftp cannot read: the sum that ls(1) puts first, which passes for
    the folder itself and is left out, or one of `dir` as IIS has it. Raises Amiss."""
    line = b.rstrip(b"\r\n")
    if _SUM.fullmatch(line):
        return PurePosixPath(), {"type": "sum"}
    found = _DIR.fullmatch(line)
    try:
        parts = found.groups() if found else ()
        day, hour, size, name = (part.decode(_charset()) for part in parts)
        form = "%m-%d-%y %I:%M%p" if len(day) == 8 else "%m-%d-%Y %I:%M%p"
        at = datetime.strptime(f"{day} {hour}", form).replace(tzinfo=UTC)
    except ValueError:
        raise Amiss("the server lists its files in a form that is not known") from None
    facts = {"type": "dir"} if size == "<DIR>" else {"type": "file", "size": size}
    return PurePosixPath(name), {"modify": f"{at:%Y%m%d%H%M%S}", **facts}


@cache
def _charset() -> str:
    """UTF-8 whose other bytes are kept by surrogates, both ways: names that are none, and
    what a server says in its country's words. aioftp takes the name of a codec and no more."""
    kept = codecs.CodecInfo(
        lambda text, _="": codecs.utf_8_encode(text, "surrogateescape"),
        lambda data, _="": codecs.utf_8_decode(data, "surrogateescape", True),
        name=_CHARSET,
    )
    codecs.register(lambda name: kept if name == _CHARSET else None)
    return _CHARSET


def _entry(name: str, facts: Mapping[str, Any]) -> ListedFile:
    changed = 0
    with suppress(ValueError):
        text = str(facts.get("modify", ""))[:14]
        moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        changed = int(moment.timestamp()) * 1_000_000_000
    size = str(facts.get("size", "0"))
    return ListedFile(
        name, int(size) if size.isdigit() else 0, changed, facts.get("type") == "file"
    )


def _meant(error: Any) -> OSError:
    code = str(error.received_codes[-1])
    if code == "550":
        return FileNotFoundError("there is no such file or folder, or no permission")
    if code == "421":
        return ConnectionError("the server ended the session")
    if code == "452" or code == "552":
        return OSError("the server's disk or quota is full")
    return OSError(f"the server refused with {code}")


def _why(error: Exception, user: str) -> str:
    """Why there is no session, for people; it holds no secret."""
    if isinstance(error, aioftp.StatusCodeError):
        code = str(error.received_codes[-1])
        if code == "530":
            return f"the server does not let {user!r} in"
        return f"the server refused the session with {code}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or type(error).__name__}"
    if isinstance(error, TimeoutError):
        return "no session in time"
    if isinstance(error, PorticoError):
        return str(error)
    return getattr(error, "strerror", None) or type(error).__name__
