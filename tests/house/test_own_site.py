"""The repository's root is itself a site that runs."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from portico.cli.table import COMMANDS
from portico.spec import document

ROOT = Path(__file__).parents[2]
CHANNELS = sorted((ROOT / "channels").glob("*.yaml"))
TRANSFORMS = sorted((ROOT / "transforms").rglob("*.py"))
PAGES = sorted(
    p for p in [*ROOT.glob("*.md"), *ROOT.glob("[des]*/**/*.md")] if ".venv" not in p.parts
)


def portico(name, *arguments):
    """A command of ours, run as an operator would; skipped until it is built."""
    module = COMMANDS[name].where.partition(":")[0]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"portico {name} ({module}) is not built yet")
    return subprocess.run(
        [sys.executable, "-m", "portico", name, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_the_site_passes_check():
    """What we show is right by our own rules, without a warning."""
    done = portico("check", "--site", ".")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout


def test_the_sites_cases_pass():
    """Every case runs through the real agents in real workers."""
    done = portico("test", "--site", ".")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", CHANNELS, ids=lambda f: f.name)
def test_every_document_is_read_and_named_by_its_noun(file):
    """No file holds an alias, a tag, a repeated key or a document without a noun."""
    documents, findings = document.read(file, file.name)

    assert findings == []
    assert documents


def test_every_channel_has_cases():
    """A channel without a case is a channel that nobody tried."""
    found = {"channel": set(), "case": set()}
    for file in CHANNELS:
        for each in document.read(file, file.name)[0]:
            if each.noun in found:
                found[each.noun].add(each.value["channel"])

    assert found["channel"] == found["case"]


def test_every_sample_that_a_case_names_is_there():
    """A case never fails for want of its message."""
    named = re.findall(r"samples/[\w./]+\.hl7", "".join(f.read_text() for f in CHANNELS))

    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("module", TRANSFORMS, ids=lambda f: f.name)
def test_a_transform_imports_authoring_and_nothing_else_of_the_engine(module):
    """What an author may rely on is one module."""
    tree = ast.parse(module.read_text())
    froms = [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module]
    plain = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    ours = {name for name in [*froms, *plain] if name.split(".")[0] == "portico"}

    assert ours <= {"portico.authoring"}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_page_that_a_page_names_is_there(page):
    """No reader is sent to a page that does not exist."""
    named = set(
        re.findall(
            r"(?<![\w/.])(?:docs|deploy|engine|samples|tests)/[\w./-]+\.(?:md|py)",
            page.read_text(),
        )
    )
    missing = {name for name in named if not (ROOT / name).exists()}
    if missing == {"docs/commands.md"}:
        pytest.skip("docs/commands.md is not written yet")

    assert missing == set()
