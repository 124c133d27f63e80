"""What documents say of each other: names that lead nowhere, and what nobody uses."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from portico.check.draft import Draft
from portico.check.pipeline import Named, Pipeline
from portico.errors import PathInvalid
from portico.language import test
from portico.language.context import Context
from portico.language.place import AsidePlace
from portico.spec.agent import Agent
from portico.spec.channel import Channel
from portico.spec.document import Document
from portico.spec.fields import nearest
from portico.spec.finding import Finding, Severity


def dangling(draft: Draft) -> Iterator[Finding]:
    """Names of channels, signals, destinations and put-aside values that nothing defines."""
    signals = {
        named.name for pipe in draft.pipelines for named in pipe.wanted("emit", "signal")
    }
    for name, agent in draft.agents.items():
        document = draft.named["agent", name]
        yield from _of_on(document, agent, _names(draft, "channel"), signals)
        yield from _charsets(draft, document, agent)
    for pipeline in draft.pipelines:
        wanted = pipeline.wanted("send", "to")
        yield from _unknown(pipeline, wanted, _names(draft, "destination"), "destination")
        known = pipeline.aside()
        for named in pipeline.asides_read():
            if named.name not in known:
                text = f"no step of this agent puts {named.name!r} aside"
                hint = nearest(named.name, known) if known else "see `into`"
                yield pipeline.document.finding(named.at, "site.unknown_name", text, hint)


def unused(draft: Draft) -> Iterator[Finding]:
    """Channels and signals that no agent answers, destinations that nothing is sent to."""
    sent = {named.name for pipe in draft.pipelines for named in pipe.wanted("send", "to")}
    sent |= {channel.acknowledge.deferred or "" for channel in draft.channels.values()}
    asked = {getattr(one.options, "ack_on", None) for one in draft.destinations.values()}
    for name in draft.destinations.keys() - sent:
        document = draft.named["destination", name]
        yield _info(document, "site.unused_destination", "no agent sends here")
    for name in draft.channels.keys() - asked:
        if not any(name in heard(agent, draft) for agent in draft.agents.values()):
            document = draft.named["channel", name]
            yield _info(document, "site.unheard_channel", "no agent answers this channel")
    answered = {
        name for agent in draft.agents.values() for name in agent.on.allowed.get("signal", ())
    }
    for pipeline in draft.pipelines:
        for named in pipeline.wanted("emit", "signal"):
            if named.name not in answered:
                text, at = f"no agent answers the signal {named.name!r}", named.at
                code = "site.unheard_signal"
                yield pipeline.document.finding(at, code, text, severity=Severity.INFO)


class Channels(Protocol):
    """A site, or the draft of one."""

    @property
    def channels(self) -> Mapping[str, Channel]:
        """By name."""
        ...


def heard(agent: Agent, draft: Channels) -> frozenset[str]:
    """The channels whose Signals this agent may answer, as far as its `on` says by name."""
    if "channel" in agent.on.allowed:
        return agent.on.allowed["channel"] & draft.channels.keys()
    if "signal" in agent.on.allowed:
        return frozenset()
    return frozenset(name for name in draft.channels if _fits(agent, name))


def emitters(agent: Agent, draft: Draft) -> list[Agent]:
    """Those that emit a Signal which this agent answers by name."""
    names = agent.on.allowed.get("signal", frozenset())
    found = (
        pipeline.document.name
        for pipeline in draft.pipelines
        if any(named.name in names for named in pipeline.wanted("emit", "signal"))
    )
    return [draft.agents[name] for name in found if name in draft.agents]


def _fits(agent: Agent, channel: str) -> bool:
    """Whether a test at the top of `on` lets this channel through (`channel: adt_*`)."""
    source = agent.on.source
    asked = source.get("channel") if isinstance(source, dict) else None
    try:
        return asked is None or test.parse(asked).one(channel, Context(None, {}))
    except (ValueError, PathInvalid):
        return True


def _of_on(
    document: Document, agent: Agent, channels: Iterable[str], signals: set[str]
) -> Iterator[Finding]:
    words = {place.source for place in agent.on.places}
    if not words & {"channel", "signal"}:
        hint = "such as {channel: adt_in}"
        yield document.finding(("on",), "site.on", "names no channel and no signal", hint)
    for place in agent.on.places:
        if isinstance(place, AsidePlace):
            text = f"{place} is put aside by no step before the first"
            yield document.finding(("on",), "site.on", text)
    for word, known in (("channel", set(channels)), ("signal", signals)):
        for name in sorted(agent.on.allowed.get(word, frozenset()) - known):
            hint = nearest(name, known) if known else ""
            said = "there is no" if word == "channel" else "no step emits the"
            text = f"{said} {word} {name!r}"
            yield document.finding(("on", word), f"site.unknown_{word}", text, hint)


def _charsets(draft: Draft, document: Document, agent: Agent) -> Iterator[Finding]:
    named = agent.on.allowed.get("channel", frozenset()) & draft.channels.keys()
    if len({draft.channels[name].charset for name in named}) > 1:
        text = f"{', '.join(sorted(named))} read different character sets"
        hint = "make it an agent for each"
        yield document.finding(("on", "channel"), "site.mixed_charset", text, hint)


def _unknown(
    pipeline: Pipeline, wanted: Iterable[Named], known: set[str], noun: str
) -> Iterator[Finding]:
    for named in wanted:
        if named.name not in known:
            hint = nearest(named.name, known) if known else ""
            text = f"there is no {noun} {named.name!r}"
            yield pipeline.document.finding(named.at, f"site.unknown_{noun}", text, hint)


def _names(draft: Draft, noun: str) -> set[str]:
    return {name for kind, name in draft.named if kind == noun}


def _info(document: Document, code: str, text: str) -> Finding:
    return document.finding((document.noun,), code, text, severity=Severity.INFO)
