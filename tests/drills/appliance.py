"""The engine as an operator has it: a process, its children, its signals, its data folder."""

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2

from drills.places import SiteFolder

_READY = 60.0


class Appliance:
    """One engine on a site. journal: a conninfo, empty for the embedded PostgreSQL.

    environ: what else its process finds in its environment.
    """

    def __init__(
        self,
        site: SiteFolder,
        data: Path,
        journal: str = "",
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.site, self.data = site, data
        self.log = data.with_suffix(".log")
        self.environ = {
            name: value for name, value in os.environ.items() if not name.startswith("PORTICO_")
        } | {
            "PORTICO_DATA": str(data),
            "PORTICO_METRICS": f"127.0.0.1:{site.metrics}",
            **environ,
        }
        if journal:
            self.environ["PORTICO_JOURNAL_URL"] = journal
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The engine's process id; 0 while there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else 0

    async def launch(self) -> None:
        """Start the process without waiting for anything."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "portico", "run", "--site", str(self.site.root)),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=log,
                env=self.environ,
                cwd=self.site.root,
            )

    async def ready(self, within: float = _READY) -> float:
        """Wait for its word; the seconds that took."""
        assert self._process is not None and self._process.stdout is not None
        began = time.monotonic()
        async with asyncio.timeout(within):
            line = await self._process.stdout.readline()
        assert line == b"ready\n", f"it said {line!r}, and: {self.log.read_text()[-1500:]}"
        return time.monotonic() - began

    async def start(self) -> None:
        """Launch it and wait until every channel listens."""
        await self.launch()
        await self.ready()

    async def kill(self) -> None:
        """SIGKILL: no last words."""
        os.kill(self.pid, signal.SIGKILL)
        await self._gone()

    async def stop(self, within: float = 30.0) -> int:
        """SIGTERM; the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        async with asyncio.timeout(within):
            return await self._gone()

    async def end(self) -> None:
        """Whatever it does: over."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)
            await self.kill()

    async def _gone(self) -> int:
        """Wait for the end; its standard output is read to the end first."""
        assert self._process is not None and self._process.stdout is not None
        await self._process.stdout.read()
        return await self._process.wait()

    def tell(self, number: signal.Signals) -> None:
        """Send the engine a signal."""
        os.kill(self.pid, number)

    def zygote(self) -> int:
        """The workers' parent; 0 while it is being replaced."""
        found = (pid for pid in children(self.pid) if "portico.workers" in command(pid))
        return next(found, 0)

    def workers(self) -> list[int]:
        """The workers alive now."""
        parent = self.zygote()
        return children(parent) if parent else []

    def postmaster(self) -> int:
        """The embedded PostgreSQL; 0 while it is down."""
        found = (pid for pid in children(self.pid) if "/postgres" in command(pid))
        return next(found, 0)

    def backends(self) -> list[int]:
        """PostgreSQL's processes that serve this engine's connections."""
        top = self.postmaster()
        return [pid for pid in children(top) if "[local]" in command(pid)] if top else []

    def cluster(self) -> list[int]:
        """All of PostgreSQL's processes, the postmaster first."""
        top = self.postmaster()
        return [top, *children(top)] if top else []

    async def status(self) -> dict[str, Any]:
        """`portico status --json`."""
        told: dict[str, Any] = json.loads(await self.ask("status", "--json"))
        return told

    async def metrics(self) -> str:
        """What Prometheus would scrape."""
        url = f"http://{self.environ['PORTICO_METRICS']}/metrics"
        async with httpx2.AsyncClient(trust_env=False) as client:
            return (await client.get(url)).raise_for_status().text

    async def ask(self, *arguments: str) -> bytes:
        """A command's standard output."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "portico", *arguments, "--site", str(self.site.root)),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=self.environ,
        )
        out, said = await process.communicate()
        assert process.returncode == 0, said.decode()
        return out

    def events(self, name: str) -> list[str]:
        """Lines of its log about one kind of event."""
        text = self.log.read_text(errors="replace")
        return [line for line in text.splitlines() if f"event={name} " in f"{line} "]


def children(pid: int) -> list[int]:
    """Processes whose parent is this one (proc(5), stat)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            _, _, rest = stat.read_text(errors="replace").rpartition(")")
            if int(rest.split()[1]) == pid:
                found.append(int(stat.parent.name))
    return sorted(found)


def command(pid: int) -> str:
    """A process's command line; empty when it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


async def until(what: Any, within: float = 30.0, why: str = "") -> None:
    """Wait until `what()` is true."""
    async with asyncio.timeout(within):
        try:
            while not what():
                await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            if why:
                raise AssertionError(f"not within {within:g} s: {why}") from None
            raise
