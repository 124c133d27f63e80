"""The mains fail: what was acknowledged is on the disk, and so is what a destination took."""

import asyncio
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from drills.drill import Drill, Plan
from drills.message import Sent
from drills.mutants import Mutant
from drills.power import Power

pytestmark = [
    pytest.mark.drill,
    pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: cc"),
]

SHELF = """\
---
destination: shelf
type: folder
path: shelf
file: "{MSH-10}.hl7"
retry: {first: 50ms, most: 500ms}
"""
UNSAFE = Mutant(
    "an unsafe database is trusted",
    "power",
    'for name in ("fsync", "full_page_writes", "synchronous_commit"):',
    "for name in ():",
)
UNSYNCED = Mutant(
    "a file gets its name before it is on the disk",
    "power",
    "            os.setxattr(file, _MARK, owner.encode())\n        os.fsync(file)\n",
    "            os.setxattr(file, _MARK, owner.encode())\n",
)
UNNAMED = Mutant(
    "a file's name is not on the disk",
    "power",
    "                os.unlink(part, dir_fd=at)\n            os.fsync(at)\n",
    "                os.unlink(part, dir_fd=at)\n",
)


@dataclass
class Mains:
    """A drill whose engine and PostgreSQL can lose their power."""

    drill: Drill
    power: Power

    @property
    def shelf(self) -> Path:
        """The folder that one destination fills."""
        return self.drill.site.root / "shelf"

    async def cut(self) -> None:
        """Nobody has time for a last word; then look at the journal and at the shelf."""
        drill, engine = self.drill, self.drill.appliance
        everybody = [engine.pid, *engine.workers(), engine.zygote(), *engine.cluster()]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            await drill.fault(everybody, number)
        await engine._gone()
        drill.kills.append(time.monotonic())
        await self._settled(everybody)
        self.power.cut()
        await drill.inspect()
        since = time.monotonic()
        await engine.start()
        await drill.recover(since)

    async def _settled(self, pids: list[int]) -> None:
        async with asyncio.timeout(10):
            while any(Path(f"/proc/{pid}/root").exists() for pid in pids if pid):
                await asyncio.sleep(0.01)

    async def shelved(self) -> list[str]:
        """What is wrong with the files: each acknowledged message once, whole."""
        wanted = {one.sent.control_id: one.sent for one in self.drill.source.acknowledged}
        for _ in range(100):
            there = {path.stem.removesuffix("-2") for path in self.shelf.glob("*.hl7")}
            if wanted.keys() <= there:
                break
            await asyncio.sleep(0.1)
        found = [f"{name} is not on the shelf" for name in sorted(wanted.keys() - there)[:5]]
        for name, sent in wanted.items():
            path = self.shelf / f"{name}-2.hl7"
            if path.exists() and not whole(path.read_bytes(), sent):
                found.append(f"{name} is torn: {path.stat().st_size} bytes")
        left = [path.name for path in self.shelf.iterdir() if path.name.startswith(".")]
        return found[:5] + [f"left behind: {name}" for name in left[:5]]


def whole(got: bytes, sent: Sent) -> bool:
    """The stamped message, all of it."""
    return got == sent.content.removesuffix(b"|\r") + b"|STAMPED\r"


def mains(
    ground: Path, seed: int, *options: str, mutant: Mutant | None = None, lies: bool = False
) -> Mains:
    """On a disk of its own. options: of `postgres`."""
    drill = Drill(ground / "disk", seed, Plan(pace=0.005, patience=20))
    power = Power(ground / "power", ground / "disk", drill.chance, lies)
    power.wrap(*options)
    environ = power.environ("engine")
    if mutant is not None:
        environ["PYTHONPATH"] = str(mutant.put(ground / "mutant"))
    drill.appliance.environ |= environ
    drill.site.configure(f"journal: {{binaries: {power.binaries}}}\n")
    drill.site.write(SHELF)
    text = drill.site.channels.read_text().replace(
        "  - send: lab\n", "  - send: lab\n  - send: shelf\n"
    )
    drill.site.channels.write_text(text)
    return Mains(drill, power)


async def cuts(one: Mains, times: int) -> None:
    """So many power cuts under load, and what the oracle and the shelf say."""
    drill = one.drill
    async with drill:
        await drill.load()
        for _ in range(times):
            await drill.run(0.3, 1.5)
            await one.cut()
        assert one.power.undone, "nothing was undone: the tool does not work"
        await drill.verify()
        assert not (found := await one.shelved()), drill.told(found)


def titled(how: "str | Mutant") -> str:
    """How a test of it is called."""
    return how if isinstance(how, str) else how.name


async def test_twenty_power_cuts_lose_nothing(ground, seed, record):
    """P1, F3: un-fsynced writes and names of PostgreSQL and of the folder destination are
    undone, all or some; nothing acknowledged is missing, no file is missing or torn."""
    one = mains(ground, seed)
    await cuts(one, int(os.environ.get("DRILL_KILLS", "20")))
    print(f"{one.power.undone} writes and names undone")
    record(one.drill)


@pytest.mark.parametrize("how", ["fsync off", "lies", UNSYNCED, UNNAMED], ids=titled)
async def test_a_power_cut_finds_what_is_not_on_the_disk(ground, seed, verdict, how):
    """The tool works: a database with fsync off, a disk that lies, and a folder destination
    without its fsyncs each lose something."""
    one = {
        "fsync off": lambda: mains(ground, seed, "-c", "fsync=off", mutant=UNSAFE),
        "lies": lambda: mains(ground, seed, lies=True),
    }.get(how, lambda: mains(ground, seed, mutant=how))()
    one.power.always = True
    told = None
    try:
        with pytest.raises(AssertionError) as found:
            await cuts(one, 3)
        told = found.value
    finally:
        verdict(titled(how), "power", told)
