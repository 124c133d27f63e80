"""What a model says, and what leaves for one: answers gone wrong, and canaries."""

from itertools import islice

import pytest

from drills import models
from portico.model.verdict import Kind


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    """An agent with an `llm` step, compiled."""
    return models.plan(tmp_path_factory.mktemp("site"))


def fuzzed(agent, seed, count):
    """Run so many answers; how many were sent. Fails at the first that is not fit."""
    asks, sent = models.call(agent, models.MESSAGE), 0
    for text in islice(models.answers(seed), count):
        result = models.answered(agent, asks, text)
        assert models.unfit(result) == "", text
        sent += result.kind is Kind.DELIVER
    return sent


def leaked(agent, count):
    """Canaries that left, of so many messages with forty each."""
    found = []
    for number in range(count):
        content, values = models.canaries(number)
        assert len(set(values)) == 40
        left = models.leaving(models.call(agent, content))
        found += [value for value in values if value.lower() in left]
    return found


def test_no_answer_makes_a_message_that_is_not_fit(agent, seed):
    """Schema, checks and codes decide what is sent; some answers are right, and are."""
    assert 50 < fuzzed(agent, seed, 1_000) < 900


def test_no_canary_leaves_for_a_model(agent):
    """`phi: deidentified`: in fields and free text, in three cases, dates in four layouts."""
    assert leaked(agent, 25) == []


@pytest.mark.drill
def test_a_hundred_thousand_answers(agent, seed):
    """0 messages that are not fit."""
    print(f"{fuzzed(agent, seed, 100_000)} of 100,000 answers were fit and sent")


@pytest.mark.drill
def test_forty_canaries_in_ten_thousand_messages(agent):
    """0 leaks in mapped places."""
    assert leaked(agent, 10_000) == []
