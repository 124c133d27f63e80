"""What an answer means for a Delivery, and when to try again (PROTOCOLS A11)."""

import pytest

from portico.model.delivery import Answered, Attempt
from portico.policy import retry


def said(code, answered=Answered.ANSWERED):
    """An attempt with this answer."""
    return Attempt(answered, code)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [("AA", "delivered"), ("CA", "delivered"), ("AR", "rejected"), ("CR", "rejected"),
     ("AE", "retry"), ("AAX", "retry"), ("", "retry"), ("unsendable", "rejected")],
)  # fmt: skip
def test_hl7_codes_mean_what_the_standard_says(code, verdict):
    """An unknown code is not done, and `AAX` is not AA."""
    assert retry.judge(retry.HL7_ANSWERS, said(code), 1) == verdict


def test_retries_of_a_code_are_counted():
    """AE: {retry: 3}: three retries, the fourth answer rejects."""
    verdicts = [retry.judge(retry.HL7_ANSWERS, said("AE"), tries) for tries in range(1, 5)]

    assert verdicts == ["retry", "retry", "retry", "rejected"]


@pytest.mark.parametrize("answered", [Answered.NO_CONNECTION, Answered.UNCLEAR])
def test_no_answer_is_tried_again_whatever_it_is_called(answered):
    """Even where its code would be done."""
    assert retry.judge({"AA": "done"}, said("AA", answered), 99) == retry.RETRY


def test_an_exact_code_goes_before_the_longest_beginning():
    """404 over 40* over 4*."""
    answers = {"4*": "reject", "40*": "retry", "404": "done"}

    assert retry.judge(answers, said("404"), 1) == "delivered"
    assert retry.judge(answers, said("403"), 1) == "retry"
    assert retry.judge(answers, said("410"), 1) == "rejected"


def test_waits_double_up_to_the_most():
    """M6: 1 2 4 8 8; the spread is a tenth either way; ten thousand tries overflow nothing."""
    assert [retry.delay(1, 8, n, 0.5) for n in range(1, 6)] == [1, 2, 4, 8, 8]
    assert retry.delay(1, 8, 10_000, 0.0) == pytest.approx(7.2)
    assert retry.delay(1, 8, 10_000, 1.0) == pytest.approx(8.8)
