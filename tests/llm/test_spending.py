"""portico.llm.spending and circuit: what keeps a call from leaving."""

from portico.llm.circuit import FAILURES, FIRST, MOST, Circuit, Pace
from portico.llm.spending import Limit, Spending, whose

LIMIT = Limit(("agent", "a"), 100, 60.0)
KEYS = whose("p", "a", "s")


def test_spending_passes_a_limit_by_one_call_at_most():
    """However many want to leave at once: what is reserved counts as spent."""
    spending, left = Spending(), 0
    for _ in range(50):
        if spending.may([LIMIT], 0.0)[0] is None:
            spending.reserve(KEYS, 60)
            left += 1
    assert left == 2
    assert spending.may([LIMIT], 0.0) == (LIMIT, True)


def test_what_was_reserved_and_not_used_is_free_again():
    """A call settles what it did cost."""
    spending = Spending()
    spending.reserve(KEYS, 100)
    spending.settle(KEYS, 100, 10, 0.0)

    assert spending.may([LIMIT], 1.0) == (None, False)
    assert spending.spent(("step", "a", "s"), 0.0) == 10


def test_a_spent_budget_is_free_again_after_its_time():
    """And what the journal knew counts."""
    spending = Spending()
    spending.load([(10.0, KEYS, 100)])

    assert spending.may([LIMIT], 20.0) == (LIMIT, False)
    assert spending.may([LIMIT], 71.0) == (None, False)


def test_a_circuit_opens_tries_and_closes():
    """One call tries it after a pause; others fail at once."""
    circuit = Circuit()
    opened = [circuit.failed(0.0) for _ in range(FAILURES)]

    assert opened == [False] * (FAILURES - 1) + [True]
    assert not circuit.passes(FIRST - 1)
    assert circuit.passes(FIRST + 1)
    assert not circuit.passes(FIRST + 1)
    assert circuit.worked()
    assert circuit.passes(FIRST + 1)


def test_the_pause_of_a_circuit_doubles_up_to_a_bound():
    """A provider that is down for long is not asked often."""
    circuit, now = Circuit(), 0.0
    for _ in range(30):
        circuit.failed(now)
        now = circuit.until
    assert circuit.pause == MOST


def test_a_pace_lets_so_many_leave_within_its_span():
    """The next leaves when the first is old enough."""
    pace = Pace(2, 10.0)

    assert [pace.wait(0.0), pace.wait(1.0), pace.wait(2.0)] == [0.0, 0.0, 8.0]
    assert pace.wait(10.0) == 0.0
