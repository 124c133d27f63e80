"""`python`."""

import threading

import pytest

from portico.errors import ConfigError
from portico.model.verdict import Kind, LogLine
from portico.steps import deadline


def call(trial, body, **options):
    """A step that calls `step(value)` of a module with that text."""
    return {"python": {"call": f"{trial.module(body)}:step", **options}}


EDIT = """
def step(msg):
    msg["PID-5.1"] = msg["PID-5.1"].upper()
"""


def test_a_message_is_edited_in_place(trial):
    """What the function does not touch keeps its bytes."""
    assert trial.out(call(trial, EDIT)) == trial.out().replace(b"muster", b"MUSTER")


def test_a_function_that_changes_nothing_changes_nothing(trial):
    """The Signal's own bytes go out."""
    result = trial.run(call(trial, "def step(msg): msg['PID-5']"), {"send": "lab"})

    assert result.outputs[0].content is None


@pytest.mark.parametrize(
    "returned",
    [
        "Message(bytes(msg).replace(b'muster', b'\\xc3\\xa4'))",
        "bytes(msg).replace(b'muster', b'\\xc3\\xa4')",
        "bytes(msg).decode().replace('muster', '\\xe4')",
        "str(msg.hl7()).replace('muster', '\\xe4')",
    ],
)
def test_what_is_returned_takes_the_place_of_the_message(trial, returned):
    """A Message, bytes, or text, which is encoded as its MSH-18 says."""
    body = f"from portico.authoring import Message\ndef step(msg): return {returned}\n"

    assert "ä^max".encode() in trial.out(call(trial, body))


def test_with_gives_keywords(trial):
    """Templates, rendered for each message."""
    body = "def step(msg, *, to, year): msg['ZPI-1'] = f'{to} {year}'\n"
    content = trial.out(call(trial, body, **{"with": {"to": "lab", "year": "{PID-7:%Y}"}}))

    assert content.endswith(b"ZPI|lab 1980\r")


def test_into_puts_a_json_value_aside(trial):
    """The message stays; later steps read the value."""
    body = "def step(msg): return {'code': 'X1', 'score': 0.5, 'seen': [1, 2]}\n"
    result = trial.run(
        call(trial, body, into="finding"),
        {"filter": {"keep": {"finding/score": {"ge": "0.5"}, "finding/seen/1": "2"}}},
        {"send": "lab"},
    )

    assert result.kind is Kind.DELIVER
    assert result.outputs[0].content is None


def test_json_is_given_as_a_value(trial):
    """Changed in place or returned; unchanged it keeps its bytes."""
    given = b'{"a": 1.50, "b": [1]}'
    changed = call(trial, "def step(value): value['a'] *= 2")
    returned = call(trial, "def step(value): return value['b'] + ['x']")
    same = call(trial, "def step(value): assert value['a'] == 1.5")

    assert trial.out(changed, given=given, content="json") == b'{"a":3.0,"b":[1]}'
    assert trial.out(returned, given=given, content="json") == b'[1,"x"]'
    assert trial.out(same, given=given, content="json") == given


@pytest.mark.parametrize(
    ("given", "change", "out"),
    [
        (b'{"on": 1}', "value['on'] = bool(value['on'])", b'{"on":true}'),
        (b'{"on": false}', "value['on'] = int(value['on'])", b'{"on":0}'),
        (b'{"on": 2.0}', "value['on'] = int(value['on'])", b'{"on":2}'),
        (b'{"on": 0.12345678901234567890}', "pass", b'{"on": 0.12345678901234567890}'),
    ],
)
def test_a_change_counts_also_where_python_sees_none(trial, given, change, out):
    """For Python `True` equals 1; and a number that nobody touched keeps its digits."""
    step = call(trial, f"def step(value): {change}")

    assert trial.out(step, given=given, content="json") == out


def test_bytes_are_given_as_they_are(trial):
    """Opaque content."""
    body = "def step(data): return data[::-1]\n"

    assert trial.out(call(trial, body), given=b"\xffab", content="bytes") == b"ba\xff"


def test_the_kind_of_content_can_change(trial):
    """`content` names what comes back; later steps read it as that."""
    to_json = call(trial, "def step(msg): return {'mrn': msg.get('PID-3.1')}", content="json")
    to_hl7 = call(
        trial,
        "def step(v): return 'MSH|^~\\\\&|A||||||ADT^A01|' + v['mrn'] + '|P|2.5\\r'",
        content="hl7",
    )
    result = trial.run(to_json, {"filter": {"keep": {"/mrn": "123"}}}, to_hl7, {"send": "x"})

    assert result.outputs[0].control_id == "123"


FAILURES = [
    ("def step(msg):\n    raise ValueError(msg['PID-5'])",
     "step.permanent", "raised ValueError", 2),
    ("def step(msg):\n    return deep(msg)\n\ndef deep(msg):\n    int(msg['PID-5'])",
     "step.permanent", "raised ValueError", 5),
    ("import sys\ndef step(msg):\n    sys.exit('muster')",
     "step.permanent", "raised SystemExit", 3),
    ("from portico.authoring import Permanent\ndef step(msg):\n    raise Permanent('no code')",
     "step.permanent", "no code", 3),
    ("from portico.authoring import Permanent\ndef step(msg):\n    raise Permanent",
     "step.permanent", "Permanent", 3),
    ("def step(msg):\n    msg['pid-5'] = 'x'", "step.permanent", "PID-5", 2),
    ("def step(msg):\n    while True: pass", "step.timeout", "passed its timeout", 2),
    ("def step(msg):\n    try:\n        while True: pass\n    except Exception: pass",
     "step.timeout", "passed its timeout", 3),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "text", "line"), FAILURES, ids=range(len(FAILURES)))
