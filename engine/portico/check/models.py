"""`llm` steps and the providers that they ask: whether the site lets what they place leave."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from portico.check.draft import Draft
from portico.check.pipeline import Pipeline, PipelineStep
from portico.check.references import heard
from portico.errors import ConfigError
from portico.llm import script
from portico.spec.document import Document, Location
from portico.spec.fields import nearest
from portico.spec.finding import Finding
from portico.spec.models import Chosen, Provider, exceeds

_MAPPED = ("hl7", "json")
_NEEDS = {"openai": ("model",), "anthropic": ("model", "key"), "sim": ()}
_CODE = "config.provider"


def misfits(draft: Draft) -> Iterator[Finding]:
    """Providers that cannot work or be trusted, and steps that ask too much of them."""
    document = next((one for one in draft.documents if not one.noun), None)
    if document is not None:
        for name, provider in draft.config.providers.items():
            for key, text, hint in _wrong(provider, draft):
                at = ("providers", name, key) if key else ("providers", name)
                yield document.finding(at, _CODE, text, hint)
    for pipeline in draft.pipelines:
        for stage in pipeline.stages:
            if stage.form["verb"] == "llm" and stage.options is not None:
                yield from _of_step(draft, pipeline, stage, stage.options)


def _wrong(provider: Provider, draft: Draft) -> Iterator[tuple[str, str, str]]:
    """(key, what is wrong, what would be right)."""
    for key in _NEEDS[provider.type]:
        if not getattr(provider, key):
            yield "", f"{provider.type} needs {key!r}", ""
    if provider.detect and provider.phi != "deidentified":
        text = f"detect replaces nothing of what phi: {provider.phi} lets leave"
        yield "detect", text, "say phi: deidentified"
    if provider.type == "sim":
        yield from _script(provider, draft)
        return
    parts = urlsplit(provider.address)
    here = not provider.address or _loopback(parts.hostname or "")
    if provider.address and (parts.scheme not in ("http", "https") or not parts.hostname):
        yield "address", "not a URL", "such as https://models.hospital.example/v1"
    elif provider.address and parts.scheme == "http" and not here:
        yield "address", "anybody on the way could read what leaves", "use https"
    outside = not provider.address or not here
    if outside and provider.phi != "none" and not provider.agreement:
        text = f"phi: {provider.phi} leaves this machine under no agreement"
        yield "phi", text, "name the contract: agreement: 'DPA 2026-03 with ...'"


def _script(provider: Provider, draft: Draft) -> Iterator[tuple[str, str, str]]:
    if provider.address:
        try:
            script.load(draft.root / provider.address)
        except ConfigError as error:
            yield "address", str(error), "see docs/llm.md"


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _of_step(
    draft: Draft, pipeline: Pipeline, stage: PipelineStep, options: Any
) -> Iterator[Finding]:
    document, agent = pipeline.document, draft.agents.get(pipeline.document.name)
    providers = draft.config.providers
    chosen = options.model or (agent.model if agent is not None else None)
    if chosen is None and len(providers) != 1 and "default" not in providers:
        text = "nothing says which provider is asked" if providers else "there is no provider"
        hint = "add 'model: NAME'" if providers else "add 'providers' to config/portico.yaml"
        yield document.finding(stage.at, "site.unknown_provider", text, hint)
        return
    name = (chosen or Chosen.default(providers)).provider
    if name not in providers:
        text = f"there is no provider {name!r}"
        yield document.finding(
            stage.at, "site.unknown_provider", text, nearest(name, providers)
        )
        return
    model = chosen.model if chosen is not None and chosen.model else providers[name].model
    budgets = {
        "step": options.budget,
        "agent": agent.budget if agent else None,
        "provider": providers[name].budget,
    }
    priced = [whose for whose, one in budgets.items() if one and one.cost is not None]
    if priced and model not in providers[name].prices:
        text = f"the {priced[0]}'s budget is in money, and {name} has no price for {model!r}"
        hint = f"providers/{name}/prices: {{{model or 'MODEL'}: {{input: 2.50, output: 10}}}}"
        yield document.finding(stage.at, "site.no_price", text, hint)
    if options.detect and options.phi != "deidentified":
        text = f"detect replaces nothing of a step with phi: {options.phi}"
        yield document.finding(stage.at, "site.phi", text, "say phi: deidentified")
    if exceeds(options.phi, providers[name].phi):
        text = f"provider {name} may have phi: {providers[name].phi}, this step {options.phi}"
        yield document.finding(stage.at, "site.phi", text, "see docs/llm.md")
    if agent is not None:
        for channel in sorted(heard(agent, draft)):
            yield from _of_channel(draft, channel, document, stage.at, options)


def _of_channel(
    draft: Draft, name: str, document: Document, at: Location, options: Any
) -> Iterator[Finding]:
    """What the channel's content and its way to answer forbid."""
    channel = draft.channels[name]
    if options.phi == "deidentified" and channel.content.type not in _MAPPED:
        text = f"nothing can de-identify the {channel.content.type} content of {name}"
        yield document.finding(at, "site.phi", text, "only hl7 and json have a map")
    told = channel.acknowledge
    if told.when == "journaled":
        return
    if "timeout" not in told.model_fields_set:
        text = f"the sender of {name} waits for a model"
        hint = "say how long in its acknowledge: timeout, or 'when: journaled'"
        yield document.finding(at, "site.llm_in_ack", text, hint)
    if options.review is not None:
        text = f"the sender of {name} would wait for a person"
        yield document.finding(at, "site.llm_in_ack", text, "'when: journaled' there")
