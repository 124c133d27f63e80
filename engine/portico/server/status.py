"""What `status` and the gauges tell of a running engine: the books and what lives in memory."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from portico import __version__
from portico.api.shapes import Agent, Alarm, Channel, Destination, Journal, Plugin, Status
from portico.clock import moment
from portico.events.metrics import Metrics
from portico.flow.arrivals.channels import Channel as Source
from portico.model.states import DeliveryState, SignalState
from portico.plugins import usage
from portico.server.parts import House
from portico.server.storage import Storage
from portico.server.watchers import Watchers

Gauged = Mapping[tuple[str, ...], float]

_STATES = ("busy", "idle")
_SIGNAL_STATES = tuple(SignalState)
_DELIVERY_STATES = tuple(DeliveryState)


class StatusSource(Protocol):
    """The engine, as far as its status goes."""

    house: House
    storage: Storage
    watchers: Watchers
    state: str
    started: int


def of(engine: StatusSource) -> Status:
    """The whole status at this instant."""
    house, base = engine.house, engine.house.base
    origins = {name for scope, name, _ in house.books if scope == "channel"}
    queues = {name for scope, name, _ in house.books if scope == "destination"}
    return Status(
        version=__version__,
        state=engine.state,
        at=moment(base.clock.time_ns()),
        started=moment(engine.started),
        pid=os.getpid(),
        site=str(house.site.root),
        data=str(engine.storage.data),
        journal=Journal(
            kind=engine.storage.kind,
            version=engine.storage.version,
            up=engine.storage.up,
            free=engine.watchers.disk.free,
            full=engine.watchers.disk.shut,
        ),
        alarms=_alarms(engine),
        channels={
            name: _channel(house, name) for name in sorted(origins | house.channels.keys())
        },
        destinations={
            name: _destination(house, name) for name in sorted(queues | house.outboxes.keys())
        },
        agents=_agents(house),
        plugins=_plugins(house),
    )


def _channel(house: House, name: str) -> Channel:
    book = {state: house.books["channel", name, state] for state in _SIGNAL_STATES}
    running = min(house.dispatcher.running[name], book[SignalState.WAITING])
    book[SignalState.RUNNING] = running
    book[SignalState.WAITING] -= running
    counts: dict[str, Any] = {state.value: n for state, n in book.items()}
    counts["received"] = house.books["channel", name, "received"]
    channel = house.channels.get(name)
    if channel is None:
        return Channel(**counts)
    return Channel(
        **counts,
        **_wish(house, "channel", name),
        state=_state_of(house, name, channel),
        type=channel.origin.type,
        where=channel.origin.where,
        connections=channel.connections,
        detail=channel.fault or _held(channel),
    )


def _state_of(house: House, name: str, channel: Source) -> str:
    wanted = house.wanted("channel", name)
    if wanted != "running":
        return wanted
    return "open" if channel.open else "failed" if channel.fault else "closed"


def _held(channel: Source) -> str:
    if "disk" in channel.shut:
        return "too little room on the disk"
    return "a queue that it feeds is full: nothing is read" if "queue" in channel.holds else ""


def _wish(house: House, scope: str, name: str) -> dict[str, Any]:
    """Since when and by whom, when it is not simply running."""
    wish = house.wishes.get((scope, name))
    if wish is None or wish.wish == "running":
        return {}
    return {"since": wish.since, "by": wish.by}


def _alarms(engine: StatusSource) -> tuple[Alarm, ...]:
    return tuple(
        Alarm(kind=kind, scope=scope, name=name, since=moment(one.since), text=one.text)
        for (kind, scope, name), one in sorted(engine.watchers.alarms.open.items())
    )


def _destination(house: House, name: str) -> Destination:
    book = {state: house.books["destination", name, state] for state in _DELIVERY_STATES}
    outbox, spec = house.outboxes.get(name), house.site.destinations.get(name)
    sending = min(outbox.flying, book[DeliveryState.QUEUED]) if outbox else 0
    book[DeliveryState.SENDING] = sending
    book[DeliveryState.QUEUED] -= sending
    counts: dict[str, Any] = {state.value: n for state, n in book.items()}
    counts["owed"] = house.books["destination", name, "owed"]
    if outbox is None or spec is None:
        detail = "the site does not name it any more"
        return Destination(**counts, state="removed", detail=detail)
    keys = ("address", "listen", "path")
    where = next(filter(None, (getattr(spec.options, key, None) for key in keys)), "")
    wanted = house.wanted("destination", name)
    return Destination(
        **counts,
        **_wish(house, "destination", name),
        oldest=moment(outbox.oldest) if outbox.oldest else None,
        state=wanted if wanted != "running" else "down" if outbox.down else "up",
        type=spec.type,
        where=str(where),
        detail=outbox.trouble,
    )


def _agents(house: House) -> dict[str, Agent]:
    crews = house.pool.status()
    return {
        name: Agent(
            version=house.versions.get(name, ""),
            owner=agent.owner,
            state=_admits(house, name, crews.get(name, {})),
            workers=int(crews.get(name, {}).get("workers", 0)),
            busy=int(crews.get(name, {}).get("busy", 0)),
            waiting=int(crews.get(name, {}).get("backlog", 0)) + house.shelf.count(name),
        )
        for name, agent in house.site.agents.items()
    }


def _admits(house: House, agent: str, crew: Mapping[str, Any]) -> str:
    """Whether what comes is run, or waits."""
    if (wanted := house.wanted("agent", agent)) != "running":
        return wanted
    if crew.get("quarantined"):
        return "quarantined"
    most = house.site.agents[agent].pool.most
    grows = crew.get("workers", 0) < most and house.pool.may_grow(agent)
    return "full" if crew.get("backlog") and not grows else "ready"


def _plugins(house: House) -> dict[str, Plugin]:
    return {
        name: Plugin.model_validate(
            {**one, "state": "quarantined" if one["quarantined"] else "ready"}
        )
        for name, one in house.plugging.status().items()
    }


def register(engine: StatusSource, metrics: Metrics) -> None:
    """The gauges, read from the same books at every scrape."""
    house = engine.house

    def channels(read: Callable[[str], float]) -> Callable[[], Mapping[tuple[str, ...], float]]:
        return lambda: {(name,): read(name) for name in house.channels}

    def outboxes(read: Callable[[str], float]) -> Callable[[], Mapping[tuple[str, ...], float]]:
        return lambda: {(name,): read(name) for name in house.outboxes}

    def age(name: str) -> float:
        oldest = house.outboxes[name].oldest
        return (house.base.clock.time_ns() - oldest) / 1e9 if oldest else 0.0

    metrics.gauges("connections", channels(lambda name: house.channels[name].connections))
    metrics.gauges("waiting", channels(lambda name: house.books["channel", name, "waiting"]))
    metrics.gauges(
        "queue_depth", outboxes(lambda name: house.books["destination", name, "queued"])
    )
    metrics.gauges("queue_oldest_seconds", outboxes(age))
    metrics.gauges("parked", lambda: _parked(house))
    metrics.gauges("workers", lambda: _workers(house))
    _register_agents(house, metrics)
    _register_plugins(house, metrics)
    metrics.gauges("alarm_open", engine.watchers.alarms.gauge)
    metrics.gauges("disk_free_bytes", lambda: _disk(engine))
    metrics.gauges("wish", lambda: _wishes(house))
    metrics.gauge("audit_spool_bytes", {}, house.base.auditing.waiting)
    metrics.gauge("journal_up", {}, lambda: float(engine.storage.up))
    metrics.gauges(
        "certificate_expiry_timestamp_seconds",
        lambda: {(name,): at.timestamp() for name, at in house.base.certificates.expiries()},
    )


def _register_agents(house: House, metrics: Metrics) -> None:
    """A Python agent's processes; those that plugins have are told beside them."""

    def read(value: Callable[[Mapping[str, Any]], float]) -> Callable[[], Gauged]:
        return lambda: {(name,): value(one) for name, one in house.pool.status().items()}

    def used(crew: Mapping[str, Any]) -> list[usage.Usage]:
        return [usage.of(pid) for pid in crew["pids"]]

    def states() -> Gauged:
        found = house.pool.status().items()
        return {(name, state): float(one[state]) for name, one in found for state in _STATES}

    metrics.gauges("agent_workers", states)
    metrics.gauges("agent_queue", read(lambda crew: float(crew["backlog"])))
    metrics.gauges(
        "agent_memory_bytes", read(lambda crew: float(sum(one.memory for one in used(crew))))
    )
    metrics.gauges(
        "agent_cpu", read(lambda crew: crew["cpu"] + sum(one.cpu for one in used(crew)))
    )


