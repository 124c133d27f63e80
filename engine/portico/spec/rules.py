"""Places, conditions, templates and steps as site files hold them.

The annotated types are for pydantic models, as those of spec/fields.py; StepReader brings
the steps of an agent into the one form that agents/plan.py compiles.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import PlainValidator, WithJsonSchema

from portico.errors import PathInvalid
from portico.language import test
from portico.language.condition import Condition
from portico.language.place import EnvelopePlace, Hl7Place, Place, aside_name
from portico.language.template import Template
from portico.language.test import Test
from portico.spec import fields
from portico.spec.fields import ONE_OR_MANY

T = TypeVar("T")
Spot = tuple[str | int, ...]  # where in the document: ("steps", 0, "on_error")

ACTS = ("park", "drop", "stop", "continue", "refuse")
COMMON = ("name", "when", "on_error")  # keys of every step beside its verb
GROUP = "steps"  # the verb of a group: steps that share a `when`


def _read(kind: type[T], parse: Callable[[Any], T], code: str) -> PlainValidator:
    """A validator that leaves compiled values alone; its errors say what would be right."""

    def validate(value: Any) -> T:
        if isinstance(value, kind):
            return value
        try:
            return parse(value)
        except (ValueError, PathInvalid) as error:
            text, _, hint = str(error).partition("; ")
            raise fields.wrong(f"config.{code}", text, hint) from None

    return PlainValidator(validate)


def _target(value: object) -> Place:
    """A place that steps can write. Raises ValueError or PathInvalid."""
    read = Place.parse(fields.text_of(value))
    if isinstance(read, EnvelopePlace):
        raise ValueError(f"{value!r} is of the envelope, never written; use another name")
    if isinstance(read, Hl7Place) and read.path.field is None:
        raise ValueError(f"{value!r} is a segment, a value needs a field; try '{value}-1'")
    return read


def _aside(value: object) -> str:
    try:
        return aside_name(fields.text_of(value))
    except ValueError as error:
        text, _, hint = str(error).partition("; ")
        raise fields.wrong("config.name", text, hint) from None


PlaceField = Annotated[
    Place,
    _read(Place, lambda value: Place.parse(fields.text_of(value)), "place"),
    WithJsonSchema({"type": "string", "examples": ["PID-3[5=MR].1", "/order/id", "type"]}),
]
PlacesField = Annotated[tuple[PlaceField, ...], ONE_OR_MANY]
TargetField = Annotated[
    Place,
    _read(Place, _target, "place"),
    WithJsonSchema({"type": "string", "examples": ["PID-5.1", "/order/id", "region"]}),
]
TemplateField = Annotated[
    Template,
    _read(Template, lambda value: Template.parse(fields.text_of(value)), "template"),
    WithJsonSchema({"type": "string", "examples": ["{PID-5.1} {PID-7:%Y%m%d}"]}),
]
TestField = Annotated[
    Test,
    _read(Test, test.parse, "condition"),
    WithJsonSchema({"type": ["string", "array", "object"], "examples": ["ADT^A0*"]}),
]
ConditionField = Annotated[
    Condition,
    _read(Condition, Condition.parse, "condition"),
    WithJsonSchema({"type": ["object", "array"], "examples": [{"PV1-2": "I"}]}),
]
AsideField = Annotated[
    str,
    PlainValidator(_aside),
    WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9_]*$"}),
]


@dataclass(frozen=True, slots=True)
class OnError:
    """What becomes of the Signal when a step fails.

    act: `park drop stop continue refuse steps`. text, ack, code: of `refuse`, None: the
    error's own. steps: normal forms (see StepReader) that run in place of what is left.
    """

    act: str
    text: Template | None = None
    ack: str | None = None
    code: str | None = None
    steps: tuple[Mapping[str, Any], ...] = ()

    @staticmethod
    def parse(value: object) -> "OnError":
        """The value of an `on_error` key. Raises ValueError, with what would be right."""
        if isinstance(value, str) and value in ACTS:
            return OnError(value)
        if isinstance(value, dict) and len(value) == 1:
            if "refuse" in value:
                return _refusing(value["refuse"])
            if GROUP in value and isinstance(value[GROUP], list | tuple):
                return OnError(GROUP, steps=tuple(value[GROUP]))
        choices = ", ".join(ACTS)
        raise ValueError(f"expected one of {choices}, {{refuse: TEXT}} or {{steps: [...]}}")


def _refusing(value: object) -> OnError:
    if isinstance(value, str):
        return OnError("refuse", Template.parse(value))
    if not isinstance(value, dict) or not value or set(value) - {"ack", "code", "text"}:
        raise ValueError("refuse takes a text, or {ack: AE|AR, code: ..., text: ...}")
    ack, code, text = (value.get(key) for key in ("ack", "code", "text"))
    if ack not in (None, "AE", "AR"):
        raise ValueError("refuse.ack is AE or AR")
    if code is not None and not (isinstance(code, str) and re.fullmatch(r"\d{1,4}", code)):
        raise ValueError("refuse.code is a code of HL7 table 0357, such as 207")
    if text is not None and not isinstance(text, str):
        raise ValueError("refuse.text is a text")
    return OnError("refuse", None if text is None else Template.parse(text), ack, code)


OnErrorField = Annotated[
    OnError,
    _read(OnError, OnError.parse, "on_error"),
    WithJsonSchema({"anyOf": [{"enum": list(ACTS)}, {"type": "object", "maxProperties": 1}]}),
]


class StepReader:
    """Brings raw steps of one agent into normal form; names are unique within the agent.

    Normal form of a step: {"verb", "name", "args", "when", "on_error", "at"}; `when` and
    `on_error` are None when not said; args are as written, but steps within them (of `route`,
    `split` and groups) and within `on_error` are in normal form too. An `otherwise` of a route
    stays {"otherwise": ...}.

    at: `file:line` of a spot. complain: takes a spot and what is wrong there; the step is then
    left out, so that all errors come at once.
    """

    def __init__(
        self, at: Callable[[Spot], str], complain: Callable[[Spot, str], None]
    ) -> None:
        self._at = at
        self._complain = complain
        self._counts: dict[str, int] = {}
        self._names: set[str] = set()

    def steps(self, raw: object, spot: Spot = (GROUP,)) -> list[dict[str, Any]]:
        """The normal forms of a list of steps; one step may stand for a list of one."""
        if isinstance(raw, dict):
            raw = [raw]
        if not isinstance(raw, list | tuple) or not raw:
            self._complain(spot, "expected a list of steps")
            return []
        read = (self._step(item, (*spot, index)) for index, item in enumerate(raw))
        return [step for step in read if step is not None]

    def on_error(self, raw: object, spot: Spot = ("on_error",)) -> Any:
        """The normal form of an `on_error`; None when there is none or it is wrong."""
        if raw is None:
            return None
        try:
            OnError.parse(raw)
        except (ValueError, PathInvalid) as error:
            self._complain(spot, str(error))
            return None
        if isinstance(raw, dict) and GROUP in raw:
            return {GROUP: self.steps(raw[GROUP], (*spot, GROUP))}
        return raw

    def _step(self, raw: object, spot: Spot) -> dict[str, Any] | None:
        if not isinstance(raw, dict):
            self._complain(spot, "expected a step such as {send: lab}")
            return None
        verbs = [key for key in raw if key not in COMMON]
        if len(verbs) != 1:
            found = f"found {' and '.join(map(repr, verbs))}" if verbs else "found none"
            hint = "; begin each step with -" if len(verbs) > 1 else ""
            self._complain(spot, f"a step has one verb, {found}{hint}")
            return None
        (verb,) = verbs
        name = self._name(raw, verb, spot)
        return {
            "verb": verb,
            "name": name,
            "args": self._args(verb, raw[verb], (*spot, verb)),
            "when": self._when(raw.get("when"), (*spot, "when")),
            "on_error": self.on_error(raw.get("on_error"), (*spot, "on_error")),
            "at": self._at(spot),
        }

    def _name(self, raw: Mapping[str, Any], verb: str, spot: Spot) -> str:
        self._counts[verb] = self._counts.get(verb, 0) + 1
        name = raw.get("name", f"{verb}_{self._counts[verb]}")
        try:
            fields.name(fields.text_of(name))
        except ValueError as error:
            self._complain((*spot, "name"), str(error))
            return f"{verb}_{self._counts[verb]}"
        if name in self._names:
            self._complain((*spot, "name"), f"two steps of this agent are called {name!r}")
        self._names.add(name)
        return str(name)

    def _when(self, raw: object, spot: Spot) -> Any:
        if raw is None:
            return None
        try:
            Condition.parse(raw)
        except (ValueError, PathInvalid) as error:
            self._complain(spot, str(error))
        return raw

    def _args(self, verb: str, raw: Any, spot: Spot) -> Any:
        if verb == GROUP:
            return self.steps(raw, spot)
        if verb == "route" and isinstance(raw, list | tuple):
            return self._branches(raw, spot)
        if verb == "split" and isinstance(raw, dict) and GROUP in raw:
            return {**raw, GROUP: self.steps(raw[GROUP], (*spot, GROUP))}
        return raw

    def _branches(self, raw: "list[Any] | tuple[Any, ...]", spot: Spot) -> list[Any]:
        branches: list[Any] = []
        for index, item in enumerate(raw):
            here = (*spot, index)
            if isinstance(item, dict) and "otherwise" in item:
                branches.append(self._otherwise(item, here))
            elif (step := self._step(item, here)) is not None:
                branches.append(step)
        return branches

    def _otherwise(self, item: dict[str, Any], spot: Spot) -> dict[str, Any]:
        told = item["otherwise"]
        if isinstance(told, dict) and set(told) == {GROUP}:
            steps = self.steps(told[GROUP], (*spot, "otherwise", GROUP))
            return {**item, "otherwise": {GROUP: steps}}
        return item


def inner(step: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The steps right inside a step in normal form: of its args and of its on_error."""
    args, on_error = step["args"], step["on_error"]
    if step["verb"] in (GROUP, "route"):
        for item in args if isinstance(args, list | tuple) else ():
            yield from _otherwise_steps(item) if "otherwise" in item else (item,)
    elif isinstance(args, dict) and step["verb"] == "split":
        yield from args.get(GROUP, ())
    if isinstance(on_error, dict):
        yield from on_error.get(GROUP, ())


def _otherwise_steps(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    told = item["otherwise"]
    if isinstance(told, dict):
        yield from told.get(GROUP, ())


def walk(steps: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Every step in normal form, each before those inside it."""
    pending = list(reversed(steps))
    while pending:
        step = pending.pop()
        yield step
        pending += reversed(list(inner(step)))
