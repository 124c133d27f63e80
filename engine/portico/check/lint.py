"""How the documents of a site fit together, and with the files of the site."""

from collections.abc import Iterator
from typing import Any

from portico.agents import sources
from portico.check import (
    addresses,
    answering,
    capabilities,
    contents,
    keeping,
    models,
    operating,
    plugins,
    references,
    renaming,
    wsdls,
)
from portico.check.codes import UNREAD
from portico.check.draft import Draft
from portico.check.pipeline import Pipeline, PipelineStep
from portico.check.securing import misfits
from portico.check.transforms import Complaint, Transforms, lacking
from portico.errors import ConfigError, PathInvalid, SecretMissing
from portico.spec.document import Document, Location
from portico.spec.finding import Finding, Severity, errors
from portico.spec.rules import GROUP
from portico.spec.secrets import Secret
from portico.spec.site import JOURNAL
from portico.steps.contract import Build, StepType


def findings(draft: Draft) -> Iterator[Finding]:
    """Everything between documents, and between documents and the site's files.

    When a file could not be read as YAML nobody knows what it would have named, so nothing is
    then said to be missing. What is merely unused is said of a site without errors.
    """
    found = [
        *addresses.misfits(draft),
        *_secrets(draft),
        *_code(draft),
        *operating.findings(draft),
        *contents.misfits(draft),
        *renaming.findings(draft),
        *wsdls.misfits(draft),
        *contents.unframed(draft),
        *contents.disagreeing(draft),
        *models.misfits(draft),
        *capabilities.misfits(draft),
    ]
    found += misfits(draft)
    if not any(each.code in UNREAD for each in draft.findings):
        found += references.dangling(draft)
        found += answering.misfits(draft)
    if not errors((*draft.findings, *found)):
        found += references.unused(draft)
        found += keeping.short(draft)
    yield from found


def _secrets(draft: Draft) -> Iterator[Finding]:
    """Files and credentials that are not there; variables were looked at before."""
    for document in draft.documents:
        for at, text in _texts(document):
            overridden = at == ("journal", "url") and not document.noun
            if at[0] == GROUP or (overridden and draft.environ.get(JOURNAL)):
                continue
            try:
                secret = Secret.parse(text)
            except ValueError:
                continue
            try:
                if secret.kind != "env":
                    secret.reveal(draft.root, draft.environ)
            except SecretMissing as error:
                text, _, hint = str(error).partition("; ")
                yield document.finding(at, error.code, text, hint)
            else:
                if secret.exposed(draft.root):
                    text, hint = (
                        f"every user of this machine can read {secret}",
                        "chmod o= FILE",
                    )
                    yield document.finding(
                        at, "config.secret_open", text, hint, Severity.WARNING
                    )


def _texts(document: Document) -> Iterator[tuple[Location, str]]:
    for at in document.lines:
        if at and isinstance(text := document.at(at), str) and "${" in text:
            yield at, text


def _code(draft: Draft) -> Iterator[Finding]:
    """Transforms and tables that are not there or do not fit the steps that name them."""
    transforms = Transforms(draft.root)
    for pipeline in draft.pipelines:
        for table in pipeline.tables():
            found = transforms.table(table.name)
            if isinstance(found, Complaint):
                yield _about(pipeline.document, table.at, found)
        for stage in pipeline.stages:
            yield from _of_stage(draft, transforms, pipeline, stage)
    for module in draft.config.workers.preload:
        broken = transforms.module(module)
        if isinstance(broken, Complaint):
            document = next(each for each in draft.documents if not each.noun)
            yield _about(document, ("workers", "preload"), broken)


def _of_stage(
    draft: Draft, transforms: Transforms, pipeline: Pipeline, stage: PipelineStep
) -> Iterator[Finding]:
    options: Any = stage.options
    if options is None or stage.kind is None:
        return
    if stage.kind.verb == "python":  # building it would import the site's code
        if complaint := transforms.call(options.call, options.with_):
            yield _about(pipeline.document, stage.at, complaint)
        return
    if stage.kind.verb == "plugin" and (wrong := plugins.unknown(draft.plugins, options.call)):
        yield pipeline.document.finding(pipeline.find(stage.at, options.call), *wrong)
        return
    if stage.kind.verb == "lookup":
        table = transforms.table(options.table)
        if isinstance(table, Complaint):
            return
        if complaint := lacking(table, options.column):
            yield _about(pipeline.document, stage.at, complaint)
            return
    yield from _built(draft, pipeline, stage, stage.kind)


def _built(
    draft: Draft, pipeline: Pipeline, stage: PipelineStep, kind: StepType
) -> Iterator[Finding]:
    """What a verb itself finds wrong with options that fit their shape."""

    where = stage.form["name"], stage.form["at"], draft.root
    tools = plugins.known_tools(draft.plugins)
    build = Build(*where, sources.tables(draft.root), _nothing, tools=tools)
    try:
        kind.build(stage.options, build)
    except (ConfigError, PathInvalid, ValueError) as error:
        text, _, hint = str(error).partition("; ")
        found = pipeline.document.finding(stage.at, "config.step", text, hint)
        if not any(_within(one, found) for one in draft.findings):
            yield found


def _within(one: Finding, other: Finding) -> bool:
    """Whether it is about a part of what the other is about: the condition of a branch, say."""
    return one.path == other.path and one.key.startswith(f"{other.key}[")


class _Nothing:
    """Stands for inner steps, which are looked at by themselves."""

    def run(self, state: object) -> None:
        """Never called."""


def _nothing(_: object) -> _Nothing:
    return _Nothing()


def _about(document: Document, at: Location, what: Complaint) -> Finding:
    if what.path:
        return Finding(what.path, what.line, "", what.text, what.hint, what.code)
    return document.finding(at, what.code, what.text, what.hint)
