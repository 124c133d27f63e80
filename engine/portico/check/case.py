"""`case:` documents in `channels/*.test.yaml` (SITE reference, section 4)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from portico.check.draft import CHANNELS, visible
from portico.check.site import Site
from portico.language.condition import Condition
from portico.language.place import Place
from portico.spec.document import Document, read
from portico.spec.fields import ONE_OR_MANY, Name, Options, Text, nearest, wrong
from portico.spec.finding import Finding
from portico.spec.rules import PlaceField, walk
from portico.spec.shape import fit

PATTERN = "*.test.yaml"


class Given(Options):
    """A message: a file of the site, or a text of the case itself."""

    short = "file"
    file: Text = ""
    text: Text = ""

    @model_validator(mode="after")
    def _one(self) -> "Given":
        if bool(self.file) == bool(self.text):
            raise wrong("config.value", "expected a file or {text: ...}")
        return self


class StandIn(Options):
    """What takes the place of a step. gives: what it returns; fails: how it fails instead."""

    gives: Any = None
    fails: Literal["transient", "permanent"] | None = None


class Golden(Options):
    """A whole message that is compared field by field, but for what is ignored."""

    golden: Text
    ignore: Annotated[tuple[PlaceField, ...], ONE_OR_MANY] = ()


Wanted = Condition | Golden


def _one_wanted(value: Any) -> Wanted:
    if isinstance(value, Condition | Golden):
        return value
    if isinstance(value, dict) and "golden" in value:
        return Golden.model_validate(value)
    return Condition.parse(value)


def _wanted(value: Any) -> tuple[Wanted, ...]:
    """What is wanted of the messages to one receiver, in order."""
    items = value if isinstance(value, list | tuple) else [value]
    return tuple(_one_wanted(item) for item in items)


def _verdict(value: Any) -> tuple[str, str]:
    """(verdict, step); the step is empty when the case does not say it."""
    kind, step = value, ""
    if isinstance(value, dict) and len(value) == 1:
        [(kind, step)] = value.items()
    elif isinstance(value, tuple):
        kind, step = value
    if kind not in ("deliver", "drop", "refuse", "fault") or not isinstance(step, str):
        hint = "one of deliver, drop, refuse, fault, or {drop: STEP}"
        raise wrong("config.choice", "not a verdict", hint)
    return kind, step


def _ack(value: Any) -> Condition | None:
    if value is None or value == "none":
        return None
    return value if isinstance(value, Condition) else Condition.parse(value)


WantedField = Annotated[
    tuple[Any, ...],
    PlainValidator(_wanted),
    WithJsonSchema({"type": ["object", "array"]}),
]


class Expect(Options):
    """What must come of it. What is not said is not looked at.

    ack: a condition on the last answer, None for no answer. deliveries: by destination; one
    that is not named gets nothing. emits: by Signal name.
    """

    verdict: Annotated[
        tuple[str, str],
        PlainValidator(_verdict),
        WithJsonSchema({"type": ["string", "object"]}),
    ] = ("", "")
    ack: Annotated[
        Condition | None,
        PlainValidator(_ack),
        WithJsonSchema({"anyOf": [{"const": "none"}, {"type": ["object", "array"]}]}),
    ] = None
    deliveries: dict[Name, WantedField] | None = None
    emits: dict[Name, WantedField] | None = None


class Case(Options):
    """One case. set: edits to each message given, by place. tools: what plugins' tools give
    that a model calls. answers: what destinations say to what they are sent; by default,
    success.
    """

    case: Text
    channel: Name = ""
    signal: Name = ""
    given: Annotated[tuple[Given, ...], ONE_OR_MANY]
    set: dict[str, Text] = Field(default_factory=dict)
    steps: dict[Name, StandIn] = Field(default_factory=dict)
    tools: dict[Text, StandIn] = Field(default_factory=dict)
    answers: dict[Name, Given] = Field(default_factory=dict)
    expect: Expect

    @model_validator(mode="after")
    def _whole(self) -> "Case":
        if bool(self.channel) == bool(self.signal):
            raise wrong("config.value", "a case has a channel or a signal")
        for place in self.set:
            Place.parse(place)
        return self

    @property
    def origin(self) -> str:
        """The channel's name, or `signal:NAME`."""
        return self.channel or f"signal:{self.signal}"


