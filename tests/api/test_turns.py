"""What models and people did, in the order of the clock."""

from datetime import UTC, datetime, timedelta

from portico.api import turns
from portico.journal.found import CallFound

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
MINUTE = 60_000_000


def test_a_call_that_left_begins_where_its_row_does():
    """The row was written before it left."""
    call = CallFound("triage", "llm_1", "tool", "beds.free", NOON, MINUTE, "")

    assert [(one.event, one.at) for one in turns.events([call])] == [
        ("tool.started", NOON),
        ("tool.completed", NOON + timedelta(minutes=1)),
    ]


def test_a_person_was_asked_before_the_answer_and_decided_when_it_was_stored():
    """The row of a review is written with its answer; nothing happens in the future."""
    call = CallFound("triage", "llm_1", "review", "person:ada", NOON, MINUTE, "")

    assert [(one.event, one.at) for one in turns.events([call])] == [
        ("review.asked", NOON - timedelta(minutes=1)),
        ("review.decided", NOON),
    ]
