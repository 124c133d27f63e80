"""Cases: what they give, what they stand in for, what they compare, and how they say so."""

import os

import pytest

from portico.check import site as sites
from portico.check.case import examine_cases, read_cases
from portico.check.cases import run_cases
from portico.clock import SystemClock

SITE = """
channel: in
source: {type: mllp, listen: "127.0.0.1:2575"}
%(channel)s
---
agent: work
goal: To be tested
on: {channel: in, type: ADT^*}
%(agent)s
steps:
  - name: tests
    filter: {drop: {PID-5.1: TEST}}
  - name: mend
    python: transforms.mend:mend
  - name: need
    validate: {require: [PID-3.1]}
  - when: {EVN-1: A08}
    emit: {signal: changed}
  - send: {to: lab, set: {MSH-5: LAB}, file: "{MSH-10}.hl7"}
  - when: {PV1-2: I}
    send: pacs
---
agent: heard
goal: To hear
on: {signal: changed}
steps: [{send: pacs}]
---
{destination: lab, type: folder, path: var/lab}
---
{destination: pacs, type: log}
"""
MEND = """
from portico.authoring import Message

def mend(msg: Message) -> None:
    msg["PID-5.2"] = "MENDED"
"""
ADT = (
    "MSH|^~\\\\&|HIS|ST|||20260101||ADT^A01|M1|P|2.5.1\\r"
    "EVN|A01\\rPID|||4711||MUSTER^Max\\rPV1||O\\r"
)
GIVEN = f'given: {{text: "{ADT}"}}'


@pytest.fixture
def run(tmp_path):
    """Runs the cases of a text against the site; their differences, in order."""

    async def run(cases, update=False, channel="", agent=""):
        (tmp_path / "channels").mkdir(exist_ok=True)
        (tmp_path / "transforms").mkdir(exist_ok=True)
        (tmp_path / "transforms/__init__.py").touch()
        (tmp_path / "transforms/mend.py").write_text(MEND)
        (tmp_path / "channels/site.yaml").write_text(
            SITE % {"channel": channel, "agent": agent}
        )
        (tmp_path / "channels/site.test.yaml").write_text(cases)
        site = sites.load_site(tmp_path, os.environ)
        found, findings = read_cases(tmp_path)
        assert findings == []
        return await run_cases(site, found, SystemClock(), update)

    return run


async def differences(run, expect, given=GIVEN, more="", **options):
    """What differs in one case with that expectation."""
    text = f"case: one\nchannel: in\n{given}\n{more}\nexpect: {expect}\n"
    [result] = await run(text, **options)
    return list(result.differences)


async def test_a_case_that_holds_has_no_differences(run):
    """Verdict, answer, each destination by field, and what is not named gets nothing."""
    expect = (
        "{verdict: deliver, ack: {MSA-1: AA, MSA-2: M1}, emits: {},"
        " deliveries: {lab: {MSH-5: LAB, PID-5.2: MENDED, PID-3.1: '4711', file: M1.hl7}}}"
    )

    assert await differences(run, expect) == []


async def test_each_field_that_differs_is_one_line(run):
    """What was wanted as the file has it, and what was found."""
    expect = (
        "{deliveries: {lab: {PID-5.1: OTHER, ZPI: {exists: yes}, MSH-5: LAB,"
        ' "OBX[*]-5": {every: [F, C]}}}}'
    )

    assert await differences(run, expect) == [
        "delivery to lab PID-5.1: wanted 'OTHER', found 'MUSTER'",
        "delivery to lab ZPI: wanted {exists: 'yes'}, found nothing",
        "delivery to lab OBX[*]-5: wanted {every: ['F', 'C']}, found nothing",
    ]


async def test_what_is_compared_is_read_by_the_channels_character_set(run, tmp_path):
    """Where MSH-18 is empty, as most samples of a hospital have it."""
    sample = ADT.encode().decode("unicode_escape").replace("MUSTER", "M\xdcSTER")
    (tmp_path / "latin.hl7").write_bytes(sample.encode("latin-1"))
    expect = "{deliveries: {lab: {PID-5.1: MÜSTER, PID-6: Öl}}}"
    options = {"given": "given: latin.hl7", "more": "set: {PID-6: Öl}"}

    assert await differences(run, expect, channel="charset: 8859/1", **options) == []


async def test_what_is_emitted_is_read_as_the_channel_of_its_emitter_reads(run, tmp_path):
    """By intake, by the agent and by the case."""
    sample = ADT.encode().decode("unicode_escape").replace("MUSTER", "M\xdcSTER")
    (tmp_path / "latin.hl7").write_bytes(sample.encode("latin-1"))
    case = "case: one\nsignal: changed\ngiven: latin.hl7\nset: {PID-6: Öl}\n"
    expect = "expect: {deliveries: {pacs: {PID-5.1: MÜSTER, PID-6: Öl}}}\n"
    [result] = await run(case + expect, channel="charset: 8859/1")

    assert result.differences == ()


