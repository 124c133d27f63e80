"""One running appliance for every test of this room."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

# The harness is imported as `conformance.words`; importmode importlib adds no place of its own.
from conformance.appliance import Appliance, Whole

A = TypeVar("A", bound=Appliance)


@contextmanager
def running(memory_folder: Path, make: Callable[[Path], A]) -> Iterator[A]:
    """An appliance in a folder of its own; it must end well."""
    folder = Path(tempfile.mkdtemp(prefix="conformance-", dir=memory_folder))
    folder.chmod(0o755)  # where namespaces are denied PostgreSQL is another user
    made = make(folder)
    made.start()
    yield made
    assert made.stop() == 0, made.log.read_text()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def appliance(memory_folder: Path) -> Iterator[Whole]:
    """The one that runs for all tests of this room."""
    with running(memory_folder, Whole) as made:
        yield made


@pytest.fixture
def appliance_of(memory_folder: Path) -> Iterator[Callable[[str, dict[str, int]], Appliance]]:
    """Starts one with other documents: `appliance_of(text, ports)`."""
    with ExitStack() as stack:
        yield lambda text, ports: stack.enter_context(
            running(memory_folder, lambda folder: Appliance(folder, text, ports))
        )
