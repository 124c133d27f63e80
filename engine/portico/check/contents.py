"""Places that cannot read the content of their channel: HL7 places in XML, and the like."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from portico.check import references
from portico.check.draft import Draft
from portico.check.pipeline import Pipeline, PipelineStep
from portico.hl7 import names, transcode
from portico.hl7.transcode import UTF16
from portico.language.content import Content
from portico.language.place import Hl7Place, Place
from portico.spec.content import carries_any, misfit
from portico.spec.destination import AS_IT_IS
from portico.spec.document import Document, Location
from portico.spec.finding import Finding, Severity

_OTHERS = ("python", "plugin", "llm", "stand-in")  # what these give may be of another kind


def misfits(draft: Draft) -> Iterator[Finding]:
    """One finding for each; an agent is looked at when all that it answers is of one kind."""
    for name, channel in draft.channels.items():
        document, form = draft.named["channel", name], channel.content.form
        order, repeats = channel.order_by, channel.duplicates
        keys = [key for key in (*order.keys, *order.beside) if isinstance(key, Place)]
        yield from _of(document, ("order_by",), form, keys)
        if "key" in repeats.model_fields_set:
            yield from _of(document, ("duplicates", "key"), form, repeats.key)
    for pipeline in draft.pipelines:
        agent = draft.agents.get(pipeline.document.name)
        if agent is None or "signal" in agent.on.allowed:
            continue
        heard = references.heard(agent, draft)
        forms = {draft.channels[name].content.form for name in heard}
        if len(forms) == 1:
            (form,) = forms
            yield from _of(pipeline.document, ("on",), form, agent.on.places)
            yield from _of_steps(pipeline, form)


def emitted(draft: Draft) -> dict[str, Content]:
    """What Signals that agents emit are, by origin, where an `emit` says it."""
    said = ((f"signal:{name}", form) for name, form, _, _ in _emits(draft))
    return {origin: form for origin, form in said if form is not None}


def disagreeing(draft: Draft) -> Iterator[Finding]:
    """Emits of one signal that say different contents: who answers it could not read both."""
    first: dict[str, Content | None] = {}
    for name, form, document, at in _emits(draft):
        if first.setdefault(name, form) != form:
            text = f"another emit of {name!r} says another content, or none"
            yield document.finding((*at, "content"), "site.emit", text, "say the same in all")


def _emits(draft: Draft) -> Iterator[tuple[str, Content | None, Document, Location]]:
    """Name, content, document and place of each."""
    for pipeline in draft.pipelines:
        for stage in pipeline.stages:
            if stage.form["verb"] == "emit" and stage.options is not None:
                options: Any = stage.options
                form = options.content.form if options.content is not None else None
                yield options.signal, form, pipeline.document, stage.at


def unframed(draft: Draft) -> Iterator[Finding]:
    """UTF-16 where the framing cannot carry it: its bytes may look like the end of a frame."""
    for name, destination in draft.destinations.items():
        if destination.charset == AS_IT_IS or transcode.known(destination.charset) != UTF16:
            continue
        if carries_any(destination.type, destination.options):
            continue
        text = f"{destination.type} cannot carry UTF-16 in its frames"
        document, hint = draft.named["destination", name], "send UNICODE UTF-8"
        yield document.finding(("charset",), "config.charset", text, hint)


def _of_steps(pipeline: Pipeline, form: Content) -> Iterator[Finding]:
    """The places of the steps, as far as their content is surely the channel's."""
    for stage, places in pipeline.places():
        if stage.form["verb"] in _OTHERS or getattr(stage.options, "new", None) is not None:
            return
        if stage.form["verb"] == "validate" and stage.options is not None:
            yield from _of_schema(pipeline.document, stage, form)
        for place in places:
            yield from _of(
                pipeline.document, pipeline.find(stage.at, str(place)), form, [place]
            )


def _of_schema(document: Document, stage: PipelineStep, form: Content) -> Iterator[Finding]:
    """A JSON Schema for JSON, an XML Schema for XML, none for all else."""
    name = getattr(stage.options, "schema_", None)
    wanted = {"json": "a JSON Schema", "xml": "an XML Schema (.xsd)"}.get(form.type)
    if name is None or (wanted and (form.type == "xml") is str(name).endswith(".xsd")):
        return
    hint = (
        "see structure and profile"
        if form.type == "hl7"
        else f"use {wanted or 'require and values'}"
    )
    text = f"{name} is no schema for {form.type} content"
    yield document.finding((*stage.at, "schema"), "config.validate", text, hint)


def _of(
    document: Document, at: Location, form: Content, places: Iterable[Place]
) -> Iterator[Finding]:
    for place in sorted(set(places), key=str):
        if why := misfit(form, place):
            text, _, hint = why.partition("; ")
            yield document.finding(document.known(at), "site.place", text, hint)
        elif isinstance(place, Hl7Place) and (strange := _strange(place.path.segment)):
            text, code = f"no version of HL7 has a segment {place.path.segment}", "site.segment"
            where = document.known(at)
            yield document.finding(where, code, text, strange, Severity.WARNING)


def _strange(segment: str) -> str:
    """What is meant, where the standard has no such segment; Z segments are the site's own."""
    if segment.startswith("Z") or segment in names.segments():
        return ""
    near = difflib.get_close_matches(segment, sorted(names.segments()), 5, 0.6)
    turned = [one for one in near if sorted(one) == sorted(segment)]  # PDI for PID
    best = (*turned, *near)[:1]
    return f"did you mean {best[0]}?" if best else "those of a site begin with Z"
