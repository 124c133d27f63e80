"""docs/examples.md: what it shows passes `check`, and what it says to type is what kits say."""

import re
from pathlib import Path

import pytest

from portico import catalog
from portico.check.site import examine
from portico.cli import init, kit
from portico.spec.finding import Severity

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/examples.md").read_text()
TYPES, WHOLE = PAGE.split("## Ten whole interfaces")
BLOCKS = {
    section.partition("\n")[0]: re.findall(r"```(yaml|sh)\n(.*?)```", section, re.DOTALL)
    for section in TYPES.split("\n## ")[1:]
}
INTERFACES = sorted((ROOT / "tests/check/interfaces").glob("*.yaml"))
FILED = "---\n{destination: filed, type: folder, path: var/filed}\n"


@pytest.fixture
def site(tmp_path):
    """A site of all kits without their channels: settings, certificates, secrets, samples."""
    folder = tmp_path / "site"
    init.init(folder, [kit.ALL])
    for file in folder.glob("channels/*"):
        file.unlink()
    return folder


@pytest.mark.parametrize("title", BLOCKS)
def test_every_block_passes_check(site, title):
    """Whoever copies one into a site of `init` meets no finding."""
    [yaml] = [text for kind, text in BLOCKS[title] if kind == "yaml"]
    filed = FILED if "to: filed" in yaml or "send: filed" in yaml else ""
    if "destination: filed" in yaml:
        filed = ""
    (site / "channels/example.yaml").write_text(yaml + filed)

    found, findings = examine(site, {})

    assert [str(f) for f in findings if f.severity is not Severity.INFO] == []
    assert found is not None


def test_every_source_and_destination_is_shown():
    """A type without an example is a type that nobody finds."""
    text = "\n".join(text for blocks in BLOCKS.values() for kind, text in blocks)
    types = set(re.findall(r"type: ([a-z-]+)", text))

    assert {*catalog.listeners_named(), *catalog.destinations_named()} <= types


@pytest.mark.parametrize("name", kit.KITS)
def test_what_is_typed_is_what_the_kit_says(name):
    """Those lines run against an appliance in tests/cli/test_kit_running.py."""
    readme = init.files([name])["README.md"].decode().partition(f"## {name}\n")[2]
    lines = [line[4:] for line in readme.splitlines() if line.startswith("    ")]
    typed = "".join(text for blocks in BLOCKS.values() for kind, text in blocks if kind == "sh")

    assert lines
    assert [line for line in lines if line not in typed.splitlines()] == []


@pytest.mark.parametrize("file", INTERFACES, ids=lambda file: file.stem)
def test_the_ten_interfaces_are_shown_as_they_are_checked(file):
    """tests/check/test_interfaces.py holds each of them against `check`."""
    assert f"```yaml\n{file.read_text().strip()}\n```" in WHOLE
