"""`plugin`: what is asked of the engine, and what comes of its reply."""

import json
import time

import pytest

from portico.agents.item import Item
from portico.agents.run import run
from portico.errors import ConfigError
from portico.model.call import Reply
from portico.model.verdict import Kind

from .conftest import MESSAGE, SIGNAL

INPUT = {
    "type": "object",
    "properties": {
        "a": {"type": "number"},
        "sure": {"type": "boolean"},
        "who": {"type": "string", "maxLength": 20},
        "list": {"type": "array"},
    },
    "required": ["a"],
    "additionalProperties": False,
}
OUTPUT = {
    "type": "object",
    "properties": {"result": {"type": "number"}},
    "required": ["result"],
}


def tools(given=INPUT, gives=OUTPUT):
    return {
        "calc.do": {"input": json.dumps(given), "output": json.dumps(gives) if gives else ""}
    }


def step(**options):
    return {"plugin": {"call": "calc.do", "with": {"a": "1"}, **options}}


def asked(trial, one, given=MESSAGE, **more):
    """The call of a run that has no reply yet."""
    result = trial.run(
        one, {"send": "out"}, given=given, tools=more.pop("tools", tools()), **more
    )
    assert result.kind is Kind.CALL, result
    return result.call


def replied(trial, one, outcome=b'{"result":15}', given=MESSAGE, **more):
    """The result of the run that goes on with this reply."""
    extra = {key: more.pop(key) for key in ("error", "text", "transient") if key in more}
    known, content = more.pop("tools", tools()), more.pop("content", "hl7")
    call = asked(trial, one, given, tools=known, content=content)
    reply = Reply(call.digest, outcome, **extra)
    plan = trial.plan(one, {"send": "out"}, tools=known, content=content)
    words = {"channel": "in", "type": "ADT^A01", "received": 1_790_000_000_000_000_000}
    return run(plan, Item(SIGNAL, given, words, "key", 1, (reply,)), time.monotonic_ns)


def test_texts_become_what_the_schema_wants(trial):
    """Numbers, switches and lists are read as JSON; a text stays a text, `007` too."""
    given = {"a": "5", "sure": "true", "who": "007", "list": "[1,2.50]"}

    call = asked(trial, step(**{"with": given}))

    assert call.verb == "plugin"
    assert call.request == (
        b'{"arguments":{"a":5,"list":[1,2.50],"sure":true,"who":"007"},'
        b'"call":"calc.do","timeout":5.0}'
    )


def test_places_are_rendered_and_what_is_absent_is_left_out(trial):
    """An optional input that a message lacks is not sent as an empty text."""
    call = asked(trial, step(**{"with": {"a": "{OBX-5}", "who": "{ZZZ-1}"}}))

    assert json.loads(call.request)["arguments"] == {"a": 5.5}


def test_the_same_run_asks_the_same_bytes(trial):
    """The reply is found again by them."""
    one = step(**{"with": {"who": "{PID-3.1}", "a": "{OBX-5}"}})

    assert asked(trial, one).digest == asked(trial, one).digest


def test_a_text_that_is_no_number_fails_without_being_quoted(trial):
    """The input is named, the patient is not."""
    result = trial.run(step(**{"with": {"a": "{PID-5.1}"}}), tools=tools())

    assert result.kind is Kind.FAULT
    assert "with.a is no number" in result.failure.text
    assert "muster" not in result.failure.text


def test_an_input_that_is_missing_is_named(trial):
    """A required input whose place is absent."""
    result = trial.run(step(**{"with": {"a": "{ZZZ-1}"}}), tools=tools())

    assert "/a is missing" in result.failure.text


def test_the_content_is_given_where_the_tool_asks_for_it(trial):
    """HL7 as a text, decoded by its own character set; JSON as its value."""
    text = {"type": "object", "properties": {"content": {"type": "string"}}}
    value = {"type": "object", "properties": {"content": {"type": "object"}}}
    bare = {"plugin": "calc.do"}

    hl7 = asked(trial, bare, tools=tools(text))
    parsed = asked(trial, bare, b'{"x":2.10}', tools=tools(value), content="json")

    assert json.loads(hl7.request)["arguments"] == {"content": MESSAGE.decode()}
    assert b'{"content":{"x":2.10}}' in parsed.request


def test_what_it_gives_takes_the_place_of_json(trial):
    """The value goes on; what was there is gone."""
    result = replied(trial, step(), given=b'{"old":1}', content="json")

    assert result.outputs[0].content == b'{"result":15}'


def test_into_puts_it_aside(trial):
    """The message goes on as it was, and later steps read the value."""
    known = tools()
    one = step(into="sum")
    call = asked(trial, one, tools=known)
    steps = [one, {"map": {"set": {"ZPI-1": "{sum/result}"}}}, {"send": "out"}]
    plan = trial.plan(*steps, tools=known)
    words = {"channel": "in", "type": "ADT^A01", "received": 1}
    item = Item(SIGNAL, MESSAGE, words, "key", 1, (Reply(call.digest, b'{"result":15}'),))

    result = run(plan, item, time.monotonic_ns)

    assert b"\rZPI|15" in result.outputs[0].content


def test_a_text_takes_the_place_of_the_message(trial):
    """A tool without an output schema gives text: HL7 stays HL7."""
    made = MESSAGE.decode().replace("muster", "CHANGED")
    outcome = json.dumps(made).encode()

    result = replied(trial, step(), outcome, tools=tools(gives=None))

    assert b"CHANGED" in result.outputs[0].content


def test_a_value_is_no_message(trial):
    """The step says what would be right."""
    result = replied(trial, step())

    assert result.kind is Kind.FAULT
    assert "say content: json, or into" in result.failure.text


def test_an_outcome_that_does_not_fit_is_refused_here_too(trial):
    """The worker does not trust the engine's check, nor the journal's bytes."""
    result = replied(trial, step(into="x"), b'{"result":"MUSTER"}')

    assert "/result" in result.failure.text
    assert "MUSTER" not in result.failure.text


@pytest.mark.parametrize(
    ("code", "transient", "kind"),
    [
        ("plugin.failed", False, "step.permanent"),
        ("plugin.away", True, "step.transient"),
        ("plugin.timeout", False, "step.timeout"),
    ],
)
def test_an_error_keeps_its_nature(trial, code, transient, kind):
    """on_error and retry decide as for any step; a time-out is one."""
    error = {"error": code, "text": "calc.do: no", "transient": transient}

    result = replied(trial, step(into="x"), b"", **error)

    assert result.failure.code == kind
    assert f"[{code}]" in result.failure.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"call": "calc.dó"}, "is not plugin.tool"),
        ({"call": "calc.dx"}, "did you mean 'calc.do'"),
        ({"with": {"b": "1"}}, "has no input 'b'"),
        ({"with": {}}, "needs 'a'"),
        ({"with": {"a": "many"}}, "with.a is no number"),
        ({"with": {"a": "1", "who": "x" * 21}}, "cannot take who"),
    ],
)
def test_what_cannot_work_is_found_before_it_runs(trial, options, said):
    """Names and constants are held to the schema when the plan is made."""
    with pytest.raises(ConfigError, match=said):
        trial.plan(step(**options), tools=tools())