def _register_plugins(house: House, metrics: Metrics) -> None:
    def read(key: str) -> Callable[[], Mapping[tuple[str, ...], float]]:
        return lambda: {(n,): float(one[key]) for n, one in house.plugging.status().items()}

    def states() -> dict[tuple[str, ...], float]:
        found = house.plugging.status().items()
        return {(name, state): float(one[state]) for name, one in found for state in _STATES}

    metrics.gauges("plugin_processes", states)
    metrics.gauges("plugin_queue", read("queue"))
    metrics.gauges("plugin_memory_bytes", read("memory"))
    metrics.gauges("plugin_cpu", read("cpu"))


def _parked(house: House) -> dict[tuple[str, ...], float]:
    kinds = {"channel": "signal", "destination": "delivery"}
    return {
        (kinds[scope], name): float(n)
        for (scope, name, state), n in house.books.items()
        if state == "parked"
    }


def _disk(engine: StatusSource) -> dict[tuple[str, ...], float]:
    free = engine.watchers.disk.free
    return {} if free is None else {(): float(free)}


def _wishes(house: House) -> dict[tuple[str, ...], float]:
    named = [("channel", name) for name in house.channels]
    named += [("agent", name) for name in house.site.agents]
    named += [("destination", name) for name in house.outboxes]
    return {(*one, house.wanted(*one)): 1.0 for one in named}


def _workers(house: House) -> dict[tuple[str, ...], float]:
    counts: dict[tuple[str, ...], float] = {}
    for crew in house.pool.status().values():
        for state in _STATES:
            counts[(state,)] = counts.get((state,), 0.0) + float(crew.get(state, 0))
    return counts
