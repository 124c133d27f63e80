"""What drills share. Seed and length come from the environment, and are printed."""

import ctypes
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# The harness is imported as `drills.source`; with importmode importlib nothing adds its place.
from drills.drill import Drill

_results: list[str] = []
_BEGAN = time.monotonic()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long drills run when they are asked for (`-m drill`), never beside other tests."""
    if "drill" in config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("drill")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """No drill begins once the time that was given is over (DRILL_MINUTES)."""
    minutes = os.environ.get("DRILL_MINUTES")
    if minutes and time.monotonic() - _BEGAN > float(minutes) * 60:
        pytest.skip(f"the {minutes} minutes are over")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each drill: what was done, and what came of it."""
    for line in _results:
        terminalreporter.write_line(line)


@pytest.fixture
def seed() -> int:
    """DRILL_SEED, or one that nobody knows before."""
    given = os.environ.get("DRILL_SEED")
    number = int(given) if given else int.from_bytes(os.urandom(3), "big")
    print(f"DRILL_SEED={number}")
    return number


@pytest.fixture
def ground(request: pytest.FixtureRequest, memory_folder: Path) -> Iterator[Path]:
    """A folder for a drill: in memory for the short ones, on a disk for the long ones."""
    long = request.node.get_closest_marker("drill") is not None
    where = Path(tempfile.gettempdir()) if long else memory_folder
    folder = Path(tempfile.mkdtemp(prefix="portico-drill-", dir=where))
    folder.chmod(0o755)  # where namespaces are denied PostgreSQL is another user
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def record(request: pytest.FixtureRequest) -> object:
    """Call it with a Drill: its result is printed at the end."""

    def keep(drill: Drill) -> None:
        _results.append(f"{request.node.name}: {drill.result()}")

    return keep


@pytest.fixture
def verdict(seed: int) -> object:
    """Call it with a defect, its drill and what the drill found: printed at the end."""

    def keep(name: str, drill: str, found: object) -> None:
        said = str(found).splitlines()[0] if found else "NOBODY NOTICED"
        _results.append(f"{name}: {drill}: {said}")

    return keep


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 640 MB of its own; only root may mount one."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tmp_path / "disk"
    folder.mkdir()
    options = b"size=640m,mode=0755"
    if os.geteuid() != 0 or libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, options):
        pytest.skip("no right to mount a small file system")
    yield folder
    libc.umount2(bytes(folder), 2)
