"""What an agent's document says about failure that its steps cannot decide."""

from dataclasses import dataclass

from portico.flow.runs import STATE, Run
from portico.model.states import SignalState
from portico.model.verdict import Failure, Kind, Refusal, SessionResult


@dataclass(frozen=True, slots=True)
class FailureTerms:
    """What an agent's document says about failure. Times in seconds.

    on_fault: what becomes of a Signal when no step could decide (its worker died or was too
    slow): `park`, `stop`, `drop` or `refuse`.
    """

    version: str
    first: float = 1.0
    most: float = 60.0
    lasting: float = float("inf")
    on_fault: str = "park"


def given_up(terms: FailureTerms, result: SessionResult, failure: Failure) -> SessionResult:
    """Where no step could decide, the agent's `on_error` does."""
    if failure.code not in ("step.crashed", "step.timeout"):
        return result
    act = terms.on_fault
    if act == "drop":
        return SessionResult(Kind.DROP, step=failure.step, failure=failure)
    if act == "refuse":
        return SessionResult(Kind.REFUSE, refusal=Refusal(text=failure.text))
    return SessionResult(Kind.FAULT, failure=failure, hold=act == "stop")


def weigh(run: Run, result: SessionResult, last: bool) -> SignalState:
    """What this session makes of its Signal. A refusal that no sender can be told any more, at
    once or at the last, is a person's matter."""
    state = STATE[result.kind]
    if state is SignalState.REFUSED and not run.awaited:
        state = SignalState.PARKED
    run.kinds.add(state)
    if last and run.state() is SignalState.REFUSED and not run.awaited:
        state = SignalState.PARKED
        run.kinds.add(state)
    return state
