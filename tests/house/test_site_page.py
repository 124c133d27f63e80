"""docs/site.md is the language that the engine reads: every option, and no other."""

import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

from portico.check.site import examine
from portico.destinations import table as destinations
from portico.listeners import table as listeners
from portico.spec.agent import Agent
from portico.spec.channel import Channel
from portico.spec.destination import Destination
from portico.spec.fields import Later, Options
from portico.spec.plugin import Plugin
from portico.spec.site import Config
from portico.steps import table as steps

PAGE = (Path(__file__).parents[2] / "docs/site.md").read_text()
NOUNS = {
    "channel": Channel,
    "agent": Agent,
    "destination": Destination,
    "config/portico.yaml": Config,
    "plugin": Plugin,
}
TYPES = {
    **{f"source: {name}": where for name, where in listeners.LISTENERS.items()},
    **{f"destination: {name}": where for name, where in destinations.DESTINATIONS.items()},
    **{f"step: {name}": where for name, where in steps.STEPS.items()},
}


def options_of(model, prefix=""):
    """Every key of a shape, nested ones dotted: key to whether it comes later."""
    found = {}
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        if (field.alias or name) not in model.keys():
            continue
        if inspect.isclass(field.annotation) and issubclass(field.annotation, Options):
            found |= options_of(field.annotation, f"{key}.")
        else:
            found[key] = any(isinstance(mark, Later) for mark in field.metadata)
    return found


def section(heading):
    """The text below a heading of the page, up to the next one."""
    match = re.search(rf"^##+ {re.escape(heading)}$(.*?)(?=^##+ |\Z)", PAGE, re.M | re.S)
    assert match, f"docs/site.md has no section {heading!r}"
    return match[1]


def rows(heading):
    """Option to whether the page marks it as later."""
    found = re.findall(r"^\| `([\w.]+)` \|(.*)\|$", section(heading), re.M)
    return {key: "*later*" in rest.split("|")[1][:10] for key, rest in found}


@pytest.mark.parametrize("heading", NOUNS)
def test_every_key_of_a_noun_is_explained(heading):
    """A key is on the page, and is marked later exactly when the engine cannot do it yet."""
    model = NOUNS[heading]

    assert rows(heading) == {k: v for k, v in options_of(model).items() if k != "options"}


@pytest.mark.parametrize("heading", TYPES)
def test_every_option_of_a_type_is_explained(heading):
    """The same for the options of each source, step and destination type."""
    module, _, name = TYPES[heading].partition(":")
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not built yet")
    described = rows(heading)
    model = getattr(importlib.import_module(module), name).options

    if heading == "step: route":
        assert described == {}
    else:
        assert described == options_of(model)


@pytest.mark.parametrize("name", [*listeners.PLANNED, *destinations.PLANNED, *steps.PLANNED])
def test_what_is_planned_is_marked(name):
    """A reader never takes a type that comes later for one that runs."""
    lines = [line for line in PAGE.splitlines() if f"`{name}`" in line]

    assert any("*later*" in line for line in lines)


def test_the_interface_at_the_top_passes_check(tmp_path):
    """Whoever copies the first lines of the page meets no finding."""
    shown = re.search(r"```yaml\n(.*?)```", PAGE, re.S)
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels/all.yaml").write_text(shown[1])

    assert [str(finding) for finding in examine(tmp_path, {})[1]] == []
