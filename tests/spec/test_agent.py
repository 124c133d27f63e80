"""spec/agent.py: `agent:` documents and their normal form."""

import json

import pytest

from portico.spec import agent
from portico.spec.document import parse

HEAD = "agent: a\ngoal: g\non: {channel: c}\n"
SEND = "steps: [{send: his}]\n"


def read(text, head=HEAD):
    ((one,), _) = parse(head + text, "x.yaml")
    return agent.read(one, one.value)


def said(text, head=HEAD):
    return [(each.code, each.line, each.key) for each in read(text, head).findings]


def test_the_normal_form_is_plain_json_with_every_default():
    """What agents.plan compiles, and what its version is made of."""
    reading = read(
        "steps:\n  - send: his\n  - name: last\n    when: {PV1-2: I}\n    send: lab\n"
    )

    plain = reading.agent.plain()

    assert json.loads(json.dumps(plain)) == plain
    assert plain == {
        "agent": "a",
        "goal": "g",
        "on": {"channel": "c"},
        "content": "auto",
        "charset": {"name": "ascii", "on_error": "refuse"},
        "order_by": [],
        "beside": [],
        "on_error": "park",
        "limits": {"time": 30.0, "memory": 256 << 20, "parts": 10_000},
        "steps": [
            {
                "verb": "send",
                "name": "send_1",
                "args": "his",
                "when": None,
                "on_error": None,
                "at": "x.yaml:5",
            },
            {
                "verb": "send",
                "name": "last",
                "args": "lab",
                "when": {"PV1-2": "I"},
                "on_error": None,
                "at": "x.yaml:6",
            },
        ],
    }


def test_a_limit_of_forever_can_be_written_as_json():
    """JSON has no infinity."""
    plain = read(SEND + "limits: {time: forever}\n").agent.plain()

    assert plain["limits"]["time"] > 365 * 86_400
    assert "Infinity" not in json.dumps(plain)


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("", "config.missing_key", 1),
        ("steps: []", "config.value", 4),
        ("steps: [send]", "config.step", 4),
        ("steps:\n  - {send: a, emit: b}", "config.step", 5),
        ("steps:\n  - when: {PV1-2: I}", "config.step", 5),
        ("steps:\n  - send: a\n    name: A B", "config.name", 6),
        ("steps:\n  - {send: a, name: x}\n  - {send: b, name: x}", "config.name", 6),
        ("steps:\n  - send: a\n    when: {PID.3: I}", "config.condition", 6),
        ("steps:\n  - send: a\n    on_error: explode", "config.on_error", 6),
        (SEND + "on_error: {refuse: {ack: XX}}", "config.on_error", 5),
        (SEND + "limits: {parts: 0}", "config.value", 5),
        (SEND + "pool: {most: many}", "config.count", 5),
        (SEND + "isolation: total", "config.choice", 5),
        (SEND + "trust: nobody", "config.choice", 5),
        (SEND + "model: {a: b, c: d}", "config.model", 5),
        (SEND + "budget: {tokens: 5}", "config.missing_key", 5),
        (SEND + "capabilities: [a b]", "config.name", 5),
        (SEND + "order_by: sender", "site.not_yet", 5),
        (SEND + "order_by: PID.3", "config.place", 5),
    ],
)
def test_what_is_wrong_has_a_code_and_a_line(text, code, line):
    """One finding; no agent then."""
    reading = read(text + "\n")

    assert [(each.code, each.line) for each in reading.findings] == [(code, line)]
    assert reading.agent is None


def test_steps_are_read_though_the_rest_is_wrong():
    """So that what they name can be looked at in the same run."""
    reading = read(SEND + "on_error: {steps: [{send: lab}]}\n", "agent: a\n")

    assert [step["args"] for step in reading.steps] == ["his", "lab"]


def test_a_condition_that_cannot_be_read_is_a_finding():
    """`on` is checked like every condition."""
    assert said(SEND, "agent: a\ngoal: g\non: {chanel: c, OBX.5: x}\n") == [
        ("config.condition", 3, "on")
    ]
