"""The metrics by name: what each says, and its labels (docs/metrics.md)."""

from dataclasses import dataclass

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
REFUSALS = Family(
    "portico_agent_refused_total", "Callers' Signals refused by their owner's quota", ("agent",)
)
UNREAD = Family("portico_gauge_failures_total", "Gauges that could not be read", ("gauge",))

PLUGIN_COUNTERS = (PLUGIN_CALLS, PLUGIN_STARTS, PLUGIN_EXITS)
COUNTERS = (
    RECEIVED,
    ACKNOWLEDGED,
    SESSIONS,
    DELIVERIES,
    EVENTS,
    REFUSALS,
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
    Family(
        "portico_connections",
        "Peers connected now; 1 while the place of fetched files is reached",
        ("channel",),
    ),
    Family("portico_waiting", "Signals journaled and not yet concluded", ("channel",)),
    Family("portico_queue_depth", "Deliveries not yet made", ("destination",)),
    Family("portico_queue_oldest_seconds", "Age of the oldest of them", ("destination",)),
    Family("portico_parked", "Signals or Deliveries that wait for a person", ("kind", "name")),
    Family("portico_workers", "Worker processes by state", ("state",)),
    Family("portico_agent_workers", "Its worker processes by state", ("agent", "state")),
    Family("portico_agent_queue", "Signals that wait for one of them", ("agent",)),
    Family(
        "portico_agent_memory_bytes",
        "Resident memory of its workers, with what they share with each other",
        ("agent",),
    ),
    Family("portico_agent_cpu", "Seconds of CPU of its workers, ended too", ("agent",)),
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
    Family("portico_audit_spool_bytes", "Audit messages that the repository is owed"),
    Family("portico_journal_up", "1 while the journal can be written"),
    Family(
        "portico_certificate_expiry_timestamp_seconds",
        "When a certificate that we show ends, seconds since 1970",
        ("name",),
    ),
)