@dataclass(frozen=True, slots=True)
class PlacedCase:
    """A case and where it stands."""

    case: Case
    document: Document

    @property
    def place(self) -> str:
        """`channels/adt.test.yaml:12`."""
        return f"{self.document.path}:{self.document.line}"


def read_cases(
    root: Path, files: Iterable[Path] = ()
) -> tuple[list[PlacedCase], list[Finding]]:
    """The cases of these files, or of all that the site has; and what is wrong with them."""
    found: list[PlacedCase] = []
    findings: list[Finding] = []
    for path in tuple(files) or visible(root / CHANNELS, PATTERN):
        documents, wrongs = read(path, _name(path, root))
        findings += wrongs
        for document in documents:
            if document.noun != "case":
                text = f"a {document.noun} has no place among cases"
                findings.append(document.finding((), "site.case_place", text))
                continue
            case, wrongs = fit(Case, document.value, document)
            findings += wrongs
            if case is not None:
                found.append(PlacedCase(case, document))
    return found, findings


def examine_cases(root: Path, site: Site | None) -> list[Finding]:
    """What is wrong with the site's cases. site: when it is whole, to look up names."""
    found, findings = read_cases(root)
    if site is not None:
        findings += [finding for one in found for finding in _dangling(one, site)]
    return findings


def _dangling(found: PlacedCase, site: Site) -> Iterator[Finding]:
    """Names of channels, destinations and steps that the site does not have."""
    case, document = found.case, found.document
    if case.channel and case.channel not in site.channels:
        hint = nearest(case.channel, site.channels)
        text = f"there is no channel {case.channel!r}"
        yield document.finding(("channel",), "site.unknown_channel", text, hint)
    wanted = [("expect", "deliveries", name) for name in case.expect.deliveries or ()]
    for *place, name in (*wanted, *(("answers", name) for name in case.answers)):
        if name not in site.destinations:
            hint = nearest(name, site.destinations)
            text = f"there is no destination {name!r}"
            code = "site.unknown_destination"
            yield document.finding((*place, name), code, text, hint)
    yield from _missing(found, site.root)
    steps = {step["name"] for agent in site.agents.values() for step in walk(agent.steps)}
    for name in case.steps.keys() - steps:
        text = f"no agent has a step {name!r}"
        yield document.finding(("steps", name), "site.unknown_step", text, nearest(name, steps))
    granted = (one for agent in site.agents.values() for one in agent.granted.values())
    tools = {tool.call for frozen in granted for tool in frozen.tools if not tool.builtin}
    for name in case.tools.keys() - tools:
        text = f"no model may call {name!r}"
        yield document.finding(("tools", name), "site.unknown_tool", text, nearest(name, tools))


def _missing(found: PlacedCase, root: Path) -> Iterator[Finding]:
    """Files of messages and answers that are not there. Golden files are made by --update."""
    case = found.case
    named: list[tuple[tuple[str, ...], str]] = [(("given",), one.file) for one in case.given]
    named += [(("answers", name), one.file) for name, one in case.answers.items()]
    for place, file in named:
        if file and not (root / file).is_file():
            beside = [one.name for one in (root / file).parent.glob("*")]
            hint = nearest(Path(file).name, beside)
            yield found.document.finding(
                place, "site.case_file", f"there is no file {file}", hint
            )


def _name(path: Path, root: Path) -> str:
    absolute = path.absolute()
    inside = absolute.is_relative_to(root.absolute())
    return absolute.relative_to(root.absolute()).as_posix() if inside else str(path)
