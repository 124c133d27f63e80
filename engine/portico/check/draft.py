"""A site while it is read: each document fitted to its model, by itself.

Sources, destinations and steps are fitted to the options of their types, which the catalog
finds. How documents fit together is lint.py's.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic_core import PydanticCustomError

from portico import catalog
from portico.check import plugins
from portico.check.pipeline import Pipeline
from portico.check.plugins import Registered
from portico.destinations.contract import DestinationType
from portico.errors import TypeUnknown
from portico.listeners.contract import ListenerType
from portico.spec import agent as agent_spec
from portico.spec.agent import Agent
from portico.spec.channel import Channel, Source, source_of
from portico.spec.destination import Destination
from portico.spec.document import Document, Location, read
from portico.spec.expanding import expand
from portico.spec.fields import Options, nearest
from portico.spec.finding import Finding, Severity
from portico.spec.rules import GROUP
from portico.spec.shape import fit
from portico.spec.site import Config, override
from portico.spec.tls import Tls

CONFIG = "config/portico.yaml"
CHANNELS = "channels"

Kind = TypeVar("Kind")
Noun = TypeVar("Noun", Channel, Agent, Destination)


@dataclass(slots=True)
class Draft:
    """What fits so far, and the findings.

    named: (noun, name) to its document, also of those that do not fit. documents: all that
    could be read, configuration too. plugins: of the registry.
    """

    root: Path
    environ: Mapping[str, str]
    config: Config = field(default_factory=Config)
    channels: dict[str, Channel] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    destinations: dict[str, Destination] = field(default_factory=dict)
    plugins: dict[str, Registered] = field(default_factory=dict)
    pipelines: list[Pipeline] = field(default_factory=list)
    named: dict[tuple[str, str], Document] = field(default_factory=dict)
    documents: list[Document] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def visible(folder: Path, pattern: str) -> list[Path]:
    """Files of that name in this folder, in order. What begins with a dot is none of a site's:
    editors and file servers leave their own beside it (`.#adt.yaml` is a link to nowhere).
    """
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def read_site(root: Path, environ: Mapping[str, str]) -> Draft:
    """Everything under `config/` and `channels/`, each document by itself."""
    draft = Draft(root, environ)
    _read_config(draft)
    draft.plugins, findings = plugins.read_registry(root, draft.config)
    draft.findings += findings
    for path in _files(draft):
        documents, findings = read(path, path.relative_to(root).as_posix())
        draft.findings += findings
        for document in documents:
            _read_document(draft, document)
    return draft


def _files(draft: Draft) -> Iterable[Path]:
    folder = draft.root / CHANNELS
    if not folder.is_dir():
        text = "there is no such folder"
        hint = "'portico init' makes a site"
        draft.findings.append(Finding(CHANNELS, 0, "", text, hint, "site.no_channels"))
        return ()
    for path in visible(folder, "*.yml"):
        name = path.relative_to(draft.root).as_posix()
        text, hint = "is not read", f"name it {path.stem}.yaml"
        draft.findings.append(Finding(name, 0, "", text, hint, "site.yml", Severity.WARNING))
    return [path for path in visible(folder, "*.yaml") if not path.name.endswith(".test.yaml")]


def _read_config(draft: Draft) -> None:
    path = draft.root / CONFIG
    if path.exists():
        documents, findings = read(path, CONFIG, nouns=False)
        draft.findings += findings
        for extra in documents[1:]:
            text = "the configuration is one document"
            draft.findings.append(extra.finding((), "config.one_document", text))
        for document in documents[:1]:
            draft.documents.append(document)
            value = _expanded(draft, document)
            fitted, findings = fit(Config, value, document)
            draft.findings += findings
            draft.config = fitted or draft.config
    draft.config, findings = override(draft.config, draft.environ)
    own = {"api": draft.config.api, "audit": draft.config.audit}
    secured = {name: _secured(draft.config, name, options) for name, options in own.items()}
    draft.config = draft.config.model_copy(update=secured)
    draft.findings += findings


def _read_document(draft: Draft, document: Document) -> None:
    draft.documents.append(document)
    noun, name = document.noun, document.name
    if noun == "case":
        text, hint = "a case stands in a *.test.yaml file", "move it there"
        draft.findings.append(document.finding(("case",), "site.case_place", text, hint))
        return
    first = draft.named.setdefault((noun, name), document)
    if first is not document:
        text = f"there is another {noun} {name!r}"
        hint = f"see {first.path}:{first.line}"
        draft.findings.append(document.finding((noun,), "site.duplicate_name", text, hint))
    _READERS[noun](draft, document, _expanded(draft, document))


def _expanded(draft: Draft, document: Document) -> Any:
    value, findings = expand(document, draft.environ, skip=(GROUP,))
    draft.findings += findings
    return value


def _read_channel(draft: Draft, document: Document, value: Any) -> None:
    source, kind = _source(draft, document, value)
    defaults = {} if kind is None else kind.defaults
    channel, findings = fit(Channel, {**defaults, **value}, document)
    draft.findings += findings
    if source is None or kind is None:
        return
    options = _options(draft, document, ("source",), kind, source.options)
    if channel is not None and options is not None:
        source = Source(source.type, options)
        _keep(draft, document, draft.channels, channel.model_copy(update={"source": source}))


def _source(
    draft: Draft, document: Document, value: Any
) -> tuple[Source | None, ListenerType | None]:
    """The source and its type; None and a finding where there is no such type."""
    try:
        source = source_of(value["source"])
    except (KeyError, PydanticCustomError):
        return None, None  # fitting the channel says why
    return source, _find(draft, document, ("source", "type"), catalog.listener, source.type)


def _read_destination(draft: Draft, document: Document, value: Any) -> None:
    common = {key: each for key, each in value.items() if key in Destination.keys()}
    destination, findings = fit(Destination, common, document)
    draft.findings += findings
    name = value.get("type")
    if not isinstance(name, str):
        return
    kind = _find(draft, document, ("type",), catalog.destination, name)
    if kind is None:
        return
    own = {key: each for key, each in value.items() if key not in common}
    options = _options(draft, document, (), kind, own, Destination.keys())
    if destination is not None and options is not None:
        done = destination.model_copy(update={"options": options})
        _keep(draft, document, draft.destinations, done)


def _read_agent(draft: Draft, document: Document, value: Any) -> None:
    reading = agent_spec.read(document, value)
    pipeline = Pipeline.read(document, reading.steps)
    draft.findings += reading.findings + pipeline.findings
    draft.pipelines.append(pipeline)
    if reading.agent is not None:
        _keep(draft, document, draft.agents, reading.agent)


def _keep(draft: Draft, document: Document, shelf: dict[str, Noun], fitted: Noun) -> None:
    """The first of a name stays."""
    if draft.named[document.noun, document.name] is document:
        shelf[document.name] = fitted


_READERS = {
    "channel": _read_channel,
    "destination": _read_destination,
    "agent": _read_agent,
}


def _find(
    draft: Draft, document: Document, at: Location, look: Callable[[str], Kind], name: str
) -> Kind | None:
    """The type of that name, or None and a finding."""
    try:
        return look(str(name))
    except TypeUnknown as error:
        code = "site.not_yet" if error.planned else error.code
        draft.findings.append(document.finding(at, code, error.text, error.hint))
        return None


def _options(
    draft: Draft,
    document: Document,
    at: Location,
    kind: ListenerType | DestinationType,
    value: dict[str, Any],
    common: tuple[str, ...] = (),
) -> Options | None:
    """A type's own options; None when they do not fit or need what is not built.

    common: the keys that stand beside them and are read elsewhere, for hints.
    """
    own: dict[str, Any] = {}
    findings: list[Finding] = []
    known = (*kind.options.keys(), *kind.not_yet, *common)
    for key, each in value.items():
        if key in kind.options.keys():
            own[key] = each
        elif key not in kind.not_yet:
            text = f"there is no key {key!r} here"
            hint = nearest(key, known)
            findings.append(document.finding((*at, key), "config.unknown_key", text, hint))
        elif each != "no":
            findings.append(document.finding((*at, key), "site.not_yet", kind.not_yet[key]))
    options, more = fit(kind.options, own, document, at)
    if any(each.code == "site.not_yet" for each in findings):
        more = [each for each in more if each.code != "config.missing_key"]
    draft.findings += findings + more
    return (
        None if findings or options is None else _secured(draft.config, document.name, options)
    )


def _secured(config: Config, owner: str, options: Options) -> Options:
    """With the `tls` that it names; a name that leads nowhere stays, for securing.py."""
    said = getattr(options, "tls", None)
    if not isinstance(said, Tls):
        return options
    own = said if said.reference else said.model_copy(update={"name": owner})
    return options.model_copy(update={"tls": config.tls.get(said.reference, own)})
