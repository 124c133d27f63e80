"""What an answer means for a Delivery, and when to try again.

Source: HL7 v2.5.1 chapter 2.9 (acknowledgement codes), PROTOCOLS A11.
"""

from collections.abc import Mapping

from portico.model.delivery import Answered, Attempt

DELIVERED, RETRY, REJECTED = "delivered", "retry", "rejected"

Rule = str | int  # `done`, `retry`, `reject`, or the most retries before it counts as rejected

HL7_ANSWERS: dict[str, Rule] = {
    "AA": "done", "CA": "done", "AE": 3, "CE": 3, "AR": "reject", "CR": "reject",
    "unsendable": "reject", "written": "done", "counted": "done",
    "2*": "done", "3*": "reject", "4*": "reject", "408": "retry", "429": "retry", "5*": "retry",
    "Sender": "reject", "Client": "reject", "VersionMismatch": "reject",
    "MustUnderstand": "reject", "SecurityFault": "reject", "MessageTooLargeFault": "reject",
    "UnsupportedOperationFault": "reject",
    "matched": "done", "unmatched": 3,
}  # fmt: skip


def judge(answers: Mapping[str, Rule], attempt: Attempt, tries: int) -> str:
    """DELIVERED, RETRY or REJECTED for this attempt, the `tries`-th of its Delivery.

    answers: by code, `2*` stands for every code that begins so; an exact code goes first, then
    the longest beginning. A code that no rule names, like no answer at all, is tried again.
    """
    if attempt.answered is not Answered.ANSWERED:
        return RETRY
    rule = _rule(answers, attempt.code)
    if isinstance(rule, int):
        return RETRY if tries <= rule else REJECTED
    return {"done": DELIVERED, "reject": REJECTED}.get(rule, RETRY)


def _rule(answers: Mapping[str, Rule], code: str) -> Rule:
    if code in answers:
        return answers[code]
    fitting = [key for key in answers if key.endswith("*") and code.startswith(key[:-1])]
    return answers[max(fitting, key=len)] if fitting else "retry"


def delay(first: float, most: float, tries: int, chance: float) -> float:
    """Seconds until the next try after `tries` failed ones: doubled each time, at most `most`.

    chance: 0 to 1; it spreads the delay by a fifth, so that many lanes do not knock as one.
    """
    grown = first * 2.0 ** min(tries - 1, 40)
    return min(grown, most) * (0.9 + 0.2 * chance)
