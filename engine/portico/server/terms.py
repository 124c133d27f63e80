"""From the site's documents to the values that flow and workers decide by."""

import os
from collections.abc import Callable, Mapping

from portico import ids
from portico.flow.arrivals import desk
from portico.flow.arrivals.channels import Origin
from portico.flow.deliveries import delivering
from portico.flow.runs import Run
from portico.flow.sessions import failing
from portico.ids import SignalId
from portico.language.content import Content
from portico.model.verdict import Output
from portico.policy import naming, repeats, retry, settings
from portico.spec.agent import Agent
from portico.spec.channel import Channel
from portico.spec.destination import Destination
from portico.spec.rules import OnError
from portico.spec.site import Config
from portico.workers import editions

_LONGEST = 100 * 365 * 86_400.0  # seconds; `forever` has no place in the ids of a window


def origin_of(channel: Channel) -> Origin:
    """Its source, and how people call it. A source that answers by it knows its channel."""
    options = channel.source.options
    known = {
        "content": channel.content.type,
        "ended": channel.acknowledge.when != "journaled",
    }
    wanted = {key: value for key, value in known.items() if hasattr(options, key)}
    if wanted:
        options = options.model_copy(update=wanted)
    return Origin(channel.source.type, _where(options), options)


def _where(options: object) -> str:
    """A source's address and path, or its plan, as people know it."""
    keys = (
        ("listen", "address", "path") if not hasattr(options, "cron") else ("cron", "timezone")
    )
    return " ".join(str(found) for key in keys if (found := getattr(options, key, None)))


def policy_of(
    channel: Channel,
    answered: frozenset[str] = frozenset(),
    confirming: frozenset[str] = frozenset(),
    first: str = "",
) -> desk.Policy:
    """What its intake decides by. answered: channels to which answers for destinations come;
    confirming: destinations that wait for an answer; first: the channel's first name, when it
    has been renamed."""
    known = channel.duplicates
    return desk.Policy(
        settings.rules_of(channel, first),
        settings.answering_of(channel, channel.acknowledge.deferred in confirming),
        channel.acknowledge.timeout,
        repeats.Rules(min(known.window, _LONGEST), known.same, known.changed),
        channel.unmatched,
        settings.batch_of(channel),
        channel.name in answered,
    )


def answered(destinations: Mapping[str, Destination]) -> frozenset[str]:
    """The channels to which the peers of destinations send their application ACKs."""
    named = (getattr(one.options, "ack_on", None) for one in destinations.values())
    return frozenset(name for name in named if name)


def confirming(destinations: Mapping[str, Destination]) -> frozenset[str]:
    """The destinations whose peers are waited for, so that an ACK sent there asks for a CA."""
    asked = {name: getattr(one.options, "ack", "none") for name, one in destinations.items()}
    return frozenset(name for name, ack in asked.items() if ack != "none")


def delivery_terms(destination: Destination) -> delivering.Terms:
    """What its answers mean, and when to try again."""
    return delivering.Terms(
        destination.retry.first,
        destination.retry.most,
        destination.retry.for_,
        {**retry.HL7_ANSWERS, **destination.answers},
        destination.on_reject == "stop",
    )


def lane_namer(
    destinations: Callable[[], Mapping[str, Destination]],
) -> Callable[[str, str, SignalId, int], str]:
    """The lane of (destination, order key, Signal, Delivery) by the destination's `order`."""

    def lane(destination: str, key: str, signal: SignalId, number: int) -> str:
        spec = destinations().get(destination)
        order = spec.order if spec else "key"
        if order == "all":
            return ""
        return key if order == "key" and key else ids.delivery_text(signal, number)

    return lane


def file_namer(
    destinations: Callable[[], Mapping[str, Destination]], form: Callable[[str], Content]
) -> Callable[[Run, Output, int], str]:
    """What a Delivery's file is called: as its `send` says, else as its destination does.

    form: of an origin's Signals.
    """

    def name(run: Run, output: Output, number: int) -> str:
        spec = destinations().get(output.destination)
        made = vars(spec.options).get("file") if spec else None
        if output.file or made is None:
            return output.file
        content = run.signal.content if output.content is None else output.content
        kind = form(run.signal.origin)
        return naming.file_name(made, content, run.envelope, run.signal.id, number, kind)

    return name


def run_terms(agent: Agent, version: str) -> failing.FailureTerms:
    """When its sessions run again, and what becomes of those that cannot."""
    act = OnError.parse(agent.on_error).act
    return failing.FailureTerms(
        version,
        agent.retry.first,
        agent.retry.most,
        agent.retry.for_,
        act if act in ("stop", "drop", "refuse") else "park",
    )


def worker_terms(agent: Agent, config: Config) -> editions.CrewTerms:
    """How many workers it has, and what one may use."""
    fresh = agent.isolation == "fresh"
    return editions.CrewTerms(
        agent.pool.fewest,
        max(agent.pool.most, agent.pool.fewest),
        agent.limits.time,
        1 if fresh else config.workers.recycle,
        agent.owner,
        agent.pool.weight,
    )


def quotas(config: Config) -> dict[str, int]:
    """By owner: workers of all its agents beyond their fewest, where that is bounded."""
    bounds = {owner: quota.workers for owner, quota in config.workers.quotas.items()}
    return {owner: bound for owner, bound in bounds.items() if bound is not None}


def most_workers(config: Config) -> int:
    """Workers in all beyond every agent's fewest."""
    return config.workers.most or os.cpu_count() or 1
