"""portico.hl7.names: what the standard calls a field."""

import importlib.util
import subprocess
import sys
from pathlib import Path as File

import pytest

from portico.hl7 import names
from portico.hl7.names import Name
from portico.hl7.path import Path

ROOT = File(__file__).parents[2]


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("PID-5", "PID-5 Patient Name"),
        ("PID-5[2].1", "PID-5[2].1 Family Name"),
        ("PID-5.1.1", "PID-5.1.1 Surname"),
        ("PID-7", "PID-7 Date/Time of Birth"),
        ("MSH-10", "MSH-10 Message Control ID"),
        ("OBX[*2=ED]-5", "OBX[*2=ED]-5 Observation Value"),
        ("PID-8.1", "PID-8.1 Administrative Sex"),
        ("OBX-5.3", "OBX-5.3 Observation Value"),
        ("ZPI-1", "ZPI-1"),
        ("PID-99", "PID-99"),
        ("PID", "PID"),
    ],
)
def test_a_place_has_the_name_of_the_standard(path, label):
    """The innermost place that has one of its own; a Z segment has none."""
    assert names.label(Path.parse(path), "2.5.1") == label


def test_names_and_types_are_those_of_the_messages_version():
    """They changed over thirty years."""
    assert names.field("PID", 5, "2.2") == Name("PN", "Patient Name")
    assert names.field("PID", 5, "2.5") == Name("XPN", "Patient Name")
    assert names.field("OBX", 3, "2.5.1").type == "CE"
    assert names.field("OBX", 3, "2.8").type == "CWE"
    assert names.component("XPN", 1, "2.3").text == "Family Name"


def test_the_version_is_a_hint():
    """An unknown one is the newest; a field of another version keeps its name."""
    assert names.field("OBX", 3, "9.9") == names.field("OBX", 3, "2.8.2")
    assert names.field("OBX", 3) == names.field("OBX", 3, "2.8.2")
    assert names.field("PID", 35, "2.1").text == "Species Code"
    assert names.field("PID", 2, "2.8") is not None


def test_the_file_is_what_its_program_makes():
    """`python tools/names.py` makes it from hl7apy's tables; nobody edits it."""
    made = importlib.util.spec_from_file_location("tools_names", ROOT / "tools/names.py")
    tool = importlib.util.module_from_spec(made)
    made.loader.exec_module(tool)

    file = ROOT / "engine/portico/hl7/names.tsv"
    assert file.read_text(encoding="ascii") == tool.table()
    assert file.stat().st_size < 300_000


def test_names_are_read_when_they_are_asked_for():
    """A worker that shows nothing pays nothing."""
    code = (
        "import portico.hl7.names as n; before = n._table.cache_info().currsize;"
        "n.field('PID', 5); print(before, n._table.cache_info().currsize)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0", "1"]
