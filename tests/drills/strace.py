"""A debugger at the engine's system calls: it counts them, and kills at the N-th of a kind."""

import asyncio
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path

FOUND = shutil.which("strace")
# What only looks at the clock or the process's own memory: a kill there is one a moment later.
INWARD = frozenset(("futex", "mmap", "munmap", "madvise", "brk", "mprotect", "sched_yield"))
_CALL = re.compile(r"^(\d+)\s+(\w+)\(")


class Strace:
    """Attached to a process and its threads until it is told to leave."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def attach(cls, pid: int, *options: str) -> "Strace":
        """Returns once every thread is watched."""
        assert FOUND is not None
        process = await asyncio.create_subprocess_exec(
            *(FOUND, "-f", *options, "-p", str(pid)), stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
        )
        assert process.stderr is not None
        async with asyncio.timeout(20):
            line = await process.stderr.readline()
        assert b"attached" in line, line
        return cls(process)

    async def leave(self) -> None:
        """Let the process go on alone."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.communicate()


async def counted(pid: int, log: Path, work: Awaitable[None]) -> Counter[str]:
    """How many calls of each kind one thread makes at most while this is done."""
    strace = await Strace.attach(pid, "-o", str(log))
    await work
    await strace.leave()
    calls: Counter[tuple[str, str]] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        if (found := _CALL.match(line)) and found[2] not in INWARD:
            calls[found[1], found[2]] += 1
    most: Counter[str] = Counter()
    for (_, name), count in calls.items():
        most[name] = max(most[name], count)
    return most


async def lay(pid: int, call: str, nth: int) -> Strace:
    """SIGKILL when a thread of the process enters this system call for the nth time."""
    inject = f"inject={call}:signal=SIGKILL:when={nth}"
    return await Strace.attach(pid, "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)
