"""What is counted: plain numbers on the hot path, Prometheus samples when somebody asks.

A count costs one dictionary access; the samples are made at the scrape. Labels are names
of the site and words of our own, never an id or a patient; a label that a peer could make
up (an answer's code) ends in `other` once a family has `MOST_SERIES` series.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from portico import __version__
from portico.events import render
from portico.events.emit import Event

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
MOST_SERIES = 1_000

_SECONDS = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    10.0,
    60.0,
)
_ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name, what it says, its labels; buckets make it a histogram."""

    name: str
    help: str
    labels: Key = ()
    buckets: tuple[float, ...] = ()


RECEIVED = Family("portico_received_total", "Signals that arrived", ("channel",))
ACKNOWLEDGED = Family("portico_acknowledged_total", "Answers by code", ("channel", "code"))
FLUSH_SECONDS = Family("portico_journal_flush_seconds", "One group commit", (), _SECONDS)
FLUSH_ROWS = Family("portico_journal_flush_rows", "Rows of one group commit", (), _ROWS)
SESSIONS = Family("portico_sessions_total", "Sessions by verdict", ("agent", "verdict"))
SESSION_SECONDS = Family("portico_session_seconds", "One session", ("agent",), _SECONDS)
DELIVERIES = Family(
    "portico_deliveries_total", "Attempts by outcome", ("destination", "outcome")
)
DELIVERY_SECONDS = Family(
    "portico_delivery_seconds", "From send to answer", ("destination",), _SECONDS
)
PROMPTS = Family(
    "portico_llm_calls_total",
    "Calls of language models by outcome",
    ("provider", "model", "agent", "outcome"),
)
PROMPT_SECONDS = Family(
    "portico_llm_seconds", "From a step's question to its answer", ("provider",), _SECONDS
)
TOKENS = Family(
    "portico_llm_tokens_total",
    "Tokens as providers count them; kind: input, output",
    ("provider", "model", "agent", "kind"),
)
COST = Family(
    "portico_llm_cost_total",
    "Money spent by the site's prices, in their currency",
    ("provider", "model", "agent"),
)
STALL = Family("portico_reactor_stall_seconds", "Lateness of a due call", (), _SECONDS)
PLUGIN_CALLS = Family(
    "portico_plugin_calls_total", "Calls of plugins by outcome", ("plugin", "outcome")
)
PLUGIN_SECONDS = Family(
    "portico_plugin_seconds", "One call, with its wait", ("plugin",), _SECONDS
)
TOOLS = Family(
    "portico_llm_tools_total",
    "Calls of tools that models wanted, by outcome",
    ("agent", "tool", "outcome"),
)
PLUGIN_STARTS = Family("portico_plugin_starts_total", "Processes started", ("plugin",))
PLUGIN_EXITS = Family("portico_plugin_exits_total", "Processes that ended", ("plugin", "code"))
EVENTS = Family(
    "portico_events_total",
    "Events by name and level; labels that an event has not are empty",
    ("event", "level", "channel", "agent", "destination", "code"),
)
UNREAD = Family("portico_gauge_failures_total", "Gauges that could not be read", ("gauge",))

