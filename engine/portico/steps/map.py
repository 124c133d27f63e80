"""`map`: writes fields from fields.

Sources are read from the message as it came into the step, `format` acts last, a place is
written once: so the order of the lines means nothing. `[*]` on both sides pairs them.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Self

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from portico.hl7.path import Path
from portico.language.context import Context
from portico.language.place import AsidePlace, EnvelopePlace, Hl7Place, Place
from portico.language.template import Template
from portico.spec import fields
from portico.spec.fields import ONE_OR_MANY, Options
from portico.spec.rules import PlaceField, TargetField, TemplateField
from portico.steps import formats, fresh, targets
from portico.steps.body import Body, Hl7Body
from portico.steps.contract import Build, End, StepType
from portico.steps.formats import FormatField
from portico.steps.fresh import Make
from portico.steps.state import RunState

_KEYS = ("set", "copy", "default", "remove", "format", "new")


def _new(value: Any) -> Make:
    try:
        return fresh.parse(fields.text_of(value))
    except ValueError as error:
        text, _, hint = str(error).partition("; ")
        raise fields.wrong("config.new", text, hint) from None


class MapOptions(Options):
    """At least one of its keys; no place is written by two lines."""

    new: Annotated[Make | None, PlainValidator(_new), WithJsonSchema({"type": "string"})] = None
    set_: dict[TargetField, TemplateField] = Field(default_factory=dict, alias="set")
    copy_: dict[TargetField, PlaceField] = Field(default_factory=dict, alias="copy")
    default: dict[TargetField, TemplateField] = Field(default_factory=dict)
    remove: Annotated[tuple[PlaceField, ...], ONE_OR_MANY] = ()
    format: dict[TargetField, FormatField] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self.model_fields_set:
            raise fields.wrong(
                "config.map", "map does nothing", f"its keys: {', '.join(_KEYS)}"
            )
        for place in self.remove:
            if isinstance(place, EnvelopePlace | AsidePlace):
                raise fields.wrong("config.map", f"{place} is not of the content")
        for target, origin in self.copy_.items():
            if targets.level(origin) < targets.level(target):
                raise fields.wrong(
                    "config.map",
                    f"{origin} has parts that {target} cannot hold",
                    f"copy a part of {origin}, such as its first component",
                )
        written = [*self.set_, *self.copy_, *self.default, *self.remove]
        for index, one in enumerate(written):
            for other in written[:index]:
                if targets.overlap(one, other):
                    raise fields.wrong(
                        "config.map", f"{other} and {one} write the same", "use two map steps"
                    )
        return self


class _Map:
    def __init__(self, options: MapOptions) -> None:
        self._make = options.new
        self._set = tuple(options.set_.items())
        self._copy = tuple(options.copy_.items())
        self._default = tuple(options.default.items())
        self._remove = options.remove
        self._format = tuple(options.format.items())

    def run(self, state: RunState) -> End | None:
        now = state.context
        source = Context(now.view, now.envelope, dict(state.aside), now.tables)
        body = state.body.fork() if self._make is None else self._make(state)
        target = Context(body.reading, source.envelope, state.aside)
        lines = list(self._written(source, target))
        removed = [one for place in self._remove for one in targets.targets(place, target)]
        for place, origin in self._copied(source, target):
            _copy(state, body, source, origin, place)
        for place, text in lines:
            _write(state, body, place, text)
        for place in targets.from_behind(removed):
            body.remove(place)
        for place, form in self._format:
            _format(state, body, place, form)
        state.take(body)
        return None

    def _written(self, source: Context, target: Context) -> Iterator[tuple[Place, str]]:
        """All lines of set and default, read before the first is written."""
        for place, template in self._set:
            yield from _paired(place, template, source, target)
        for place, template in self._default:
            for one, text in _paired(place, template, source, target):
                if one.text(target) is None:
                    yield one, text

    def _copied(self, source: Context, target: Context) -> list[tuple[Place, Place | None]]:
        """(place, origin); no origin empties the place."""
        pairs: list[tuple[Place, Place | None]] = []
        for place, origin in self._copy:
            if not place.many:
                pairs += [(one, origin) for one in targets.targets(place, target)]
                continue
            origins = list(targets.targets(origin, source))
            places = targets.targets(place, target) or targets.made(place, len(origins))
            for index, one in enumerate(places):
                single = origins[0] if origins and not origin.many else None
                paired = origins[index] if origin.many and index < len(origins) else single
                pairs.append((one, paired))
        return pairs


def _paired(
    place: Place, template: Template, source: Context, target: Context
) -> Iterable[tuple[Place, str]]:
    """One line for each place that the left side names; `[*]` reads the value beside it."""
    if not place.many:
        return [(one, template.render(source)) for one in targets.targets(place, target)]
    places = targets.targets(place, target) or targets.made(place, template.count(source))
    return zip(places, template.each(source, len(places)), strict=True)


def _copy(
    state: RunState, body: Body, source: Context, origin: Place | None, place: Place
) -> None:
    if origin is None:
        body.write(place, "")
    elif isinstance(place, AsidePlace):
        state.put_aside(place, origin.value(source))
    else:
        body.copy(source, origin, place)


def _write(state: RunState, body: Body, place: Place, text: str) -> None:
    if isinstance(place, AsidePlace):
        state.put_aside(place, text)
    else:
        body.write(place, text)


def _format(state: RunState, body: Body, place: Place, form: formats.Format) -> None:
    """Every value that is there now."""
    now = Context(body.reading, state.context.envelope, state.aside)
    for one in targets.targets(place, now):
        if isinstance(body, Hl7Body) and isinstance(one, Hl7Place):
            _format_raw(body, one.path, form)
        elif isinstance(text := one.text(now), str):
            _write(state, body, one, formats.apply(form, text, one.source))


def _format_raw(body: Hl7Body, path: Path, form: formats.Format) -> None:
    reading = body.message.reading
    raw = reading.raw(path)
    if raw is not None:
        body.message.edit.set_raw(path, formats.reformat(form, raw, reading, path))


def _build(options: Any, build: Build) -> _Map:
    return _Map(options)


MAP = StepType("map", "Writes fields from fields", MapOptions, _build)
