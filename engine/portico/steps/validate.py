"""`validate`: what the content must hold; the first rule that is broken is the error.

Its `on_error` is `refuse`, so the sender is told the place (ERR-2) and the code (ERR-3).
Source of the codes: HL7 table 0357.
"""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from portico.errors import ConfigError, ContentInvalid, RuleBroken, StepTimeout
from portico.hl7 import structure
from portico.hl7.structure import Deviation
from portico.hl7.view import MessageView
from portico.language import dates, test
from portico.language.content import JsonView
from portico.language.place import Hl7Place, Place, PointerPlace, Value
from portico.spec import fields
from portico.spec.fields import Options, Switch, Text
from portico.spec.rules import PlaceField, PlacesField, TestField
from portico.steps import deadline, profile
from portico.steps.body import Hl7Body
from portico.steps.contract import Build, End, StepType
from portico.steps.deadline import Expired
from portico.steps.state import RunState

_MISSING = "101"  # required field missing
_TYPE = "102"  # data type error
_VALUE = "103"  # table value not found

Rule = Callable[[RunState], None]


class ValidateOptions(Options):
    """require: valued, under `[*]` all. values: a test each. formats: of what is there.

    schema: a JSON Schema, or by its ending `.xsd` an XML Schema, below the site's folder.
    profile: a message profile of HL7 in XML, there too. structure: whether it is
    checked by the tables of the message's own version.
    """

    require: PlacesField = ()
    values: dict[PlaceField, TestField] = Field(default_factory=dict)
    formats: dict[PlaceField, Literal["date", "time", "number"]] = Field(default_factory=dict)
    schema_: Text | None = Field(default=None, alias="schema")
    profile: Text | None = None
    structure: Switch = False

    @model_validator(mode="after")
    def _something(self) -> Self:
        files = (self.schema_, self.profile)
        if not any((self.require, self.values, self.formats, *files, self.structure)):
            raise fields.wrong(
                "config.validate",
                "validate checks nothing",
                "add require, values, formats, schema, profile or structure",
            )
        return self


class _Validate:
    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules

    def run(self, state: RunState) -> End | None:
        for rule in self._rules:
            rule(state)
        return None


def _required(place: Place) -> Rule:
    def rule(state: RunState) -> None:
        values = place.slots(state.context)
        if not values or not all(isinstance(value, str) for value in values):
            raise _broken(f"{place} is missing", place, _MISSING)

    return rule


def _tested(place: Place, asked: test.Test) -> Rule:
    def rule(state: RunState) -> None:
        if place.many:
            holds = asked.many(place.slots(state.context), state.context)
        else:
            holds = asked.one(place.text(state.context), state.context)
        if not holds:
            raise _broken(f"{place} is not one of the values that are accepted", place, _VALUE)

    return rule


_FORMATS: dict[str, Callable[[str], bool]] = {
    "date": lambda text: dates.read(text) is not None,
    "time": dates.is_time,
    "number": test.is_number,
}


def _formatted(place: Place, kind: str) -> Rule:
    fits = _FORMATS[kind]

    def wrong(value: Value) -> bool:
        return isinstance(value, str) and not fits(value)

    def rule(state: RunState) -> None:
        if any(wrong(value) for value in place.texts(state.context)):
            raise _broken(f"{place} is not a {kind}", place, _TYPE)

    return rule


def _structured() -> Rule:
    # By name: hl7apy costs time and memory that only sites that ask should pay.
    standard = importlib.import_module("portico.steps.standard")

    def rule(state: RunState) -> None:
        view = _view(state)
        _bounded(state, lambda: structure.check(view, standard.grammar(view.header)))

    return rule


def _profiled(file: Path) -> Rule:
    try:
        grammar = profile.read(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"profile {file.name}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"profile {file.name}: {error}") from error

    def rule(state: RunState) -> None:
        view = _view(state)
        _bounded(state, lambda: structure.check(view, grammar))

    return rule


def _schemed(name: str, root: Path) -> Rule:
    """Raises ConfigError when there is no such schema, or it cannot be compiled."""
    file = root / name
    try:
        if not file.resolve().is_relative_to(root.resolve()):
            raise ValueError("it is not below the site's folder")
        return _of_xml(file, root) if file.suffix == ".xsd" else _of_json(file)
    except OSError as error:
        raise ConfigError(f"schema {name}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"schema {name}: {error}") from error


def _of_json(file: Path) -> Rule:
    # By name: only sites that ask for a schema load what reads it.
    rules = importlib.import_module("portico.steps.jsonrules").JsonRules(file.read_bytes())

    def rule(state: RunState) -> None:
        view = state.body.reading
        if not isinstance(view, JsonView):
            raise ContentInvalid(f"{state.body.kind} content has no JSON Schema")
        value = view.value
        _bounded(state, lambda: rules.broken(value))

    return rule


def _of_xml(file: Path, root: Path) -> Rule:
    rules = importlib.import_module("portico.steps.xmlrules").XmlRules(file, root)

    def rule(state: RunState) -> None:
        if state.body.kind != "xml":
            raise ContentInvalid(f"{state.body.kind} content has no XML Schema")
        top = getattr(state.body.reading, "root", None)
        _bounded(state, lambda: rules.broken(top))

    return rule


def _view(state: RunState) -> MessageView:
    if isinstance(state.body, Hl7Body):
        return state.body.message.view
    raise ContentInvalid(f"{state.body.kind} content has no HL7 structure")


def _bounded(state: RunState, checked: Callable[[], Sequence[Deviation]]) -> None:
    """Raises RuleBroken for the first finding, StepTimeout at the agent's limit."""
    try:
        found = deadline.call(state.left(), checked)
    except Expired:
        raise StepTimeout("the message is too much to check in limits.time") from None
    if found:
        raise RuleBroken(*found[0])


def _broken(text: str, place: Place, code: str) -> RuleBroken:
    named = isinstance(place, Hl7Place | PointerPlace)
    return RuleBroken(text, place.source if named else "", code)


def _build(options: Any, build: Build) -> _Validate:
    rules = [_required(place) for place in options.require]
    rules += [_tested(place, asked) for place, asked in options.values.items()]
    rules += [_formatted(place, kind) for place, kind in options.formats.items()]
    if options.structure:
        rules.append(_structured())
    if options.schema_ is not None:
        rules.append(_schemed(options.schema_, build.root))
    if options.profile is not None:
        rules.append(_profiled(build.root / options.profile))
    return _Validate(tuple(rules))


VALIDATE = StepType("validate", "Refuses what breaks a rule", ValidateOptions, _build)