PLUGIN_COUNTERS = (PLUGIN_CALLS, PLUGIN_STARTS, PLUGIN_EXITS)
COUNTERS = (
    RECEIVED,
    ACKNOWLEDGED,
    SESSIONS,
    DELIVERIES,
    EVENTS,
    UNREAD,
    *PLUGIN_COUNTERS,
    PROMPTS,
    TOKENS,
    COST,
    TOOLS,
)
HISTOGRAMS = (
    FLUSH_SECONDS,
    FLUSH_ROWS,
    SESSION_SECONDS,
    DELIVERY_SECONDS,
    STALL,
    PLUGIN_SECONDS,
    PROMPT_SECONDS,
)
GAUGES = (
    Family("portico_info", "Always 1; the version of the engine", ("version",)),
    Family("portico_connections", "Peers connected now", ("channel",)),
    Family("portico_waiting", "Signals journaled and not yet concluded", ("channel",)),
    Family("portico_queue_depth", "Deliveries not yet made", ("destination",)),
    Family("portico_queue_oldest_seconds", "Age of the oldest of them", ("destination",)),
    Family("portico_parked", "Signals or Deliveries that wait for a person", ("kind", "name")),
    Family("portico_workers", "Worker processes by state", ("state",)),
    Family("portico_plugin_processes", "Processes by state", ("plugin", "state")),
    Family("portico_plugin_queue", "Calls that wait for a process", ("plugin",)),
    Family("portico_plugin_memory_bytes", "Resident memory of its processes", ("plugin",)),
    Family("portico_plugin_cpu", "Seconds of CPU of its processes, ended too", ("plugin",)),
    Family("portico_alarm_open", "1 for each alarm that is open", ("kind", "scope", "name")),
    Family(
        "portico_wish",
        "1 for what the operator wants: running, paused, draining, stopped",
        ("scope", "name", "wish"),
    ),
    Family("portico_disk_free_bytes", "Room where the data folder lies"),
    Family("portico_journal_up", "1 while the journal can be written"),
    Family(
        "portico_certificate_expiry_timestamp_seconds",
        "When a certificate that we show ends, seconds since 1970",
        ("name",),
    ),
)


class Counts(dict[Key, float]):
    """A counter's series."""

    def add(self, key: Key, n: float) -> None:
        """Count; a new series beyond the bound is counted under `other`."""
        if key not in self and len(self) >= MOST_SERIES:
            key = ("other",) * len(key)
        self[key] = self.get(key, 0) + n


class Spread:
    """A histogram's one series: how many fell into each bucket, and their sum."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value; a bound belongs to its own bucket (`le`)."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound, as Prometheus wants them."""
        said, running = [], 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self.counts, strict=True):
            running += count
            said.append((bound, float(running)))
        return said


