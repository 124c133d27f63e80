"""The steps of an agent fitted to the options of their verbs, and all that they name."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from portico import catalog
from portico.errors import PathInvalid, TypeUnknown
from portico.language.condition import Condition
from portico.language.place import AsidePlace, Place
from portico.language.template import Template
from portico.language.test import Test
from portico.spec.agent import At
from portico.spec.document import Document, Location
from portico.spec.fields import Options
from portico.spec.finding import Finding
from portico.spec.rules import GROUP, OnError, walk
from portico.spec.shape import fit
from portico.steps.contract import StepType


@dataclass(frozen=True, slots=True)
class PipelineStep:
    """One step. form: its normal form. at: where its verb's argument stands.

    kind, options: None when the verb is unknown or its argument does not fit.
    """

    form: Mapping[str, Any]
    at: Location
    kind: StepType | None
    options: Options | None


@dataclass(frozen=True, slots=True)
class Named:
    """Something that a step names, and where."""

    name: str
    at: Location


@dataclass(slots=True)
class Pipeline:
    """All steps of an agent, inner ones too, in the order of the file."""

    document: Document
    stages: list[PipelineStep] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @classmethod
    def read(cls, document: Document, forms: list[dict[str, Any]]) -> "Pipeline":
        """The pipeline of steps in normal form whose `at` are spec.agent.At."""
        pipeline = cls(document)
        for form in walk(forms):
            if form["verb"] != GROUP:
                pipeline._take(form)
        return pipeline

    def _take(self, form: Mapping[str, Any]) -> None:
        verb, spot = form["verb"], form["at"].spot if isinstance(form["at"], At) else ()
        kind, options = None, None
        try:
            kind = catalog.step(verb)
        except TypeUnknown as error:
            code = "site.not_yet" if error.planned else error.code
            self.findings.append(
                self.document.finding((*spot, verb), code, error.text, error.hint)
            )
        if kind is not None:
            at = (*spot, verb)
            options, findings = fit(kind.options, form["args"], self.document, at)
            self.findings += findings
        self.stages.append(PipelineStep(form, (*spot, verb), kind, options))

    def wanted(self, verb: str, key: str) -> Iterator[Named]:
        """What the steps of a verb name under a key: one text or several."""
        for stage in self.stages:
            if stage.form["verb"] == verb and stage.options is not None:
                value = getattr(stage.options, key)
                for name in value if isinstance(value, tuple) else (value,):
                    yield Named(name, self.find(stage.at, name))

    def aside(self) -> set[str]:
        """The names that some step puts aside."""
        names = set()
        for stage in self.stages:
            args = stage.form["args"] if isinstance(stage.form["args"], dict) else {}
            into = args.get("into")
            names |= {into.partition("/")[0]} if isinstance(into, str) else set()
            for key in ("set", "copy", "default"):
                written = args.get(key)
                names |= (
                    {p.partition("/")[0] for p in written}
                    if isinstance(written, dict)
                    else set()
                )
        return names

    def asides_read(self) -> Iterator[Named]:
        """The put-aside names that steps read."""
        for at, value in self._read():
            for place in _places(value):
                if isinstance(place, AsidePlace):
                    yield Named(place.source.partition("/")[0], self.find(at, place.source))

    def places(self) -> Iterator[tuple[PipelineStep, list[Place]]]:
        """The steps in their order, each with the places that it and its `when` read."""
        for stage in self.stages:
            read = [stage.options, _condition(stage.form["when"])]
            yield stage, [place for each in read if each for place in _places(each)]

    def tables(self) -> Iterator[Named]:
        """The tables that steps read."""
        for at, value in self._read():
            for table in _tables(value):
                yield Named(table, self.find(at, table))
        yield from self.wanted("lookup", "table")

    def find(self, base: Location, text: str) -> Location:
        """The first place below `base` whose key or value is the text, else the first that
        holds it as a word, else as part of one, else `base`."""
        word = re.compile(rf"(?<![\w.-]){re.escape(text)}(?![\w.-])")
        found: dict[int, Location] = {}
        for location in self.document.lines:
            if location[: len(base)] == base and len(location) > len(base):
                value = self.document.at(location)
                said = value if isinstance(value, str) else ""
                if text in (location[-1], said):
                    return location
                if text in said:
                    found.setdefault(0 if word.search(said) else 1, location)
        return found.get(0, found.get(1, base))

    def _read(self) -> Iterator[tuple[Location, Any]]:
        """Every typed value that reads places, with where it stands."""
        for stage in self.stages:
            spot = stage.at[:-1]
            if stage.options is not None:
                yield stage.at, stage.options
            if (when := _condition(stage.form["when"])) is not None:
                yield (*spot, "when"), when
            if stage.form["on_error"] is not None:
                yield (*spot, "on_error"), OnError.parse(stage.form["on_error"]).text


def _condition(raw: Any) -> Condition | None:
    """The condition of a `when`; None when there is none or it was found wrong."""
    try:
        return None if raw is None else Condition.parse(raw)
    except (ValueError, PathInvalid):
        return None


def _parts(value: Any) -> Iterator[Any]:
    """Everything inside a step's options, however deep; steps within it are not its own."""
    pending = [value]
    while pending:
        part = pending.pop()
        yield part
        if isinstance(part, Options):
            pending += [getattr(part, name) for name in type(part).model_fields]
        elif isinstance(part, dict) and "verb" not in part:
            pending += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple):
            pending += part


def _places(value: Any) -> Iterator[Place]:
    for part in _parts(value):
        if isinstance(part, Place):
            yield part
        elif isinstance(part, Condition | Test | Template):
            yield from part.places


def _tables(value: Any) -> Iterator[str]:
    for part in _parts(value):
        if isinstance(part, Condition | Test):
            yield from part.tables
