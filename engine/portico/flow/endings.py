"""Ends of a Signal that its channel gives, where no agent has the last word."""

from collections.abc import Callable

from portico.clock import Clock
from portico.flow.runs import Run
from portico.journal.contract import Conclusion, ParkedRow, SessionRow
from portico.model.signal import Signal
from portico.model.states import SignalState

NOBODY = ("unmatched", "no agent answers it")
CHANGED = ("changed", "another message came before it under the same control id")


def duplicate(signal: Signal, seq: int, clock: Clock) -> Conclusion:
    """It repeats an earlier one: nothing runs twice (A13)."""
    row = SessionRow(1, "", "", "duplicate", clock.time_ns())
    return _end(signal, seq, row, SignalState.DUPLICATE)


def dropped(signal: Signal, seq: int, clock: Clock) -> Conclusion:
    """No agent answers it, and the channel drops such."""
    row = SessionRow(1, "", "", "drop", clock.time_ns(), NOBODY[0])
    return _end(signal, seq, row, SignalState.FILTERED)


def refused(signal: Signal, seq: int, clock: Clock, code: str) -> Conclusion:
    """The channel would not have it, and its sender is told."""
    row = SessionRow(1, "", "", "refuse", clock.time_ns(), code, code)
    return _end(signal, seq, row, SignalState.REFUSED)


def parked(
    signal: Signal,
    seq: int,
    clock: Clock,
    why: tuple[str, str],
    number: int = 1,
    stored: Callable[[int], None] | None = None,
) -> Conclusion:
    """It waits for a person. why: code and reason; number: of this session."""
    code, reason = why
    now = clock.time_ns()
    row = SessionRow(number, "", "", "fault", now, code, code)
    kept = ParkedRow(
        signal.id,
        "signal",
        number,
        seq,
        signal.origin,
        now,
        lane=signal.order_key,
        code=code,
        reason=reason,
    )
    return _end(signal, seq, row, SignalState.PARKED, kept, stored)


def unanswered(
    run: Run, clock: Clock, stored: Callable[[int], None] | None = None
) -> Conclusion:
    """Nobody is left to run it: parked, unless agents that stay have decided about it.

    What an agent refused, and no sender was told, is parked too.
    """
    run.sessions += 1
    state = run.state()
    if not run.kinds or (state is SignalState.REFUSED and not run.awaited):
        run.kinds.add(SignalState.PARKED)
        return parked(run.signal, run.seq, clock, NOBODY, run.sessions, stored)
    row = SessionRow(run.sessions, "", "", "drop", clock.time_ns(), NOBODY[0])
    return _end(run.signal, run.seq, row, state, None, stored)


def _end(
    signal: Signal,
    seq: int,
    row: SessionRow,
    state: SignalState,
    kept: ParkedRow | None = None,
    stored: Callable[[int], None] | None = None,
) -> Conclusion:
    return Conclusion(
        signal.id, signal.origin, seq, row, stored or _nothing, parked=kept, state=state
    )


def _nothing(seq: int) -> None:
    """There is nobody to tell."""