async def test_what_cannot_be_read_fails_its_case_alone(run, tmp_path):
    """With the reason; the other cases are run all the same."""
    (tmp_path / "cut.hl7").write_bytes(b"MSH")
    head = f"case: one\nchannel: in\n{GIVEN}\n"
    expect = "expect: {verdict: drop, deliveries: {lab: {golden: cut.hl7}}}\n"
    one, two = await run(f"{head}{expect}---\n{head.replace('one', 'two')}expect: {{}}\n")

    assert one.differences == (
        "verdict: wanted drop, found deliver",
        "MSH-1 is not a separator",
    )
    assert two.differences == ()


async def test_a_verdict_names_the_step_that_decided(run):
    """And why, when a step failed."""
    drop = "{verdict: {drop: need}}"

    assert await differences(run, drop, more="set: {PID-5.1: TEST}") == [
        "verdict: wanted drop by need, found drop by tests"
    ]
    [line] = await differences(run, "{verdict: deliver}", more="set: {PID-3.1: '\"\"'}")
    assert line.startswith("verdict: wanted deliver, found refuse by need")


async def test_a_destination_that_is_not_named_gets_nothing(run):
    """Else a message too many would go unseen."""
    expect = "{deliveries: {lab: {MSH-5: LAB}}}"

    assert await differences(run, expect, more="set: {PV1-2: I}") == [
        "delivery to pacs: wanted 0, found 1"
    ]


async def test_several_messages_are_given_in_order(run):
    """The Deliveries of all of them are one list."""
    given = f'given: [{{text: "{ADT}"}}, {{text: "{ADT.replace("|M1|", "|M2|")}"}}]'
    expect = "{deliveries: {lab: [{MSH-10: M1}, {MSH-10: M2}]}}"

    assert await differences(run, expect, given=given) == []


async def test_emitted_signals_are_compared_too(run):
    """They are not run on: another case gives them."""
    expect = "{emits: {changed: {PID-5.2: MENDED}}, deliveries: {lab: {MSH-5: LAB}}}"

    assert await differences(run, expect, more="set: {EVN-1: A08}") == []
    assert await differences(run, "{emits: {changed: {MSH-5: X}}}") == [
        "emitted changed: wanted 1, found 0"
    ]


async def test_a_case_can_begin_with_an_emitted_signal(run):
    """`signal:` instead of `channel:`; nobody is answered."""
    [result] = await run(
        f"case: one\nsignal: changed\n{GIVEN}\n"
        "expect: {verdict: deliver, ack: none, deliveries: {pacs: {PID-3.1: '4711'}}}\n"
    )

    assert result.differences == ()


async def test_the_answer_is_what_the_running_engine_would_tell(run):
    """The same decisions, by the channel's own `acknowledge`."""
    processed = "acknowledge: {when: processed}"
    refused = (
        "{verdict: {refuse: need}, ack: {MSA-1: AE, ERR-2: {exists: yes}}, deliveries: {}}"
    )
    journaled = "{verdict: {refuse: need}, ack: {MSA-1: AA}}"
    empty = "set: {PID-3.1: '\"\"'}"

    assert await differences(run, refused, more=empty, channel=processed) == []
    assert await differences(run, journaled, more=empty) == []


async def test_what_intake_refuses_is_refused(run):
    """Without a control id there is nothing to answer to but AE."""
    expect = "{verdict: refuse, ack: {MSA-1: AE}, deliveries: {}}"

    assert await differences(run, expect, more='set: {MSH-10: ""}') == []


async def test_what_no_agent_answers_is_unmatched(run):
    """Dropped under that rule, parked or refused, as the channel says."""
    more = "set: {MSH-9.1: ORU}"
    refuse = "{verdict: {refuse: unmatched}, ack: {MSA-1: AR}}"

    assert await differences(run, "{verdict: {drop: unmatched}}", more=more) == []
    assert await differences(run, refuse, more=more, channel="unmatched: refuse") == []


async def test_no_answer_can_be_expected(run):
    """Enhanced mode with NE/NE."""
    more = "set: {MSH-15: NE, MSH-16: NE}"

    assert await differences(run, "{ack: none}", more=more) == []
    assert await differences(run, "{ack: none}") == ["ack: wanted none, found an answer"]
    assert await differences(run, "{ack: {MSA-1: AA}}", more=more) == [
        "ack: wanted one, found none"
    ]


