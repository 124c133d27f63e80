"""deploy/: dashboards and alert rules name only metrics, labels and words that there are."""

import importlib
import json
import pkgutil
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import portico.events
from portico.events import render
from portico.events.emit import Event
from portico.events.families import COUNTERS, GAUGES, HISTOGRAMS

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
RULES = YAML(typ="safe").load(DEPLOY / "prometheus/portico.rules.yml")
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]

LABELS = {
    **{family.name: set(family.labels) for family in (*COUNTERS, *GAUGES)},
    **{
        f"{family.name}{end}": {*family.labels, *more}
        for family in HISTOGRAMS
        for end, more in (("_bucket", ("le",)), ("_sum", ()), ("_count", ()))
    },
    "process_cpu_seconds_total": set(),
    "process_resident_memory_bytes": set(),
    "process_open_fds": set(),
    "process_max_fds": set(),
    "up": {"job"},
}
SCRAPED = {"instance", "job"}  # what Prometheus itself adds


def events():
    """The names of all events."""
    for module in pkgutil.iter_modules(portico.events.__path__):
        importlib.import_module(f"portico.events.{module.name}")
    return {render.name(kind) for kind in Event.__subclasses__()}


def wrong(expression):
    """What an expression names that there is not: metrics, labels, events."""
    found = []
    bare = re.sub(r'"[^"]*"', '""', expression)
    metrics = re.findall(r"\b(?:portico|process)_\w+|\bup\b", bare)
    known = set().union(*(LABELS.get(metric, set()) for metric in metrics)) | SCRAPED
    found += [metric for metric in metrics if metric not in LABELS]
    for metric, selector in re.findall(r"(\w+)\{([^}]*)\}", expression):
        names = re.findall(r"(\w+)\s*[=!]~?", re.sub(r'"[^"]*"', '""', selector))
        found += [name for name in names if name not in LABELS.get(metric, set()) | SCRAPED]
        for told in re.findall(r'event=~?"([^"]*)"', selector):
            found += [name for name in told.split("|") if name not in events()]
    for group in re.findall(r"by \(([^)]*)\)", expression):
        found += [name for name in re.split(r"[,\s]+", group) if name not in known]
    if not metrics:
        found.append("no metric")
    return found


def test_a_wrong_name_would_be_found():
    """The check itself can fail: a metric, a label, a grouping and an event that are not."""
    assert wrong("portico_received")
    assert wrong('portico_received_total{destination="x"}')
    assert wrong("sum by (code) (portico_received_total)")
    assert wrong('portico_events_total{event="worker_dead"}')
    assert not wrong('sum by (channel) (rate(portico_received_total{channel=~"$c"}[5m]))')


def queries(board):
    """Every expression of a dashboard, with the legend that shows it."""
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_dashboard_shows_what_is_measured(path):
    """Each panel's metrics, selectors, groups and legends exist, also in its variables."""
    board = json.loads(path.read_text())
    asked = list(queries(board))
    variables = [
        re.search(r"label_values\((\w+), (\w+)\)", each["query"]["query"]).groups()
        for each in board["templating"]["list"]
        if each["type"] == "query"
    ]

    assert {title: wrong(text) for title, text, _ in asked if wrong(text)} == {}
    for _, text, legend in asked:
        metrics = re.findall(r"\bportico_\w+", re.sub(r'"[^"]*"', '""', text))
        shown = set(re.findall(r"\{\{(\w+)\}\}", legend))
        assert shown <= set().union(*(LABELS[metric] for metric in metrics))
    assert all(label in LABELS[metric] for metric, label in variables)


def test_the_dashboards_are_those_that_are_promised():
    """Overview, channel, destination, workers, journal; no two panels or ids alike."""
    boards = [json.loads(path.read_text()) for path in BOARDS]

    assert {path.stem for path in BOARDS} == {
        "overview", "channel", "destination", "workers", "journal",
    }  # fmt: skip
    assert len({board["uid"] for board in boards}) == len(boards)
    for board in boards:
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_watches_what_is_measured(rule):
    """Its expression and the labels that its words show exist; it has a severity."""
    metrics = re.findall(r"\bportico_\w+|\bup\b", re.sub(r'"[^"]*"', '""', rule["expr"]))
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))

    assert wrong(rule["expr"]) == []
    assert shown <= set().union(*(LABELS[metric] for metric in metrics)) | SCRAPED
    assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_every_kind_of_alarm_reaches_an_alert():
    """One rule takes the kinds that stop the engine, another all the rest."""
    (critical,) = [r for r in ALERTS if r["alert"] == "PorticoJournal"]
    (rest,) = [r for r in ALERTS if r["alert"] == "PorticoAlarm"]
    named = re.search(r'kind=~"([^"]*)"', critical["expr"])[1]

    assert f'kind!~"{named}"' in rest["expr"]
