"""What is shipped is the package and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel's file names, built here without a network."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    [file] = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_package_only(wheel):
    """No tests, no site, no bench: one import package and its metadata."""
    tops = {name.split("/")[0] for name in wheel}

    assert {t for t in tops if not t.endswith(".dist-info")} == {"portico"}
    assert not [n for n in wheel if "tests" in Path(n).parts and n.endswith(".py")]


def test_the_wheel_holds_every_file_of_the_package(wheel):
    """Types, migrations, named SQL and scaffolds travel with the code."""
    package = ROOT / "engine/portico"
    files = {
        f"portico/{file.relative_to(package)}"
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }

    assert "portico/py.typed" in wheel
    assert files <= wheel


def test_the_wheel_carries_its_licence(wheel):
    """Apache-2.0 asks that its text travels along."""
    assert [name for name in wheel if name.endswith("LICENSE")]
