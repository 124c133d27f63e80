"""One running appliance for every test of this room."""

import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

# The harness is imported as `conformance.words`; importmode importlib adds no place of its own.
sys.path.append(str(Path(__file__).parents[1]))

from conformance.appliance import Appliance


@pytest.fixture(scope="session")
def appliance(memory_folder: Path) -> Iterable[Appliance]:
    """The one that runs for all tests of this room; it must end well."""
    folder = Path(tempfile.mkdtemp(prefix="conformance-", dir=memory_folder))
    folder.chmod(0o755)  # where namespaces are denied PostgreSQL is another user
    made = Appliance(folder)
    made.start()
    yield made
    assert made.stop() == 0, made.log.read_text()
    shutil.rmtree(folder, ignore_errors=True)
