"""spec/destination.py and spec/retry.py: the keys common to all destinations."""

import pytest

from portico.spec.destination import Destination
from portico.spec.document import parse
from portico.spec.shape import fit
from portico.units import FOREVER


def read(text):
    ((one,), _) = parse("destination: a\ntype: log\n" + text, "x.yaml")
    return fit(Destination, one.value, one)


def test_every_default_is_the_references():
    """SITE reference, section 3."""
    destination, findings = read("")

    assert findings == []
    assert (destination.timeout, destination.connect, destination.idle) == (30, 10, 3600)
    assert (destination.connections, destination.order) == (1, "key")
    assert (destination.retry.first, destination.retry.most) == (1, 60)
    assert (destination.retry.for_, destination.on_reject) == (FOREVER, "park")


def test_answers_are_rules_by_code():
    """A number of retries is the number itself."""
    destination, findings = read("answers: {AE: {retry: 3}, AR: reject, 5*: retry, 2*: done}\n")

    assert findings == []
    assert destination.answers == {"AE": 3, "AR": "reject", "5*": "retry", "2*": "done"}


@pytest.mark.parametrize(
    ("text", "code", "key"),
    [
        ("answers: {AE: perhaps}", "config.choice", "answers.AE"),
        ("answers: {AE: {retry: few}}", "config.count", "answers.AE"),
        ("answers: {AE: [done]}", "config.choice", "answers.AE"),
        ("answers: {'A E': done}", "config.value", "answers.A E"),
        ("answers: done", "config.type", "answers"),
        ("connections: 0", "config.value", "connections"),
        ("retry: {for: 3 days}", "config.duration", "retry.for"),
        ("retry: 5", "config.type", "retry"),
        ("on_reject: drop", "config.choice", "on_reject"),
        ("options: {a: b}", "config.unknown_key", "options"),
        ("queue: {limit: 0}", "config.value", "queue.limit"),
        ("start: stopped", "config.choice", "start"),
        ("charset: KLINGON", "config.charset", "charset"),
        ("expect: {during: night}", "config.missing_key", "expect.every"),
        ("alarms: {parked: none}", "config.count", "alarms.parked"),
    ],
)
def test_what_is_wrong_or_comes_later_has_a_code(text, code, key):
    """One finding, on its line."""
    _, findings = read(text + "\n")

    assert [(each.code, each.line, each.key) for each in findings] == [(code, 3, key)]
