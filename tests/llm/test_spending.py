"""portico.llm.spending and circuit: what keeps a call from leaving."""

import random
import time

from portico.llm.circuit import FAILURES, FIRST, MOST, Circuit, Pace
from portico.llm.spending import Amount, Limit, Spending, amount, whose
from portico.spec.models import Price

LIMIT = Limit(("agent", "a"), 60.0, 100)
MONEY = Limit(("agent", "a"), 60.0, None, 2_000_000)
KEYS = whose("p", "a", "s")


def test_spending_passes_a_limit_by_one_call_at_most():
    """However many want to leave at once: what is reserved counts as spent."""
    spending, left = Spending(), 0
    for _ in range(50):
        if spending.may([LIMIT], 0.0)[0] is None:
            spending.reserve(KEYS, Amount(60))
            left += 1
    assert left == 2
    assert spending.may([LIMIT], 0.0) == (LIMIT, True)


def test_what_was_reserved_and_not_used_is_free_again():
    """A call settles what it did cost."""
    spending = Spending()
    spending.reserve(KEYS, Amount(100, 7))
    spending.settle(KEYS, Amount(100, 7), Amount(10, 2), 0.0)

    assert spending.may([LIMIT], 1.0) == (None, False)
    assert spending.spent(("step", "a", "s"), 0.0) == Amount(10, 2)


def test_a_spent_budget_is_free_again_after_its_time():
    """And what the journal knew counts."""
    spending = Spending()
    spending.load([(10.0, KEYS, Amount(100))])

    assert spending.may([LIMIT], 20.0) == (LIMIT, False)
    assert spending.may([LIMIT], 71.0) == (None, False)


def test_what_was_spent_since_a_moment_is_the_sum_of_its_bookings():
    """Whatever was forgotten meanwhile, and although the clock stepped back once."""
    spending, chance, booked, now = Spending(longest=50.0), random.Random(7), [], 0.0
    for n in range(2_000):
        now += chance.random() if n != 900 else -5.0
        used = Amount(chance.randrange(9), chance.randrange(9))
        spending.settle(KEYS, Amount(), used, now)
        booked.append((max(now, booked[-1][0]) if booked else now, used))
        since = now - chance.uniform(-1, 45)
        told = [one for at, one in booked if at >= since]
        total = Amount(sum(one.tokens for one in told), sum(one.money for one in told))
        assert spending.spent(("agent", "a"), since) == total


def test_a_call_costs_as_much_to_judge_after_many_as_after_few():
    """A day of a busy agent is a hundred thousand calls."""

    def seconds(count):
        spending = Spending()
        spending.load((float(n), KEYS, Amount(1)) for n in range(count))
        began = time.process_time()
        for _ in range(200):
            spending.may([LIMIT], float(count))
        return time.process_time() - began

    # The least of three: a collection of garbage counts for whom it befalls.
    assert min(seconds(100_000) for _ in range(3)) < 20 * seconds(100) + 0.02


def test_money_has_limits_of_its_own():
    """Few tokens of a dear model reach one; what is on its way counts."""
    spending = Spending()
    spending.settle(KEYS, Amount(), Amount(3, 1_500_000), 0.0)
    assert spending.may([LIMIT, MONEY], 1.0) == (None, False)

    spending.reserve(KEYS, Amount(3, 500_000))
    assert spending.may([LIMIT, MONEY], 1.0) == (MONEY, True)
    assert str(MONEY) == "agent a: 2 of money"


def test_a_price_is_for_a_million_tokens_and_rounds_up():
    """Input and output apart; nothing is free that has a price."""
    price = Price.model_validate({"input": "2.50", "output": "10"})

    assert amount(price, 1_000_000, 100_000) == Amount(1_100_000, 3_500_000)
    assert amount(Price.model_validate({"input": "0.15", "output": "0"}), 1, 0) == Amount(1, 1)
    assert amount(None, 5, 6) == Amount(11)


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


def test_calls_that_had_left_before_a_circuit_opened_make_its_pause_no_longer():
    """Thirty that fail together are one trouble: it is tried again after the first pause."""
    circuit = Circuit()
    opened = [circuit.failed(0.0) for _ in range(30)]

    assert sum(opened) == 1
    assert circuit.passes(FIRST)


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
