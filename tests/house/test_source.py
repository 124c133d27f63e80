"""Habits of the house that a machine can check."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "engine/portico"
MODULES = sorted([*ENGINE.rglob("*.py"), *(ROOT / "transforms").rglob("*.py")])
TESTS = sorted(
    [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "transforms").rglob("test_*.py")]
)
BANNED = {
    "utils",
    "util",
    "common",
    "helpers",
    "misc",
    "base",
    "manager",
    "handler",
    "processor",
}
LONGEST = 350
PAUSE = 0.1  # seconds

# Spelt in parts, so that this file is not a finding of its own.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("crates", "io"),
        ("proxy.golang", "org"),
    )
]
ADDRESSES = re.compile(r"^ *(-i|--index-url|--extra-index-url|--find-links)[ =]", re.M)
MACHINE = re.compile(r"(?<![\w./~{}$-])/(?:work|farm|home|root|Users)/[\w.]")


def named(path):
    """A file as a test id: its place below the root."""
    return str(path.relative_to(ROOT))


def tracked():
    """Texts of every file in git, or of the tree when it is no clone."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if listed.returncode == 0:
        files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        hidden = {".venv", "var", ".git", "node_modules"}
        files = [f for f in ROOT.rglob("*") if not hidden & set(f.parts)]
    return {f: f.read_bytes().decode("latin-1") for f in files if f.is_file()}


def test_no_module_is_named_after_nothing():
    """A module is a noun: `listeners/mllp.py`, never a drawer for the rest."""
    names = {named(m) for m in MODULES if BANNED & {m.stem, m.parent.name}}

    assert names == set()


def test_no_file_is_longer_than_a_reader_holds():
    """A file that outgrows 350 lines is two nouns."""
    long = {named(m): n for m in MODULES if (n := len(m.read_text().splitlines())) > LONGEST}

    assert long == {}


@pytest.mark.parametrize("charter", sorted(ENGINE.rglob("__init__.py")), ids=named)
def test_a_packages_init_is_its_charter_and_nothing_else(charter):
    """One docstring says what lives here; only the root adds its version."""
    body = ast.parse(charter.read_text()).body
    rest = [ast.unparse(node).split(" ")[0] for node in body[1:]]

    assert isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    assert rest == (["__version__"] if charter.parent == ENGINE else [])


def test_every_package_has_a_charter():
    """No folder of the engine holds modules without saying what it is."""
    scripts = "migrations"  # read by Alembic from the folder, never imported
    folders = {m.parent for m in ENGINE.rglob("*.py") if scripts not in m.parts}

    assert {named(f) for f in folders if not (f / "__init__.py").exists()} == set()


@pytest.mark.parametrize("module", TESTS, ids=named)
def test_every_test_says_its_promise(module):
    """The name is a sentence, the docstring the promise; the file says what it is about."""
    tree = ast.parse(module.read_text())
    silent = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]

    assert ast.get_docstring(tree)
    assert silent == []


def seconds(call):
    """What a sleep is asked for; a name counts as long."""
    try:
        return float(ast.literal_eval(call.args[0]))
    except ValueError:
        return PAUSE


@pytest.mark.parametrize("module", [m for m in TESTS if "drills" not in m.parts], ids=named)
def test_no_test_sleeps(module):
    """A test waits for what happens; it pauses only in a loop that looks again, or a moment.

    A drill keeps load and fault up for as long as it says.
    """
    tree = ast.parse(module.read_text())
    loops = [n for n in ast.walk(tree) if isinstance(n, ast.While | ast.For | ast.AsyncFor)]
    polling = {id(node) for loop in loops for node in ast.walk(loop)}
    calls = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("time.sleep", "asyncio.sleep", "sleep")
        and id(node) not in polling
        and seconds(node) >= PAUSE
    ]

    assert calls == []


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_no_module_hides_an_arrow(module):
    """No TYPE_CHECKING imports and no relative ones: an arrow is an arrow."""
    tree = ast.parse(module.read_text())

    assert "TYPE_CHECKING" not in module.read_text()
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]


def test_no_file_names_a_path_of_one_machine():
    """What is in the tree runs anywhere."""
    found = {named(f): m[0] for f, text in tracked().items() if (m := MACHINE.search(text))}

    assert found == {}


def test_no_file_names_a_package_registry():
    """Which registry is used is the machine's setting; the lock holds hashes only."""
    found = {
        named(f)
        for f, text in tracked().items()
        if ADDRESSES.search(text) or any(host in text for host in REGISTRIES)
    }

    assert found == set()


def test_one_version_stands_everywhere():
    """The package, the project file and the change log agree."""
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    package = re.search(r'^__version__ = "(.+)"$', (ENGINE / "__init__.py").read_text(), re.M)[
        1
    ]

    assert project == package
    assert f"## {project}" in (ROOT / "CHANGELOG.md").read_text()
