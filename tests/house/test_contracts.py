"""The floors hold: import-linter's contracts run with the tests."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]


def missing_rooms():
    """Modules that a contract names and nobody has built yet."""
    layers = next(c for c in CONTRACTS if c["type"] == "layers")["layers"]
    rooms = {room.strip("() ") for layer in layers for room in layer.split("|")}
    named = {f"portico.{room}" for room in rooms} | {
        module.removesuffix(".**")
        for contract in CONTRACTS
        for module in contract.get("source_modules", [])
        if module.startswith("portico")
    }
    paths = {name: ROOT / "engine" / name.replace(".", "/") for name in named}
    return {n for n, p in paths.items() if not (p.is_dir() or p.with_suffix(".py").exists())}


def test_no_import_runs_upward():
    """Every contract of pyproject.toml is kept."""
    if absent := missing_rooms():
        pytest.skip(f"the contracts name rooms that are not built yet: {sorted(absent)}")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as main; main()",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    broken = re.findall(r"^.* BROKEN$", done.stdout, re.M)

    assert broken == [], done.stdout
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_stands_on_a_floor():
    """The layers name each package and ground module: a new room chooses its floor."""
    [layers] = [c for c in CONTRACTS if c["type"] == "layers"]
    rooms = {room.strip("() ") for layer in layers["layers"] for room in layer.split("|")}
    package = ROOT / "engine/portico"
    built = {
        p.stem
        for p in package.iterdir()
        if (p.suffix == ".py" and not p.stem.startswith("__")) or (p / "__init__.py").exists()
    }

    assert layers["exhaustive"]
    assert built <= rooms
