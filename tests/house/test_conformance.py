"""docs/conformance.md and the tests say the same."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/conformance.md").read_text()
SITE = (ROOT / "docs/site.md").read_text()
COUNTS = {"M": 9, "R": 3, "A": 14, "B": 6, "E": 6, "C": 5, "T": 6, "W": 7, "I": 5, "F": 7}
IDS = [f"{letter}{n}" for letter, count in COUNTS.items() for n in range(1, count + 1)]


class Row(NamedTuple):
    """A row of the page. tests: node ids."""

    id: str
    does: str
    options: list[str]
    tests: list[str]


def rows():
    """Every row, in the order of the page."""
    cells = re.findall(r"^\| ([A-Z]\d+) \| (.+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.M)
    return [
        Row(name, does, re.findall(r"`([^`]+)`", options), re.findall(r"`([^`]+)`", tests))
        for name, does, options, tests in cells
    ]


@cache
def promises(file):
    """The docstring of each test of a file, by its name; none of a test that may fail."""
    tree = ast.parse((ROOT / file).read_text())
    return {
        node.name: ast.get_docstring(node) or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not any("xfail" in ast.unparse(mark) for mark in node.decorator_list)
    }


def test_every_id_has_one_row():
    """Nothing that the engine is held to is left unsaid."""
    assert [row.id for row in rows()] == IDS


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_a_row_that_holds_names_its_tests_and_one_that_does_not_says_what_is_missing(row):
    """A claim has a test; `not yet` has a reason and claims nothing."""
    missing = re.match(r"not yet: \w.{8,}", row.does)

    assert bool(row.tests) is not bool(missing)
    assert missing or not row.does.startswith("not yet")


@pytest.mark.parametrize("row", [row for row in rows() if row.tests], ids=lambda row: row.id)
def test_the_tests_of_a_row_exist_and_one_of_them_names_its_id(row):
    """By pytest node id; the id stands in the promise of the test."""
    named = [node.partition("::") for node in row.tests]
    found = {node: promises(file).get(node) for file, _, node in named}

    assert None not in found.values(), found
    assert any(re.search(rf"\b{row.id}\b", promise) for promise in found.values()), found


@pytest.mark.parametrize("row", [row for row in rows() if row.options], ids=lambda row: row.id)
def test_the_options_of_a_row_are_the_site_languages(row):
    """Whoever reads the row finds the option."""
    assert [one for one in row.options if f"\n| `{one}` |" not in SITE] == []
