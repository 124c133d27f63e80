"""What a message is to those before it (PROTOCOLS A13)."""

import pytest

from portico.model.states import SignalState as State
from portico.policy.repeats import Kinship, Rules, kinship, resolve

ANSWER, REFUSE = Rules(), Rules(changed="refuse")
SAME, CHANGED, NEW = Kinship.SAME, Kinship.CHANGED, Kinship.NEW


@pytest.mark.parametrize(
    ("rules", "earlier", "expected"),
    [
        (ANSWER, [], NEW),
        (ANSWER, [b"x"], SAME),
        (ANSWER, [b"y"], CHANGED),
        (ANSWER, [b"y", b"x"], SAME),
        (Rules(same="process"), [b"x"], NEW),
        (Rules(same="process"), [b"y"], CHANGED),
        (REFUSE, [b"y", b"x"], SAME),
        (REFUSE, [b"x", b"y"], CHANGED),
    ],
)
def test_the_same_bytes_repeat_and_other_bytes_change(rules, earlier, expected):
    """Newest first; where changed ones are refused, only the oldest was taken."""
    assert kinship(rules, b"x", earlier) is expected


@pytest.mark.parametrize(
    ("earlier", "expected"),
    [
        ([(b"x", State.DONE)], (SAME, 0)),
        ([(b"x", State.FILTERED)], (SAME, 0)),
        ([(b"x", State.WAITING)], None),
        ([(b"x", State.REFUSED)], (NEW, 0)),
        ([(b"x", State.DISCARDED)], (NEW, 0)),
        ([(b"x", State.PARKED)], (NEW, 0)),
        ([(b"x", State.PARKED), (b"x", State.DONE)], (SAME, 1)),
        ([(b"x", State.DONE), (b"x", State.PARKED)], (SAME, 0)),
        ([(b"x", State.WAITING), (b"x", State.PARKED)], None),
        ([(b"x", State.DUPLICATE), (b"x", State.WAITING)], None),
        ([(b"x", State.DUPLICATE)], None),
        ([(b"x", State.PARKED), (b"y", State.DONE)], (CHANGED, 0)),
        ([(b"y", State.REFUSED)], (NEW, 0)),
        ([(b"y", State.WAITING)], (CHANGED, 0)),
    ],
)
def test_a_sender_that_waits_gets_the_end_of_the_one_it_repeats(earlier, expected):
    """After a refusal or an error it runs anew; while the end is open there is no answer."""
    assert resolve(ANSWER, b"x", earlier) == expected