async def test_a_step_can_be_made_to_fail(run):
    """To see what `on_error` does; a transient failure would be tried again."""
    for how in ("transient", "permanent"):
        more = f"steps: {{mend: {{fails: {how}}}}}"
        expect = "{verdict: {fault: mend}, deliveries: {}}"
        assert await differences(run, expect, more=more) == []

    dropped = "{verdict: {drop: mend}}"
    more = "steps: {mend: {fails: permanent}}"
    assert await differences(run, dropped, more=more, agent="on_error: drop") == []


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (
            "raise KeyError(msg.get('PID-5.1'))",
            "by mend: raised KeyError: 'MUSTER' (mend at transforms/mend.py:5)",
        ),
        ("__import__('os')._exit(3)", ": its worker ended while it ran (crashed: exit 3)"),
    ],
)
async def test_what_a_transform_raises_on_a_sample_is_told_in_its_own_words(
    run, tmp_path, monkeypatch, body, why
):
    """Here it tells no patient, and its author has to know; an engine tells type and line."""
    monkeypatch.setitem(globals(), "MEND", MEND.replace('msg["PID-5.2"] = "MENDED"', body))

    (found,) = await differences(run, "{verdict: deliver}")
    assert found.startswith("verdict: wanted deliver, found fault")
    assert found.endswith(why)


async def test_a_step_can_be_given_what_it_gives(run):
    """A stand-in's message goes on in place of the step's own."""
    given = ADT.replace("MUSTER^Max", "STAND^IN")
    more = f'steps: {{mend: {{gives: "{given}"}}}}'
    expect = "{deliveries: {lab: {PID-5: STAND^IN}}}"

    assert await differences(run, expect, more=more) == []


GOLDEN = "{deliveries: {lab: {golden: samples/out.hl7, ignore: [MSH-7, PID-5.2]}}}"


async def test_update_writes_golden_files_and_the_next_run_agrees(run, tmp_path):
    """A file that differs only in what is ignored is left alone."""
    text = f"case: one\nchannel: in\n{GIVEN}\nexpect: {GOLDEN}\n"
    missing = await run(text)
    written = await run(text, update=True)
    golden = tmp_path / "samples/out.hl7"
    golden.write_bytes(golden.read_bytes().replace(b"MENDED", b"OTHER"))
    again = await run(text, update=True)
    holds = await run(text)

    assert missing[0].differences == (
        "delivery to lab samples/out.hl7 is not there; --update writes it",
    )
    assert written[0].updated == ("samples/out.hl7",)
    assert again[0].updated == ()
    assert holds[0].differences == ()


async def test_a_golden_file_is_compared_field_by_field(run, tmp_path):
    """Segments by their number, fields by theirs."""
    await run(f"case: one\nchannel: in\n{GIVEN}\nexpect: {GOLDEN}\n", update=True)
    golden = tmp_path / "samples/out.hl7"
    golden.write_bytes(golden.read_bytes().replace(b"4711", b"4712") + b"ZPI|1\r")

    assert await differences(run, GOLDEN) == [
        "delivery to lab PID-3: wanted '4712', found '4711'",
        "delivery to lab ZPI: wanted ZPI, found no more segments",
    ]


async def test_a_sample_that_is_not_there_fails_its_case_alone(run):
    """The others are run."""
    results = await run(
        "case: one\nchannel: in\ngiven: samples/none.hl7\nexpect: {verdict: deliver}\n---\n"
        f"case: two\nchannel: in\n{GIVEN}\nexpect: {{verdict: deliver}}\n"
    )

    assert results[0].differences == ("none.hl7: No such file or directory",)
    assert results[1].differences == ()


async def test_check_names_a_sample_that_is_not_there_and_the_nearest(run, tmp_path):
    """Before the case is run."""
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples/adt_a01.hl7").touch()
    await run("case: one\nchannel: in\ngiven: samples/adt_a1.hl7\nexpect: {verdict: deliver}\n")

    [finding] = examine_cases(tmp_path, sites.load_site(tmp_path, os.environ))
    assert str(finding) == (
        "channels/site.test.yaml:3 given: there is no file samples/adt_a1.hl7; "
        "did you mean 'adt_a01.hl7'?  [site.case_file]"
    )


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("case: x\ngiven: a\nexpect: {}", "config.value"),
        ("case: x\nchannel: in\nexpect: {}", "config.missing_key"),
        ("case: x\nchannel: in\ngiven: {}\nexpect: {}", "config.value"),
        ("case: x\nchannel: in\ngiven: a\nexpect: {verdict: maybe}", "config.choice"),
        ("case: x\nchannel: in\ngiven: a\nexpect: {ack: {PID: }}", "config.value"),
        ("case: x\nchannel: in\ngiven: a\nexpect: {deliveries: {lab: x}}", "config.value"),
        ("case: x\nchannel: in\ngiven: a\nexpects: {}", "config.unknown_key"),
        ("channel: in", "site.case_place"),
    ],
)
def test_what_is_wrong_with_a_case_is_found_with_its_line(tmp_path, case, code):
    """As with every other document of the site."""
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels/a.test.yaml").write_text(case)
    _, findings = read_cases(tmp_path)

    assert code in {finding.code for finding in findings}, findings
    assert all(finding.path == "channels/a.test.yaml" for finding in findings)
