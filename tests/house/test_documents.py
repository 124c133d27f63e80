"""What an operator looks up is written down, and nothing is written down that is not there."""

import dataclasses
import importlib
import importlib.util
import pkgutil
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import portico.events
from portico import errors
from portico.check.codes import CODES
from portico.events import render
from portico.events.emit import Event
from portico.events.families import COUNTERS, EVENTS, GAUGES, HISTOGRAMS

DOCS = Path(__file__).parents[2] / "docs"


def below(root):
    """A class's subclasses of the package, however deep."""
    for child in root.__subclasses__():
        if child.__module__.startswith("portico."):
            yield child
        yield from below(child)


def every_event():
    """Every event class; they live in portico.events and nowhere else.

    A slotted dataclass replaces the class it decorates, so only what its module holds counts.
    """
    for module in pkgutil.iter_modules(portico.events.__path__):
        importlib.import_module(f"portico.events.{module.name}")
    kinds = {
        k for k in below(Event) if getattr(sys.modules[k.__module__], k.__name__, None) is k
    }
    return sorted(kinds, key=lambda kind: kind.__name__)


def fields(kind):
    """The names of an event's fields."""
    return [f.name for f in dataclasses.fields(kind)]


def test_every_error_code_is_explained():
    """docs/errors.md lists each code with the class that carries it, and no other."""
    importlib.import_module("portico.plugins.faults")  # a room's own, below the tree
    importlib.import_module("portico.llm.contract")
    importlib.import_module("portico.workers.faults")
    classes = {*below(errors.PorticoError), errors.PorticoError}
    page = (DOCS / "errors.md").read_text().partition("## What `portico check` says")[0]
    said = re.findall(r"^\| `([\w.]+)` \| `(\w+)` \|", page, re.M)

    assert sorted(said) == sorted((c.code, c.__name__) for c in classes)


def test_every_finding_code_is_explained():
    """docs/errors.md lists what `portico check` can say of a site's files, in its own words."""
    page = (DOCS / "errors.md").read_text()
    section = page.partition("## What `portico check` says")[2]
    rows = {f"| `{code}` | {meaning} |" for code, meaning in CODES.items()}
    listed = set(re.findall(r"^\| `.*\|$", section, re.M))

    assert listed == rows


def table(page):
    """The rows of a page's tables as they stand."""
    return set(re.findall(r"^\| `.*\|$", (DOCS / page).read_text(), re.M))


def words(names):
    """`one`, `two`; or none."""
    return ", ".join(f"`{name}`" for name in names) or "none"


def test_every_event_is_listed_with_its_level_and_fields():
    """docs/events.md is what stands in the log, and says what the docstrings say."""
    rows = {
        f"| `{render.name(kind)}` | {kind.level} | {words(fields(kind))} "
        f"| {' '.join(kind.__doc__.split())} |"
        for kind in every_event()
    }

    assert table("events.md") == rows, "lines to add or to take away stand in the difference"


@pytest.mark.parametrize("kind", every_event(), ids=lambda kind: kind.__name__)
def test_an_events_labels_are_fields_that_may_be_labels(kind):
    """Labels are channel, agent, destination or code: never an id, a peer or a text."""
    allowed = set(EVENTS.labels) - {"event", "level"}

    assert set(kind.labels) <= set(fields(kind)) & allowed
    assert kind.level in render.LEVELS


@pytest.mark.parametrize("kind", every_event(), ids=lambda kind: kind.__name__)
def test_no_event_has_room_for_a_body(kind):
    """Bytes may be a message, so no event holds any; its docstring says what happened."""
    types = [str(f.type) for f in dataclasses.fields(kind)]

    assert not any("bytes" in t or "memoryview" in t for t in types)
    assert kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}(")


def test_events_live_in_one_room():
    """An operator's vocabulary is read in one place."""
    engine = Path(errors.__file__).parent
    elsewhere = [
        file.name
        for file in engine.rglob("*.py")
        if file.parent.name != "events"
        and re.search(r"^class \w+\(Event\)", file.read_text(), re.M)
    ]

    assert elsewhere == []


def test_every_metric_is_listed_with_its_kind_and_labels():
    """docs/metrics.md is what the scrape shows."""
    kinds = {"counter": COUNTERS, "histogram": HISTOGRAMS, "gauge": GAUGES}
    rows = {
        f"| `{family.name}` | {kind} | {words(family.labels)} | {family.help} |"
        for kind, families in kinds.items()
        for family in families
    }

    assert table("metrics.md") == rows


def test_metric_names_say_their_unit():
    """Prometheus naming: counters end in _total, times in _seconds."""
    assert all(
        family.name.startswith("portico_") for family in (*COUNTERS, *HISTOGRAMS, *GAUGES)
    )
    assert all(family.name.endswith("_total") for family in COUNTERS)
    assert all(family.name.endswith(("_seconds", "_rows")) for family in HISTOGRAMS)


def every_command():
    """The commands of the command line's own table."""
    return importlib.import_module("portico.cli.table").COMMANDS


def described(name):
    """The section of a command in docs/commands.md, or an empty text."""
    page = DOCS / "commands.md"
    if not page.exists():
        pytest.skip("docs/commands.md is not written yet")
    section = re.search(
        rf"^## `portico {name}`$(.*?)(?=^## |\Z)", page.read_text(), re.M | re.S
    )
    return section[1] if section else ""


@pytest.mark.parametrize("name", every_command())
def test_every_command_and_option_is_explained(name):
    """docs/commands.md has a section for each command that names all its options."""
    module = every_command()[name].where.partition(":")[0]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"the command {name} ({module}) is not built yet")
    command = importlib.import_module("portico.cli.main").load(name)
    options = {max(p.opts, key=len) for p in command.params if p.opts[0].startswith("-")}
    section = described(name)

    assert section
    assert {o for o in options - {"--help"} if not re.search(rf"`{o}[` =,]", section)} == set()


def test_no_command_is_explained_that_does_not_exist():
    """A reader never types what is not there."""
    page = DOCS / "commands.md"
    if not page.exists():
        pytest.skip("docs/commands.md is not written yet")
    sections = re.findall(r"^## `portico ([\w-]+)`$", page.read_text(), re.M)

    assert set(sections) == set(every_command())


def every_route():
    """`GET /v1/status` to the parameters of its query and body."""
    resources = importlib.import_module("portico.api.resources")
    api = resources.build(SimpleNamespace(tell=None)).openapi()
    shapes = api["components"]["schemas"]
    for path, verbs in api["paths"].items():
        for verb, route in verbs.items():
            body = route.get("requestBody", {}).get("content", {}).get("application/json", {})
            shape = shapes.get(body.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
            query = {one["name"] for one in route.get("parameters", ()) if one["in"] == "query"}
            yield f"{verb.upper()} {path}", query | set(shape.get("properties", ()))


def test_every_route_and_parameter_of_the_api_is_explained():
    """docs/api.md lists each route, and no other, and names what may be said to it."""
    page = (DOCS / "api.md").read_text()
    routes = dict(every_route())

    assert sorted(re.findall(r"^\| `([A-Z]+ /[^`]+)`", page, re.M)) == sorted(routes)
    words = set(re.findall(r"\w+", page))
    assert {name for names in routes.values() for name in names} - words == set()
