"""`route`: the first step whose `when` holds, and what becomes of what fits none."""

from typing import Any, ClassVar

from pydantic import Field, field_validator

from portico.errors import Permanent
from portico.language.condition import Condition
from portico.model.verdict import Failure, Kind, Refusal
from portico.spec import fields
from portico.spec.fields import Options
from portico.spec.rules import GROUP
from portico.steps.contract import Build, End, Step, StepType
from portico.steps.state import RunState

_TOLD = ("drop", "park", "refuse", "continue")


class RouteOptions(Options):
    """A list: steps in normal form with a `when` each, and at its end `otherwise`."""

    short: ClassVar[str] = "branches"

    branches: list[dict[str, Any]] = Field(min_length=1)

    @field_validator("branches")
    @classmethod
    def _sound(cls, branches: list[dict[str, Any]]) -> list[dict[str, Any]]:
        *steps, last = branches
        if "otherwise" not in last or len(last) != 1:
            raise fields.wrong(
                "config.route",
                "a route ends with otherwise",
                f"add '- otherwise: park' (or {', '.join(_TOLD)}, {{steps: [...]}})",
            )
        if not _is_told(last["otherwise"]):
            raise fields.wrong(
                "config.route", f"otherwise is {', '.join(_TOLD)} or {{steps: [...]}}"
            )
        for step in steps:
            if "verb" not in step and "otherwise" not in step:
                raise fields.wrong("config.route", "a route is a list of steps")
            if "otherwise" in step:
                raise fields.wrong("config.route", "otherwise comes once, and last")
            if step.get("when") is None:
                raise fields.wrong(
                    "config.route", f"{step['name']} has no when", "say when it is taken"
                )
        return branches


def _is_told(value: object) -> bool:
    if isinstance(value, dict):
        return set(value) == {GROUP} and bool(value[GROUP])
    return value in _TOLD


class _Route:
    def __init__(self, branches: "tuple[tuple[Condition, Step], ...]", otherwise: Step) -> None:
        self._branches = branches
        self._otherwise = otherwise

    def run(self, state: RunState) -> End | None:
        for when, step in self._branches:
            if when.holds(state.context):
                return step.run(state)
        return self._otherwise.run(state)


class _Told:
    """`otherwise` in one word."""

    def __init__(self, word: str, name: str, at: str) -> None:
        failure = Failure(Permanent.code, "no branch of the route holds", name, at)
        ends = {
            "drop": End(Kind.DROP, name),
            "park": End(Kind.FAULT, name, failure=failure),
            "refuse": End(
                Kind.REFUSE, name, Refusal(text="there is no route for this message")
            ),
        }
        self._end = ends.get(word)

    def run(self, state: RunState) -> End | None:
        return self._end


def _build(options: Any, build: Build) -> _Route:
    *steps, last = options.branches
    branches = tuple(
        (Condition.parse(step["when"]), build.program([{**step, "when": None}]))
        for step in steps
    )
    told = last["otherwise"]
    if isinstance(told, dict):
        return _Route(branches, build.program(told[GROUP]))
    return _Route(branches, _Told(told, build.name, build.at))


ROUTE = StepType("route", "Takes one of several ways", RouteOptions, _build)
