"""Cases of channels whose answer is a destination's or an agent's."""

import os

import pytest

from portico.check import site as sites
from portico.check.case import examine_cases, read_cases
from portico.check.cases import run_cases
from portico.clock import SystemClock

SITE = """
channel: vxu_in
source: {type: mllp, listen: "127.0.0.1:2575"}
acknowledge: {when: delivered, reply: registry}
---
channel: query_in
source: {type: mllp, listen: "127.0.0.1:2576"}
acknowledge: {when: processed, reply: result}
---
agent: report
goal: Report
on: {channel: vxu_in}
steps: [{send: registry}]
---
agent: find
goal: Answer
on: {channel: query_in}
steps: [{map: {set: {MSH-9.1: RSP, PID-5.1: FOUND}}}]
---
{destination: registry, type: mllp, address: "127.0.0.1:2577", answers: {AE: done}}
"""
HEAD = "MSH|^~\\\\&|HIS|ST|||20260101||{kind}|{id}|P|2.5.1\\r"
VXU = HEAD.format(kind="VXU^V04", id="M1") + "PID|||4711\\r"


def answer(code):
    """What the registry says, as a case holds it."""
    return f'{{text: "{HEAD.format(kind="ACK", id="R7")}MSA|{code}|M1\\rZZZ|kept\\r"}}'


@pytest.fixture
def run(tmp_path):
    """Runs a case of these lines against the site; its differences."""

    async def run(lines, channel="vxu_in"):
        (tmp_path / "channels").mkdir()
        (tmp_path / "channels/site.yaml").write_text(SITE)
        case = f'case: told\nchannel: {channel}\ngiven: {{text: "{VXU}"}}\n{lines}'
        (tmp_path / "channels/site.test.yaml").write_text(case)
        site = sites.load_site(tmp_path, os.environ)
        findings = examine_cases(tmp_path, site)
        if findings:
            return [finding.code for finding in findings]
        found, _ = read_cases(tmp_path)
        [result] = await run_cases(site, found, SystemClock())
        return list(result.differences)

    return run


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        (f"answers: {{registry: {answer('AE')}}}\n", "{MSA-1: AE, MSH-10: R7, ZZZ-1: kept}"),
        (f"answers: {{registry: {answer('AR')}}}\n", "{MSA-1: AE, MSH-10: {not: R7}}"),
        ("", "{MSA-1: AA, MSA-2: M1}"),
    ],
    ids=["passed on, because AE is done", "ours, because AR is not", "success unless named"],
)
async def test_a_case_says_what_a_destination_answers(run, says, expected):
    """Verbatim where the destination's `answers` call it done; else our own word."""
    assert await run(f"{says}expect: {{verdict: deliver, ack: {expected}}}\n") == []


async def test_a_wrong_answer_of_a_destination_is_a_difference(run):
    """The case looks at what the sender would read."""
    lines = f"answers: {{registry: {answer('AE')}}}\nexpect: {{ack: {{MSA-1: AA}}}}\n"

    assert len(await run(lines)) == 1


async def test_the_value_of_an_agent_is_the_answer(run):
    """reply: result, as in a running engine."""
    expected = "{MSH-9.1: RSP, PID-5.1: FOUND, MSA: {exists: no}}"

    assert await run(f"expect: {{ack: {expected}}}\n", "query_in") == []


async def test_an_answer_of_nobody_is_found(run):
    """`answers` names destinations of the site."""
    lines = f"answers: {{registri: {answer('AA')}}}\nexpect: {{verdict: deliver}}\n"

    assert await run(lines) == ["site.unknown_destination"]
