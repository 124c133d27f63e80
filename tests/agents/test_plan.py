"""portico.agents.plan and .sources: compiling, and versions."""

import subprocess
import sys

import pytest

from portico.agents.plan import compile_plan, version_of
from portico.errors import ConfigError

HEAD = "agent: a\ngoal: to try it\non: {channel: in}\n"


def agent(site, steps, more=""):
    """The agent's document; its steps begin in line 5."""
    site.read(f"{HEAD}{more}steps:\n{steps}")
    return site.documents["a"]


def test_a_plan_that_cannot_work_names_file_line_and_step(site):
    """And what would be right."""
    agent(site, "  - send: x\n  - lookup: {table: t, key: PID-3}\n")

    with pytest.raises(ConfigError, match=r"^channels/a\.yaml:6 lookup_1: .*tables/t\.csv"):
        site.plan("a")


def test_a_verb_of_nowhere_says_so(site):
    """`check` says it earlier; a plan never guesses."""
    agent(site, "  - sned: x\n")

    with pytest.raises(ConfigError, match="is no verb"):
        site.plan("a")


def test_an_inner_step_is_named_not_its_outer_one(site):
    """The line is that of the step that is wrong."""
    agent(
        site,
        "  - split:\n      at: OBR\n      steps:\n        - send: {to: x, bodi: PID-5}\n",
    )

    with pytest.raises(ConfigError, match=r"^channels/a\.yaml:8 send_1: bodi"):
        site.plan("a")


def test_tables_of_conditions_are_read_when_the_plan_is_made(site):
    """A missing table is found before the first message."""
    agent(site, "  - filter: {keep: {any: [{PID-8: {not: {in_table: sexes}}}]}}\n")
    with pytest.raises(ConfigError, match="no transforms/tables/sexes"):
        site.plan("a")
    site.write("transforms/tables/sexes.csv", "code\nM\n")
    assert site.run("a", b"MSH|^~\\&|A||||||ADT^A01|1|P|2.5\rPID||||||||F\r").step == ""


def test_a_version_changes_with_what_the_agent_is_made_of(site):
    """Its document, its transforms, what they import of the site, the tables they name."""
    helper = site.module("X = 1\n")
    site.write("pack/__init__.py", "")
    site.write("pack/near.py", "Y = 1\n")
    module = site.module(
        f"import json\nimport {helper}\nfrom pack import near\n"
        "from portico.authoring import table\n\ndef go(msg):\n    table('codes')\n"
    )
    site.write("transforms/tables/codes.csv", "a,b\n")
    site.write("other.py", "")
    agent(site, f"  - python: {module}:go\n")
    document = site.documents["a"]
    seen = {version_of(document, site.root)}

    for name, text in [
        (f"{module}.py", (site.root / f"{module}.py").read_text() + "# changed\n"),
        (f"{helper}.py", "X = 2\n"),
        ("pack/near.py", "Y = 2\n"),
        ("pack/__init__.py", "Z = 1\n"),
        ("transforms/tables/codes.csv", "a,b\n1,2\n"),
    ]:
        site.write(name, text)
        seen.add(version_of(document, site.root))
    assert len(seen) == 6

    site.write("other.py", "changed = True\n")
    assert version_of(document, site.root) in seen
    seen.add(version_of(document | {"limits": {"time": 1}}, site.root))
    assert len(seen) == 7


def test_a_relative_import_belongs_to_the_version(site):
    """`from . import near` in a package of the site."""
    package = site.module("")
    (site.root / f"{package}.py").unlink()
    site.write(f"{package}/__init__.py", "")
    site.write(f"{package}/near.py", "Y = 1\n")
    site.write(f"{package}/far.py", "from .near import Y\n\ndef go(msg): pass\n")
    agent(site, f"  - python: {package}.far:go\n")
    before = version_of(site.documents["a"], site.root)

    site.write(f"{package}/near.py", "Y = 2\n")
    assert version_of(site.documents["a"], site.root) != before


def test_moving_a_step_to_another_line_is_no_new_version(site):
    """Comments and blank lines are not what an agent does; `split: {at: ...}` is."""
    versions = []
    for moved, at in [("", "OBR"), ("\n# a comment\n", "OBR"), ("", "OBX")]:
        document = agent(site, f"{moved}  - split: {{at: {at}, steps: [{{send: x}}]}}\n")
        versions.append(version_of(document, site.root))

    assert versions[0] == versions[1] != versions[2]


def test_a_version_is_found_without_running_site_code(site):
    """The engine process computes it, and never imports a transform."""
    module = site.module("raise SystemExit('imported')\n\ndef go(msg): pass\n")
    agent(site, f"  - python: {module}:go\n")

    version = version_of(site.documents["a"], site.root)
    assert len(version) == 16
    assert int(version, 16) >= 0
    assert module not in sys.modules


def test_the_plan_carries_the_version(site):
    """What the worker runs is what the engine recorded."""
    module = site.module("def go(msg): pass\n")
    agent(site, f"  - python: {module}:go\n")
    plan = site.plan("a")

    assert plan.version == version_of(site.documents["a"], site.root)
    assert plan.agent == "a"


def test_a_worker_loads_only_the_verbs_of_its_agent():
    """A site pays for what it uses."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom portico.agents.plan import compile_plan\n"
        "step = {'verb': 'send', 'name': 's', 'args': 'x', 'on_error': None}\n"
        "compile_plan({'agent': 'a', 'on': {'channel': 'c'}, 'steps': [step]}, Path('.'))\n"
        "print([m for m in sys.modules if m in ('portico.steps.map', 'twisted', 'psycopg')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_limits_that_last_forever_are_taken(site):
    """`time: forever` reaches the worker as null."""
    document = agent(site, "  - send: x\n", "limits: {time: forever}\n")
    document["limits"] = document["limits"] | {"time": None}

    assert compile_plan(document, site.root).limits.time > 10**16
