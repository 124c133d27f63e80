"""What a case puts in a step's place: it gives a value, or fails as asked.

No site file can name this verb; check/cases.py writes it into the plan of a case.
"""

from typing import Any, Literal

from portico.errors import Permanent, Transient
from portico.language.place import AsidePlace
from portico.spec.fields import Options
from portico.spec.rules import TargetField
from portico.steps.body import json_body, open_body
from portico.steps.contract import Build, End, StepType
from portico.steps.state import RunState


class StandInOptions(Options):
    """gives: a text, or a value of JSON. into: where the step itself would put it."""

    gives: Any = None
    fails: Literal["transient", "permanent"] | None = None
    into: TargetField | None = None


class _StandIn:
    def __init__(self, options: StandInOptions) -> None:
        self._gives, self._fails, self._into = options.gives, options.fails, options.into

    def run(self, state: RunState) -> End | None:
        if self._fails is not None:
            kind = Transient if self._fails == "transient" else Permanent
            raise kind("the case lets this step fail")
        if isinstance(self._into, AsidePlace):
            state.put_aside(self._into, self._gives)
        elif self._into is not None:
            state.write(((self._into, str(self._gives)),))
        elif isinstance(self._gives, str):
            state.take(open_body(state.body.form, self._gives.encode()))
        elif self._gives is not None:
            state.take(json_body(self._gives))
        return None


def _build(options: Any, build: Build) -> _StandIn:
    return _StandIn(options)


STAND_IN = StepType("stand-in", "Stands in for a step of a case", StandInOptions, _build)
