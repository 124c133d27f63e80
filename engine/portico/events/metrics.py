"""What is counted: plain numbers on the hot path, Prometheus samples when somebody asks.

A count costs one dictionary access; the samples are made at the scrape. Labels are names
of the site and words of our own, never an id or a patient; a label that a peer could make
up (an answer's code) ends in `other` once a family has `MOST_SERIES` series.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping

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
from portico.events.families import (
    ACKNOWLEDGED,
    COST,
    COUNTERS,
    DELIVERIES,
    DELIVERY_SECONDS,
    EVENTS,
    FLUSH_ROWS,
    FLUSH_SECONDS,
    GAUGES,
    HISTOGRAMS,
    PLUGIN_CALLS,
    PLUGIN_EXITS,
    PLUGIN_SECONDS,
    PLUGIN_STARTS,
    PROMPT_SECONDS,
    PROMPTS,
    RECEIVED,
    REFUSALS,
    SESSION_SECONDS,
    SESSIONS,
    STALL,
    TOKENS,
    TOOLS,
    UNREAD,
    Family,
    Key,
)

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
MOST_SERIES = 1_000


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

    def turned_away(self, agent: str) -> None:
        """A caller's Signal was refused, because too many wait."""
        self._counts[REFUSALS].add((agent,), 1)

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
