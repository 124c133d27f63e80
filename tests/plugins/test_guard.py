"""portico.plugins.guard: what a server may say, line by line."""

import json

import pytest

from portico.plugins.faults import PluginNonsense
from portico.plugins.guard import MOST_WORDS, Guard

NOTE = b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}'


def answer(number):
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": {}}).encode()


def test_an_answer_is_heard_once():
    """The second is an answer to what is not open any more."""
    guard = Guard(1000)
    guard.asked(1)

    assert guard.passes(answer(1))
    with pytest.raises(PluginNonsense):
        guard.passes(answer(1))


def test_the_late_answer_of_a_call_that_was_given_up_is_passed_over():
    """It ends nothing, and it reaches nobody; a second one does end it."""
    guard = Guard(1000)
    guard.asked(1)
    guard.given_up(1)

    assert not guard.passes(answer(1))
    with pytest.raises(PluginNonsense):
        guard.passes(answer(1))


def test_words_between_two_answers_are_bounded_by_number_and_bytes():
    """An answer starts the count anew."""
    guard = Guard(1 << 20)
    for _ in range(MOST_WORDS):
        guard.passes(NOTE)
    guard.asked(1)
    guard.passes(answer(1))
    guard.passes(NOTE)

    with pytest.raises(PluginNonsense, match="flood"):
        [Guard(100).passes(b'{"jsonrpc":"2.0","method":"m","params":{"x":"%s"}}' % (b"x" * 99))]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"jsonrpc":"1.0","id":1,"result":{}}',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"result":{},"error":{}}',
        b'{"jsonrpc":"2.0","id":null,"result":{}}',
        b'{"jsonrpc":"2.0","id":[1],"result":{}}',
        b"[" * 100_000,
    ],
)
def test_what_is_not_of_the_protocol_ends_it(line):
    """Whatever the line is, the error is ours and quotes nothing of it."""
    guard = Guard(1000)
    guard.asked(1)

    with pytest.raises(PluginNonsense):
        guard.passes(line)
