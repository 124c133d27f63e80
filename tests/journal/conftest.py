"""Embedded servers of the journal tests' own, which they may stop, freeze and kill."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from portico.clock import SystemClock
from portico.events.emit import Event
from portico.journal import binaries
from portico.journal.embedded import Embedded
from portico.journal.folder import Folder

PROGRAMS = binaries.find()


class Appliance:
    """An embedded PostgreSQL, its folder, and what it emitted."""

    def __init__(self, path: Path, programs: binaries.Binaries = PROGRAMS) -> None:
        self.events: list[Event] = []
        self.folder = Folder(path)
        self.server = Embedded(self.folder, programs, self.events.append, SystemClock())

    def of(self, kind: type) -> list:
        """The events of that kind."""
        return [event for event in self.events if isinstance(event, kind)]

    async def close(self) -> None:
        """Stop and unlock."""
        await self.server.stop()
        self.folder.close()


@pytest.fixture
async def appliance(data: Path) -> AsyncIterator[Callable[..., Appliance]]:
    """Makes appliances (not started) on this test's data folder; closes them after it."""
    made = []

    def make(path: Path = data, **options) -> Appliance:
        made.append(Appliance(path, **options))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def passable(memory_folder: Path) -> Iterator[Path]:
    """A folder of this test's own, on a path that every user may pass, with a space in it."""
    top = Path(tempfile.mkdtemp(prefix="with space ", dir=memory_folder))
    top.chmod(0o755)
    yield top
    shutil.rmtree(top)


@pytest.fixture(scope="session")
async def _made(memory_folder: Path) -> Path:
    """A data folder that was made once, to be copied."""
    one = Appliance(memory_folder / "made")
    await one.server.start()
    await one.close()
    return one.folder.path


@pytest.fixture
def data(_made: Path, passable: Path) -> Path:
    """A data folder that was used and stopped before."""
    return shutil.copytree(_made, passable / "data")