def test_a_failure_says_where_and_never_quotes_the_message(trial, body, code, text, line):
    """Type and line of what was raised; the text only of the author's own errors."""
    step = call(trial, body, timeout="50ms" if code == "step.timeout" else "60s")
    file = step["python"]["call"].partition(":")[0] + ".py"
    result = trial.run(step, {"send": "lab"})

    assert result.kind is Kind.FAULT
    assert result.failure.code == code
    assert text in result.failure.text
    assert "muster" not in result.failure.text
    assert result.failure.at == f"{file}:{line}"
    assert (result.failure.step, result.failure.transient) == ("python_1", False)


def test_a_transient_error_goes_by_retry_whatever_on_error_says(trial):
    """The Signal waits and holds its order key."""
    body = "from portico.authoring import Transient\ndef step(msg): raise Transient('busy')"
    result = trial.run({**call(trial, body), "on_error": "drop"})

    assert (result.kind, result.failure.transient) == (Kind.FAULT, True)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("{'a': 1}", "returned dict, which is no hl7 content; see into"),
        ("b'hello'", "does not begin with MSH"),
        ("0", "returned int"),
    ],
)
def test_a_return_value_that_is_no_content_is_a_fault(trial, returned, said):
    """Nonsense never goes on."""
    assert said in trial.run(call(trial, f"def step(msg): return {returned}")).failure.text


def test_an_aside_must_be_json(trial):
    """What cannot be journaled or shown is refused."""
    step = call(trial, "def step(msg): return object()", into="x")

    assert trial.run(step).failure.code == "message.content_invalid"


def test_a_failing_function_leaves_the_message_as_it_was(trial):
    """With `continue` the next step sees nothing of it."""
    step = call(trial, "def step(msg):\n    msg['PID-5'] = 'x'\n    raise KeyError")
    result = trial.run({**step, "on_error": "continue"}, {"send": "lab"})

    assert result.outputs[0].content is None
    assert [run.outcome for run in result.runs] == ["failed", "ok"]


def test_tables_and_the_log_are_at_hand(trial):
    """`table` reads the site's tables, `log` keeps lines with the step's name."""
    trial.table("codes", "code,text\nM,male\n")
    body = (
        "from portico.authoring import log, table\n"
        "def step(msg):\n"
        "    log('warning', table('codes').get(msg['PID-8']))\n"
        "    for n in range(200): log('info', 'x' * 1000)\n"
    )
    result = trial.run({**call(trial, body), "name": "sexes"})

    assert result.logs[0] == LogLine("sexes", "warning", "male")
    assert len(result.logs) == 101
    assert "not kept" in result.logs[-1].text
    assert max(len(line.text) for line in result.logs) == 500


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("nowhere:step", "nowhere cannot be imported: ModuleNotFoundError"),
        ("os:getcwd", "os is not a module of this site"),
        ("transforms.phones", "is not module:function"),
        ({"call": "a:b", "timeout": "5"}, "timeout"),
        ({"call": "a:b", "into": "type"}, "envelope"),
        ({"call": "a:b", "content": "fhir"}, "content"),
        ({}, "call"),
    ],
    ids=str,
)
def test_a_wrong_call_says_what_would_be_right(trial, wrong, said):
    """Only code below the site is ever called."""
    with pytest.raises(ConfigError, match=said):
        trial.plan({"python": wrong})


def test_a_module_that_breaks_while_it_loads_is_named(trial):
    """And so is a function that is not there."""
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        trial.plan(call(trial, "1 / 0"))
    with pytest.raises(ConfigError, match="has no function 'step'"):
        trial.plan(call(trial, "def other(): pass"))


def test_the_agents_limit_counts_for_all_steps(trial):
    """limits.time ends a step whose own timeout is longer, and what would come after it."""
    slow = call(trial, "def step(msg):\n    while True: pass")
    result = trial.run({**slow, "on_error": "continue"}, {"send": "x"}, limits={"time": 0.05})

    assert result.kind is Kind.FAULT
    assert (result.failure.code, result.failure.step) == ("step.timeout", "send_1")


def test_a_deadline_off_the_main_thread_lets_the_call_run():
    """Only the main thread can be interrupted; the pool's kill stands behind."""
    found = []
    thread = threading.Thread(target=lambda: found.append(deadline.call(0.001, sum, [1, 2])))
    thread.start()
    thread.join()

    assert found == [3]


def test_no_alarm_is_left_behind():
    """A call that ends in time disarms its deadline, also when it raises."""
    import signal

    assert deadline.call(60, sum, [1, 2]) == 3
    with pytest.raises(ZeroDivisionError):
        deadline.call(60, lambda: 1 / 0)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