class Spreads(dict[Key, Spread]):
    """A histogram's series."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        super().__init__()
        self._bounds = bounds

    def __missing__(self, key: Key) -> Spread:
        return self.setdefault(key, Spread(self._bounds))


class Metrics(Collector):
    """Every number of one engine; one thread, the loop's, counts and reads."""

    def __init__(self) -> None:
        self._counts = {f: Counts() for f in COUNTERS}
        self._spreads = {f: Spreads(f.buckets) for f in HISTOGRAMS}
        self._gauges = {f.name: f for f in GAUGES}
        self._reads: dict[str, list[Callable[[], Mapping[Key, float]]]] = {}
        self._received = self._counts[RECEIVED]
        self._acknowledged = self._counts[ACKNOWLEDGED]
        self._sessions = self._counts[SESSIONS]
        self._deliveries = self._counts[DELIVERIES]
        self._flush_seconds = self._spreads[FLUSH_SECONDS][()]
        self._flush_rows = self._spreads[FLUSH_ROWS][()]
        self._session_seconds = self._spreads[SESSION_SECONDS]
        self._delivery_seconds = self._spreads[DELIVERY_SECONDS]
        self._stall = self._spreads[STALL][()]
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self.gauge("info", {"version": __version__}, lambda: 1.0)

    def received(self, channel: str, n: int = 1) -> None:
        """Signals of a channel arrived, whatever becomes of them."""
        self._received.add((channel,), n)

    def acknowledged(self, channel: str, code: str, n: int = 1) -> None:
        """Answers left. code: `AA`, `AR`, ..., or `silent`, `closed`."""
        self._acknowledged.add((channel, code), n)

    def flushed(self, rows: int, seconds: float) -> None:
        """One group commit returned."""
        self._flush_rows.add(rows)
        self._flush_seconds.add(seconds)

    def session(self, agent: str, verdict: str, micros: int) -> None:
        """A session concluded. micros: its time in the worker, microseconds."""
        self._sessions.add((agent, verdict), 1)
        self._session_seconds[(agent,)].add(micros / 1e6)

    def delivered(self, destination: str, outcome: str, micros: int) -> None:
        """An attempt ended. outcome: `delivered retried parked`; micros: send to answer."""
        self._deliveries.add((destination, outcome), 1)
        self._delivery_seconds[(destination,)].add(micros / 1e6)

    def plugin_called(self, plugin: str, outcome: str, seconds: float) -> None:
        """A call ended. outcome: `done`, or the last word of an error's code."""
        self._counts[PLUGIN_CALLS].add((plugin, outcome), 1)
        self._spreads[PLUGIN_SECONDS][(plugin,)].add(seconds)

    def tool_used(self, agent: str, tool: str, outcome: str) -> None:
        """A model's call of a tool ended. outcome: `ok`, or the code of what went wrong."""
        self._counts[TOOLS].add((agent, tool, outcome), 1)

    def plugin_started(self, plugin: str) -> None:
        """A process answers."""
        self._counts[PLUGIN_STARTS].add((plugin,), 1)

    def plugin_exited(self, plugin: str, code: str) -> None:
        """A process ended. code: of PluginEnded and PluginDied."""
        self._counts[PLUGIN_EXITS].add((plugin, code), 1)

    def prompted(
        self, provider: str, model: str, agent: str, outcome: str, seconds: float
    ) -> None:
        """A call of a model ended. outcome: `ok`, or the code of what went wrong."""
        self._counts[PROMPTS].add((provider, model, agent, outcome), 1)
        self._spreads[PROMPT_SECONDS][(provider,)].add(seconds)

    def spent(
        self, provider: str, model: str, agent: str, came: int, went: int, cost: float
    ) -> None:
        """What an exchange cost: tokens of input and output, and money."""
        self._counts[TOKENS].add((provider, model, agent, "input"), came)
        self._counts[TOKENS].add((provider, model, agent, "output"), went)
        self._counts[COST].add((provider, model, agent), cost)

    def stalled(self, seconds: float) -> None:
        """A due call of the loop ran that late."""
        self._stall.add(seconds)

    def event(self, event: Event) -> None:
        """Count an event under its name, level and labels: an Emit."""
        told = {label: str(getattr(event, label)) for label in event.labels}
        said = (render.name(type(event)), event.level)
        rest = tuple(told.get(label, "") for label in EVENTS.labels[2:])
        self._counts[EVENTS].add((*said, *rest), 1)

    def gauge(self, name: str, labels: Mapping[str, str], read: Callable[[], float]) -> None:
        """Read this gauge at every scrape, for as long as the engine lives.

        name: of GAUGES, without `portico_`. Raises KeyError for a name or label not there.
        """
        key = tuple(labels[label] for label in self._gauges[f"portico_{name}"].labels)
        self.gauges(name, lambda: {key: read()})

    def gauges(self, name: str, read: Callable[[], Mapping[Key, float]]) -> None:
        """The same for series that come and go; the keys are label values in their order."""
        family = self._gauges[f"portico_{name}"]
        self._reads.setdefault(family.name, []).append(read)

    def exposition(self) -> bytes:
        """Every number in Prometheus text format 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Samples of this moment; the gauges first, since they may fail and be counted."""
        yield from self._collect_gauges()
        for family, counts in self._counts.items():
            counter = CounterMetricFamily(family.name, family.help, labels=family.labels)
            for key, count in counts.items():
                counter.add_metric(key, count)
            yield counter
        for family, spreads in self._spreads.items():
            histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
            for key, spread in spreads.items():
                histogram.add_metric(key, spread.buckets(), spread.total)
            yield histogram

    def _collect_gauges(self) -> Iterator[Metric]:
        for family in self._gauges.values():
            gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
            for read in self._reads.get(family.name, ()):
                for key, value in self._read(family, read).items():
                    gauge.add_metric(key, value)
            yield gauge

    def _read(
        self, family: Family, read: Callable[[], Mapping[Key, float]]
    ) -> Mapping[Key, float]:
        try:
            return read()
        except Exception:  # noqa: BLE001  the fence of a scrape: one gauge fails, the others stand
            self._counts[UNREAD].add((family.name,), 1)
            return {}
