"""A site's folder as one checked value, or everything that is wrong with it.

Site code is never imported here; transforms are looked at as text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from portico.check import capabilities, contents, lint, references
from portico.check.draft import Draft, read_site
from portico.check.pipeline import Pipeline
from portico.check.plugins import Registered, schemas_of
from portico.errors import SiteInvalid
from portico.hl7 import transcode
from portico.language.content import AUTO, Content
from portico.policy.routing import Rules
from portico.spec.agent import Agent
from portico.spec.channel import Channel, Charset
from portico.spec.destination import AS_IT_IS, Destination
from portico.spec.finding import Finding, errors
from portico.spec.site import Config


@dataclass(frozen=True, slots=True)
class Site:
    """A checked site: names to settings, with every default filled in.

    `Channel.source.options` and `Destination.options` are the models of their types;
    `Agent.plain()` is what agents.plan compiles. forms: what Signals are, by origin.
    """

    root: Path
    config: Config
    channels: Mapping[str, Channel]
    agents: Mapping[str, Agent]
    destinations: Mapping[str, Destination]
    plugins: Mapping[str, Registered] = field(default_factory=dict)
    forms: Mapping[str, Content] = field(default_factory=dict)

    def form(self, origin: str) -> Content:
        """What Signals of a channel, or of `signal:NAME`, are; else their bytes must say."""
        return self.forms.get(origin, AUTO)

    def charset(self, origin: str) -> tuple[str, str]:
        """What HL7 of an origin is read by where MSH-18 is empty, and what a fault means.

        A channel says it; of `signal:NAME` an agent that answers it by name has found it.
        """
        channel = self.channels.get(origin)
        name = origin.removeprefix("signal:")
        agents = self.agents.values() if name != origin else ()
        answering = (a.charset for a in agents if name in a.on.allowed.get("signal", ()))
        own = channel.charset if channel is not None else next(answering, Charset())
        return own.name, own.on_error

    def rules(self, origin: str) -> Rules:
        """How Signals are read whose origin is no channel of this site."""
        return Rules(origin, self.form(origin), *self.charset(origin))


def load_site(root: Path, environ: Mapping[str, str]) -> Site:
    """The site in that folder. Raises SiteInvalid with all its errors."""
    site, findings = examine(root, environ)
    if site is None:
        raise SiteInvalid(errors(findings))
    return site


def examine(root: Path, environ: Mapping[str, str]) -> tuple[Site | None, tuple[Finding, ...]]:
    """The site, None when it has errors; and all findings, by file and line."""
    draft = read_site(root, environ)
    findings = tuple(sorted({*draft.findings, *lint.findings(draft)}))
    if errors(findings):
        return None, findings
    agents = {name: _reading(agent, draft) for name, agent in draft.agents.items()}
    nouns = draft.channels, agents, draft.destinations, draft.plugins
    forms = {name: channel.content.form for name, channel in draft.channels.items()}
    return Site(root, draft.config, *nouns, forms | contents.emitted(draft)), findings


def _reading(agent: Agent, draft: Draft) -> Agent:
    """The agent with the content and charset of what it answers."""
    pipeline = next(one for one in draft.pipelines if one.document.name == agent.name)
    found = {
        "charset": _charset(agent, draft),
        "charsets": _charsets(pipeline, draft),
        "tools": _tools(pipeline, draft),
        "granted": capabilities.granted(draft, pipeline),
    }
    agent = agent.model_copy(update=found)
    heard = [draft.channels[name] for name in sorted(references.heard(agent, draft))]
    made = contents.emitted(draft) if "channel" not in agent.on.allowed else {}
    if not heard:
        return agent.model_copy(update={"contents": made})
    forms = {channel.name: channel.content.form for channel in heard}
    one = len(set(forms.values())) == 1 and "signal" not in agent.on.allowed
    update = {
        "content": next(iter(forms.values())) if one else AUTO,
        "contents": made if one else forms | made,
    }
    return agent.model_copy(update=update)


def _charset(agent: Agent, draft: Draft) -> Charset:
    """That of the channels that it answers, or that those answer who emit what it answers."""
    told, asked = list[Charset](), [agent]
    for one in asked:
        heard = sorted(references.heard(one, draft))
        told += [draft.channels[name].charset for name in heard]
        emitters = () if heard else references.emitters(one, draft)
        asked += [other for other in emitters if other not in asked]
    return told[0] if told and (len(asked) == 1 or len(set(told)) == 1) else Charset()


def _tools(pipeline: Pipeline, draft: Draft) -> dict[str, dict[str, str]]:
    """The schemas of the plugins' tools that the agent calls."""
    called = sorted({one.name for one in pipeline.wanted("plugin", "call")})
    return {name: schemas_of(draft.plugins, name) for name in called}


def _charsets(pipeline: Pipeline, draft: Draft) -> dict[str, str]:
    """The character sets of the destinations that the agent sends to."""
    named = {one.name for one in pipeline.wanted("send", "to")}
    return {
        name: transcode.known(draft.destinations[name].charset)
        for name in sorted(named)
        if draft.destinations[name].charset != AS_IT_IS
    }
