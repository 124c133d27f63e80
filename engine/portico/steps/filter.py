"""`filter: {keep: C}` or `{drop: C}`: ends the Signal, in a split the part."""

from typing import Any, Self

from pydantic import model_validator

from portico.language.condition import Condition
from portico.model.verdict import Kind
from portico.spec import fields
from portico.spec.fields import Options
from portico.spec.rules import ConditionField
from portico.steps.contract import Build, End, StepType
from portico.steps.state import RunState


class FilterOptions(Options):
    """Never bare: it says which way it filters."""

    keep: ConditionField | None = None
    drop: ConditionField | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.keep is None) == (self.drop is None):
            raise fields.wrong(
                "config.filter", "filter goes one way", "write {keep: ...} or {drop: ...}"
            )
        return self


class _Filter:
    def __init__(self, condition: Condition, dropping: bool, name: str) -> None:
        self._holds = condition.holds
        self._dropping = dropping
        self._end = End(Kind.DROP, name)

    def run(self, state: RunState) -> End | None:
        return self._end if self._holds(state.context) is self._dropping else None


def _build(options: Any, build: Build) -> _Filter:
    condition = options.keep or options.drop
    return _Filter(condition, options.keep is None, build.name)


FILTER = StepType("filter", "Goes on with some Signals only", FilterOptions, _build)
