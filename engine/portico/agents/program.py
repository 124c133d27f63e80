"""Programs: steps in their order, and what becomes of the Signal when one fails."""

from collections.abc import Sequence

from portico.errors import MessageError, RuleBroken, StepError, Transient
from portico.language.condition import Condition
from portico.language.context import Context
from portico.language.template import Template
from portico.model.verdict import Failure, Kind, Refusal
from portico.spec.rules import GROUP
from portico.steps.contract import End, Step
from portico.steps.state import RunState

_TEXT = 200  # characters of a failure's text
_INTERNAL, _TYPE = "207", "102"  # HL7 table 0357: application error, data type error

Fault = StepError | MessageError


class Fallback:
    """A compiled `on_error`. program: of the choice `{steps: [...]}`."""

    __slots__ = ("ack", "act", "code", "program", "text", "traceless")

    def __init__(
        self,
        act: str,
        text: Template | None = None,
        ack: str | None = None,
        code: str | None = None,
        program: "Program | None" = None,
    ) -> None:
        self.act = act
        self.text = text
        self.ack = ack
        self.code = code
        self.program = program
        # The run goes on after these, so what the failed step did must be undone.
        self.traceless = act in ("continue", GROUP)

    def end(self, state: RunState, name: str, at: str, fault: Fault) -> End | None:
        """How the way ends after a fault of that step; None: it goes on with the next one."""
        if isinstance(fault, Transient):
            return End(Kind.FAULT, name, failure=_failure(name, at, fault))
        if self.act == "continue":
            return None
        if self.act == "drop":
            return End(Kind.DROP, name)
        if self.act == "refuse":
            return End(Kind.REFUSE, name, self._refusal(state, fault))
        if self.act == GROUP and self.program is not None:
            return self.program.run(state) or End(Kind.DELIVER, name)
        failure = _failure(name, at, fault)
        return End(Kind.FAULT, name, failure=failure, hold=self.act == "stop")

    def _refusal(self, state: RunState, fault: Fault) -> Refusal:
        location = fault.location or ""
        if isinstance(fault, RuleBroken):
            code = fault.condition
        else:
            code = _TYPE if isinstance(fault, MessageError) and location else _INTERNAL
        text = _rendered(self.text, state.context) or said(fault)
        shown = self.text.source if self.text is not None and self.text.places else ""
        return Refusal(self.ack or "AE", self.code or code, text, location, shown)


class BoundStep:
    """A step in its place: with its name, its `when` and its `on_error`."""

    __slots__ = ("_at", "_fallback", "_name", "_step", "_verb", "_when")

    def __init__(
        self,
        step: Step,
        name: str,
        verb: str,
        at: str,
        when: Condition | None,
        fallback: Fallback,
    ) -> None:
        self._step = step
        self._name = name
        self._verb = verb
        self._at = at
        self._when = when
        self._fallback = fallback

    def run(self, state: RunState) -> End | None:
        """Run it once, if its `when` holds, and write that into the ledger."""
        started = state.clock_ns()
        state.step = self._name
        mark = state.mark() if self._fallback.traceless else None
        try:
            if self._when is not None and not self._when.holds(state.context):
                state.record(self._name, self._verb, "skipped", started)
                return None
            state.check(started)
            end = self._step.run(state)
        except (StepError, MessageError) as fault:
            if mark is not None:
                state.back(mark)
            state.record(self._name, self._verb, "failed", started)
            return self._fallback.end(state, self._name, self._at, fault)
        state.record(self._name, self._verb, _outcome(end), started)
        return end


class Program:
    """Steps one after the other, up to the first End."""

    __slots__ = ("_steps",)

    def __init__(self, steps: Sequence[BoundStep]) -> None:
        self._steps = tuple(steps)

    def run(self, state: RunState) -> End | None:
        """The End that a step gave; None when all have run."""
        for step in self._steps:
            end = step.run(state)
            if end is not None:
                return end
        return None


def said(fault: Fault) -> str:
    """One line of a fault, without patient data."""
    return " ".join(str(fault).split())[:_TEXT] or type(fault).__name__


_OUTCOMES = {Kind.DROP: "dropped", Kind.REFUSE: "refused", Kind.FAULT: "failed"}


def _outcome(end: End | None) -> str:
    return "ok" if end is None else _OUTCOMES.get(end.kind, "ok")


def _failure(name: str, at: str, fault: Fault) -> Failure:
    raised_at = fault.at if isinstance(fault, StepError) else None
    location = fault.location or ""
    transient = isinstance(fault, Transient)
    return Failure(fault.code, said(fault), name, raised_at or at, location, transient)


def _rendered(template: Template | None, context: Context) -> str:
    """The text of `{refuse: T}`; empty when a place in it cannot be read."""
    try:
        return template.render(context) if template is not None else ""
    except MessageError:
        return ""
