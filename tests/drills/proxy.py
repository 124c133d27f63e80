"""Between the engine and its database: a link that can be cut at the worst moment."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

_READY = b"Z\x00\x00\x00\x05"  # ReadyForQuery: the server has committed and says so
_WRITER = b"portico writer"


class Proxy:
    """A Unix socket in `folder` that leads to another server's, by its conninfo.

    conninfo: of the same database by this way. cuts: how many flushes were cut.
    """

    def __init__(self, folder: Path, conninfo: str) -> None:
        known = conninfo_to_dict(conninfo)
        self._target = Path(str(known["host"])) / f".s.PGSQL.{known.get('port') or 5432}"
        if not self._target.exists():
            pytest.skip("the journal's server has no Unix socket here")
        self.folder = folder
        self.conninfo = make_conninfo(conninfo, host=str(folder), port=5432)
        self.cuts = 0
        self._armed = ""
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()
        self._open.set()

    async def start(self) -> None:
        """Listen as PostgreSQL on port 5432 would."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / ".s.PGSQL.5432"
        self._server = await asyncio.start_unix_server(self._serve, path)

    async def stop(self) -> None:
        """No more."""
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Every connection ends at once."""
        for link in tuple(self._links):
            link.transport.abort()

    def arm(self, what: str) -> None:
        """The writer's next flush: `answer` cuts when the commit's answer comes, `question`
        lets half of the flush through."""
        self._armed = what

    async def freeze(self, seconds: float) -> None:
        """Nothing passes for so long; nothing is lost."""
        self._open.clear()
        await asyncio.sleep(seconds)
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far, out = await asyncio.open_unix_connection(self._target)
            hello = await reader.read(65536)
            out.write(hello)
            link = {writer, out}
            self._links |= link
            mine = _WRITER in hello
            await asyncio.gather(
                self._pass(reader, out, mine and "question", link),
                self._pass(far, writer, mine and "answer", link),
                return_exceptions=True,
            )
            self._links -= link

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        way: str | bool,
        link: set[asyncio.StreamWriter],
    ) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 20):
                await self._open.wait()
                if way and self._armed == way and (way == "question" or _READY in data):
                    self._armed = ""
                    self.cuts += 1
                    if way == "question":
                        sink.write(data[: len(data) // 2])
                        await asyncio.sleep(0.01)
                    break
                sink.write(data)
                await sink.drain()
        for one in link:
            one.transport.abort()
