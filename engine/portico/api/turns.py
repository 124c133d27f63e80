"""What models reasoned and did, as events in their order: made of the rows of their calls."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from portico.api.shapes import TurnEvent
from portico.journal.calls import OPEN
from portico.journal.found import CallFound

# By verb: the events of a start and of an end; empty: none.
_NAMES = {
    "converse": ("turn.started", "turn.completed"),
    "llm": ("", "llm.generation"),
    "tool": ("tool.started", "tool.completed"),
    "plugin": ("tool.started", "tool.completed"),
    "review": ("review.asked", "review.decided"),
    "review_meanwhile": ("review.asked", "review.decided"),
}
_PERSON = "review"


def events(calls: Iterable[CallFound]) -> tuple[TurnEvent, ...]:
    """Each with its time; a start without an end is under way, or nobody knows its end."""
    found = (event for call in calls for event in _of(call))
    return tuple(sorted(found, key=lambda event: event.at))


def _of(call: CallFound) -> Iterator[TurnEvent]:
    started, ended = _NAMES.get(call.verb, ("", call.verb))
    about: dict[str, Any] = {"agent": call.agent, "step": call.step, "target": call.target}
    begun = call.at
    if call.verb.startswith(_PERSON):  # nothing left, so its row is as old as its answer
        begun -= timedelta(microseconds=call.micros)
    if started:
        yield TurnEvent(at=begun, event=started, **about)
    if call.error != OPEN or not started:
        end = begun + timedelta(microseconds=call.micros)
        outcome = call.error or "ok"
        yield TurnEvent(at=end, event=ended, outcome=outcome, micros=call.micros, **about)
