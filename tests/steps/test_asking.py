"""portico.steps.asking: a run asks, ends, and goes on with its replies when it runs again."""

import pytest

from portico.errors import Permanent, Transient
from portico.model.call import Call, Reply
from portico.steps.asking import Asking, Suspended

FIRST = Call("llm", "triage", 1, b'{"a":1}')
SECOND = Call("llm", "code", 2, b'{"a":2}')


def ask(asking: Asking, call: Call) -> bytes:
    return asking.ask(call.verb, call.step, call.request)


def test_a_call_without_a_reply_ends_the_run():
    """What ends it says which call it is."""
    with pytest.raises(Suspended) as ended:
        ask(Asking(()), FIRST)

    assert ended.value.call == FIRST


def test_replies_are_given_in_the_order_of_the_calls():
    """The second call of a run that has one reply ends it again."""
    asking = Asking((Reply(FIRST.digest, b"1"),))

    assert ask(asking, FIRST) == b"1"
    with pytest.raises(Suspended) as ended:
        ask(asking, SECOND)
    assert ended.value.call == SECOND


def test_a_run_that_asks_something_else_than_before_fails():
    """A step before it that is not the same each time is told so, and no reply is mixed up."""
    asking = Asking((Reply(SECOND.digest, b"2"),))

    with pytest.raises(Permanent, match="must do the same each time"):
        ask(asking, FIRST)


def test_another_version_goes_on_from_where_it_asks_something_else():
    """A reload came between question and reply: what it asks, too, has its reply."""
    asking = Asking((Reply(FIRST.digest, b"1"), Reply(FIRST.digest, b"2")), same=False)

    assert ask(asking, FIRST) == b"1"
    with pytest.raises(Suspended) as ended:
        ask(asking, SECOND)
    assert ended.value.call == SECOND


@pytest.mark.parametrize(("transient", "kind"), [(True, Transient), (False, Permanent)])
def test_what_went_wrong_is_an_error_of_the_step(transient, kind):
    """on_error and retry decide, as for any other step; the code of the error is told."""
    reply = Reply(FIRST.digest, error="llm.slow", text="no answer in 60 s", transient=transient)

    with pytest.raises(kind, match=r"no answer in 60 s \[llm.slow\]"):
        ask(Asking((reply,)), FIRST)
