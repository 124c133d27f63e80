"""Counts kept as plain numbers come out as Prometheus text that its own parser reads."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
from prometheus_client.parser import text_string_to_metric_families

from portico.events import metrics as metrics_module
from portico.events.emit import Event
from portico.events.families import COUNTERS, GAUGES, HISTOGRAMS
from portico.events.metrics import Metrics
from portico.events.site import ChannelFailed


def samples(metrics):
    """Sample values by name and labels."""
    text = metrics.exposition().decode()
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_counters_add_up_by_label():
    """What was received and acknowledged is told per channel and code."""
    metrics = Metrics()
    metrics.received("adt_in")
    metrics.received("adt_in", 4)
    metrics.acknowledged("adt_in", "AA", 3)
    metrics.acknowledged("adt_in", "AR")
    said = samples(metrics)

    assert said["portico_received_total", (("channel", "adt_in"),)] == 5
    assert said["portico_acknowledged_total", (("channel", "adt_in"), ("code", "AA"))] == 3
    assert said["portico_acknowledged_total", (("channel", "adt_in"), ("code", "AR"))] == 1


def test_a_histogram_is_cumulative_and_a_bound_belongs_to_its_bucket():
    """`le` means less than or equal; +Inf holds everything; the sum is exact."""
    metrics = Metrics()
    for rows in (1, 2, 3, 10_000):
        metrics.flushed(rows, 0.002)
    said = samples(metrics)
    name = "portico_journal_flush_rows"

    assert said[f"{name}_bucket", (("le", "1.0"),)] == 1
    assert said[f"{name}_bucket", (("le", "2.0"),)] == 2
    assert said[f"{name}_bucket", (("le", "512.0"),)] == 3
    assert said[f"{name}_bucket", (("le", "+Inf"),)] == 4
    assert said[f"{name}_count", ()] == 4
    assert said[f"{name}_sum", ()] == 10_006


def test_sessions_and_deliveries_are_counted_and_timed():
    """Microseconds come in, seconds go out, as Prometheus asks."""
    metrics = Metrics()
    metrics.session("reports", "deliver", 1_500)
    metrics.delivered("lab", "retried", 2_000_000)
    said = samples(metrics)

    assert said["portico_sessions_total", (("agent", "reports"), ("verdict", "deliver"))] == 1
    assert said["portico_session_seconds_sum", (("agent", "reports"),)] == 0.0015
    outcome = (("destination", "lab"), ("outcome", "retried"))
    assert said["portico_deliveries_total", outcome] == 1
    assert said["portico_delivery_seconds_sum", (("destination", "lab"),)] == 2


def test_gauges_are_read_at_the_scrape():
    """A gauge costs nothing between two scrapes and is never stale."""
    metrics, depth = Metrics(), {"his": 3}
    metrics.gauge("queue_depth", {"destination": "his"}, lambda: depth["his"])
    metrics.gauges("workers", lambda: {("busy",): 1, ("idle",): 2})

    assert samples(metrics)["portico_queue_depth", (("destination", "his"),)] == 3
    depth["his"] = 9
    said = samples(metrics)
    assert said["portico_queue_depth", (("destination", "his"),)] == 9
    assert said["portico_workers", (("state", "idle"),)] == 2


def test_a_gauge_that_fails_is_left_out_and_counted():
    """One broken reader never costs the operator the rest of the page."""
    metrics = Metrics()
    metrics.gauge("queue_depth", {"destination": "his"}, lambda: 1 / 0)
    metrics.received("adt_in")
    said = samples(metrics)

    assert ("portico_queue_depth", (("destination", "his"),)) not in said
    assert said["portico_received_total", (("channel", "adt_in"),)] == 1
    failures = ("portico_gauge_failures_total", (("gauge", "portico_queue_depth"),))
    assert said[failures] == 1


def test_an_unknown_gauge_or_label_is_refused():
    """Names stand in one table, which the documentation lists."""
    with pytest.raises(KeyError):
        Metrics().gauge("no_such", {}, lambda: 1)
    with pytest.raises(KeyError):
        Metrics().gauge("queue_depth", {"lane": "x"}, lambda: 1)


def test_events_are_counted_under_their_labels():
    """One dataclass is one log line and its counter; its text is no label."""
    metrics = Metrics()
    metrics.event(ChannelFailed("lab", "wire.listen_failed", "port in use"))
    [(key, value)] = [
        (dict(labels), v)
        for (n, labels), v in samples(metrics).items()
        if n == "portico_events_total"
    ]

    assert value == 1
    assert key["event"] == "channel_failed"
    assert key["level"] == "error"
    assert key["channel"] == "lab"
    assert key["code"] == "wire.listen_failed"
    assert "port in use" not in key.values()


def test_labels_that_a_peer_makes_up_are_bounded():
    """A peer that answers with ever new codes fills one series called other."""
    metrics = Metrics()
    extra = 50
    for n in range(metrics_module.MOST_SERIES + extra):
        metrics.acknowledged("adt_in", f"X{n}")
    said = samples(metrics)

    assert (
        said["portico_acknowledged_total", (("channel", "other"), ("code", "other"))] == extra
    )


def test_an_event_without_a_label_it_names_cannot_pass():
    """A misspelt label is found by the first test that emits the event."""

    @dataclass(frozen=True, slots=True)
    class Misspelt(Event):
        labels: ClassVar[tuple[str, ...]] = ("chanel",)

    with pytest.raises(AttributeError):
        Metrics().event(Misspelt())


def test_every_family_is_on_the_page_before_anything_happened():
    """A dashboard finds its metrics on an idle engine."""
    text = Metrics().exposition().decode()

    for family in (*COUNTERS, *HISTOGRAMS, *GAUGES):
        assert f"# HELP {family.name} " in text
