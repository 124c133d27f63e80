"""portico.agents.run and .program: verdicts, failures and the ledger."""

import pytest

from portico.model import lane
from portico.model.verdict import Failure, Kind, Refusal

MESSAGE = (
    b"MSH|^~\\&|HIS|HOSP|LAB||20260131||ADT^A01|77|P|2.5\rPID|1||123||MUSTER^MAX\rPV1|1|I\r"
)
HEAD = "agent: a\ngoal: to try it\non: {channel: in}\n"


def agent(site, steps, more=""):
    site.read(HEAD + more + "steps:\n" + steps)


def sent(result):
    return [output.destination for output in result.outputs]


FAILING = "  - name: check\n    lookup: {table: none, key: PID-3}\n"


@pytest.fixture(autouse=True)
def table(site):
    site.write("transforms/tables/none.csv", "key,value\n")


def test_an_agent_without_send_delivers_nothing(site):
    """It is done, with no deliveries."""
    agent(site, "  - filter: {keep: {PV1-2: I}}\n")
    result = site.run("a", MESSAGE)

    assert (result.kind, result.outputs, result.step) == (Kind.DELIVER, (), "")


@pytest.mark.parametrize("where", ["step", "agent"])
@pytest.mark.parametrize(
    ("on_error", "kind", "hold", "destinations"),
    [
        ("park", Kind.FAULT, False, []),
        ("stop", Kind.FAULT, True, []),
        ("drop", Kind.DELIVER, False, ["before"]),
        ("continue", Kind.DELIVER, False, ["before", "after"]),
        ("refuse", Kind.REFUSE, False, []),
        ("{refuse: No {MSH-5}}", Kind.REFUSE, False, []),
        ("{steps: [{send: errors}]}", Kind.DELIVER, False, ["before", "errors"]),
    ],
)
def test_on_error_decides_what_becomes_of_the_signal(
    site, where, on_error, kind, hold, destinations
):
    """Said at the step, or at the agent for all its steps."""
    said = f"on_error: {on_error}\n".replace("No {MSH-5}", '"No {MSH-5}"')
    steps = "  - send: before\n" + FAILING + "{on_error}  - send: after\n"
    if where == "step":
        agent(site, steps.replace("{on_error}", "    " + said))
    else:
        agent(site, steps.replace("{on_error}", ""), said)
    result = site.run("a", MESSAGE)

    assert (result.kind, result.hold, sent(result)) == (kind, hold, destinations)
    assert result.step == ("" if kind is Kind.DELIVER else "check")
    assert {run.name: run.outcome for run in result.runs}["check"] == "failed"
    if kind is Kind.FAULT:
        assert result.failure == Failure(
            "step.rule_broken", "the value of PID-3 is not in table none", "check",
            "channels/a.yaml:6" if where == "step" else "channels/a.yaml:7", "PID-3",
        )  # fmt: skip
    if kind is Kind.REFUSE:
        text = "No LAB" if "No" in on_error else "the value of PID-3 is not in table none"
        shown = "No {MSH-5}" if "No" in on_error else ""  # where patient data are hidden
        assert result.refusal == Refusal("AE", "103", text, "PID-3", shown)


def test_a_drop_by_error_is_counted_under_the_steps_name(site):
    """When nothing was sent before."""
    agent(site, FAILING + "    on_error: drop\n  - send: after\n")
    result = site.run("a", MESSAGE)

    assert (result.kind, result.step) == (Kind.DROP, "check")


def test_a_handler_that_fails_parks(site):
    """Its own steps may say otherwise; the agent's on_error is not asked again."""
    handler = (
        "    on_error: {steps: [{validate: {require: PID-9}, on_error: park}, {send: x}]}\n"
    )
    agent(site, FAILING + handler)

    assert site.run("a", MESSAGE).kind is Kind.FAULT


def test_a_handler_sees_the_message_as_before_the_failed_step(site):
    """And what earlier steps made of it."""
    module = site.module("def bad(msg):\n    msg['PID-5'] = 'half'\n    raise KeyError\n")
    agent(
        site,
        "  - map: {set: {PID-8: F}}\n"
        f"  - python: {module}:bad\n"
        "    on_error: {steps: [{send: errors}]}\n",
    )
    (output,) = site.run("a", MESSAGE).outputs

    assert b"MUSTER" in output.content
    assert output.content.endswith(b"MUSTER^MAX|||F\rPV1|1|I\r")


def test_a_split_that_is_passed_over_leaves_nothing_behind(site):
    """`continue`: as if the step were not there, so what its first part sent is gone."""
    agent(
        site,
        "  - on_error: continue\n"
        "    split:\n"
        "      at: PV1\n"
        "      steps: [{send: lost}, {emit: {signal: lost}}]\n"
        "  - send: after\n",
        "limits: {parts: 1}\n",
    )
    result = site.run("a", MESSAGE + b"PV1|2|O\r")

    assert (sent(result), result.emissions) == (["after"], ())


def test_when_skips_a_step(site):
    """The ledger says so; the others run."""
    agent(site, "  - when: {PV1-2: O}\n    send: never\n  - when: {PV1-2: I}\n    send: lab\n")
    result = site.run("a", MESSAGE)

    assert sent(result) == ["lab"]
    assert [(run.name, run.verb, run.outcome) for run in result.runs] == [
        ("send_1", "send", "skipped"), ("send_2", "send", "ok"),
    ]  # fmt: skip


def test_content_that_cannot_be_opened_goes_by_the_agents_on_error(site):
    """A handler gets the bytes as they came."""
    agent(site, "  - send: lab\n")
    assert site.run("a", b"hello").failure.code == "message.not_hl7"

    agent(site, "  - send: lab\n", "on_error: {steps: [{send: strange}]}\n")
    assert sent(site.run("a", b"hello")) == ["strange"]


def test_a_signal_of_an_agent_is_opened_as_what_it_is(site):
    """JSON of an `emit`, though the agent answers HL7 channels too."""
    agent(site, "  - filter: {keep: {/code: X1}}\n  - send: lab\n")
    result = site.run("a", b'{"code": "X1"}', channel=None, signal="found")

    assert sent(result) == ["lab"]


def test_the_agents_order_key_is_that_of_the_outputs(site):
    """Of the message as it came; without, the session's."""
    agent(site, "  - map: {set: {PID-3: '9'}}\n  - send: lab\n")
    assert site.run("a", MESSAGE).outputs[0].order_key is None

    site.documents["a"]["order_by"] = ["PID-99", "PID-3.1"]
    assert site.run("a", MESSAGE).outputs[0].order_key == "123"


def test_an_agents_order_key_meets_others_in_a_merge(site):
    """By PID-3 every patient that the merge names; and whatever stands beside it."""
    agent(site, "  - send: lab\n")
    site.documents["a"] |= {"order_by": ["PID-3.1"], "beside": ["PV1-2"]}
    merge = MESSAGE.replace(b"ADT^A01", b"ADT^A40") + b"MRG|88\r"

    key = site.run("a", merge, type="ADT^A40").outputs[0].order_key

    assert set(lane.keys(key)) == {"123", "88", "I"}


def test_bytes_that_come_out_as_they_went_in_are_not_copied(site):
    """However they came about."""
    agent(site, "  - map: {set: {PV1-2: I}}\n  - send: lab\n")

    assert site.run("a", MESSAGE).outputs[0].content is None
