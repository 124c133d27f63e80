"""`split`."""

import json

import pytest

from portico.errors import ConfigError
from portico.hl7.view import MessageView
from portico.model.verdict import Kind

ORDERS = (
    b"MSH|^~\\&|LAB||HIS||20260131||ORU^R01|55|P|2.5.1\r\nPID|1||7\r\nNTE|1|of the patient\r\n"
    b"ORC|RE|1\r\nOBR|1|a\r\nOBX|1|NM|A1\r\nNTE|1|of A1\r\nOBX|2|ED|A2\r\n"
    b"OBR|2|b\r\nOBX|1|ED|B1\r\nORC|RE|2\r\nOBR|3|c\r\nOBX|1|NM|C1\r\n"
)


def parts(trial, split, given=ORDERS, **more):
    """What each part sent, as (first three letters and second field) of its segments."""
    result = trial.run({"split": {**split, "steps": [{"send": "out"}]}}, given=given, **more)
    assert result.failure is None
    return [
        [
            f"{line[:3]}{line.split('|')[2]}"
            for line in output.content.decode().split("\r")[1:-1]
        ]
        for output in result.outputs
    ]


def test_each_order_is_a_message_below_its_patient(trial):
    """From OBR to the next OBR or ORC, below what stands before the first, and its ORC."""
    assert parts(trial, {"at": "OBR"}) == [
        ["PID", "NTEof the patient", "ORC1", "OBRa", "OBXNM", "NTEof A1", "OBXED"],
        ["PID", "NTEof the patient", "ORC1", "OBRb", "OBXED"],
        ["PID", "NTEof the patient", "ORC2", "OBRc", "OBXNM"],
    ]


def test_each_result_carries_the_orders_above_it(trial):
    """To the next of its name, also when only some are chosen."""
    assert parts(trial, {"at": "OBX[*2=ED]"}) == [
        ["PID", "NTEof the patient", "ORC1", "OBRa", "OBXED"],
        ["PID", "NTEof the patient", "ORC1", "OBRb", "OBXED"],
    ]
    assert parts(trial, {"at": "OBX[1]"}) == [
        ["PID", "NTEof the patient", "ORC1", "OBRa", "OBXNM", "NTEof A1"]
    ]


def test_an_order_control_is_a_part_with_its_orders(trial):
    """OBR stands below ORC, so a part at ORC goes on to the next ORC."""
    assert [part[2:] for part in parts(trial, {"at": "ORC"})] == [
        ["ORC1", "OBRa", "OBXNM", "NTEof A1", "OBXED", "OBRb", "OBXED"],
        ["ORC2", "OBRc", "OBXNM"],
    ]


def test_what_is_carried_can_be_said(trial):
    """MSH always, then the named ones."""
    assert parts(trial, {"at": "OBX[*2=ED]", "carry": ["PID", "OBR"]}) == [
        ["PID", "OBRa", "OBXED"],
        ["PID", "OBRb", "OBXED"],
    ]


def test_segments_before_any_order_are_parts_too(trial):
    """Without ORC and OBR the head ends at the first of its name."""
    given = (
        b"MSH|^~\\&|A||||20260131||MDM^T02|5|P|2.5.1\rPID|1||7\r"
        b"OBX|1|TX|a\rOBX|2|TX|b\rZPI|1|z\r"
    )
    assert parts(trial, {"at": "OBX"}, given) == [["PID", "OBXTX"], ["PID", "OBXTX", "ZPIz"]]


def test_parts_are_counted_and_have_control_ids_of_their_own(trial):
    """`{MSH-10}.{part}`; the part's own number in templates."""
    result = trial.run(
        {"split": {"at": "OBR", "steps": [{"send": {"to": "out", "file": "{part:03}"}}]}},
        given=ORDERS,
    )

    assert [(output.control_id, output.file) for output in result.outputs] == [
        ("55.1", "001"), ("55.2", "002"), ("55.3", "003"),
    ]  # fmt: skip
    assert b"|ORU^R01|55.2|P|" in result.outputs[1].content


def test_a_part_keeps_the_mark_that_says_utf_8(trial):
    """Where MSH-18 is empty, whoever gets the part could not read it without."""
    given = b"\xef\xbb\xbf" + ORDERS.replace(b"||7", "||7||Ü".encode())
    result = trial.run({"split": {"at": "ORC", "steps": [{"send": "out"}]}}, given=given)

    assert [MessageView(one.content).text("PID-5") for one in result.outputs] == ["Ü", "Ü"]


def test_afterwards_the_whole_message_goes_on(trial):
    """Untouched by what the parts did to theirs."""
    result = trial.run(
        {"split": {"at": "OBR", "steps": [{"map": {"set": {"PID-3": "x"}}}, {"send": "out"}]}},
        {"send": "all"},
        given=ORDERS,
    )

    assert b"PID|1||x\r" in result.outputs[0].content
    assert result.outputs[-1].content is None


def test_a_filter_ends_its_part_alone(trial):
    """The others go on, and so does the whole."""
    steps = [{"filter": {"keep": {"OBR-2": "b"}}}, {"send": "out"}]
    result = trial.run({"split": {"at": "OBR", "steps": steps}}, {"send": "all"}, given=ORDERS)

    assert [output.control_id for output in result.outputs] == ["55.2", "55"]
    assert {run.name: run.outcome for run in result.runs}["filter_1"] in ("ok", "dropped")


def test_what_parts_put_aside_stays_with_them(trial):
    """The next part and the whole do not see it."""
    steps = [
        {"filter": {"drop": {"seen": "yes"}}},
        {"map": {"set": {"seen": "yes"}}},
        {"send": "out"},
    ]
    result = trial.run(
        {"split": {"at": "OBR", "steps": steps}},
        {"send": {"to": "all"}, "when": {"seen": {"exists": "no"}}},
        given=ORDERS,
    )

    assert len(result.outputs) == 4


def test_what_a_part_writes_below_a_name_stays_with_it(trial):
    """Neither the next part nor the whole message sees it: it would tell of another patient."""
    content = b'{"items": [{"n": "1"}, {"n": "2"}]}'
    seen = {"map": {"set": {"/seen": "{about/level}"}}}
    hot = {"map": {"set": {"about/level": "hot"}}, "when": {"/n": "1"}}
    steps = [
        {"map": {"set": {"about/level": "none"}}},
        {"split": {"at": "/items", "steps": [hot, seen, {"send": "out"}]}},
        seen,
        {"send": "out"},
    ]

    outputs = trial.run(*steps, given=content, content="json").outputs

    assert [json.loads(one.content)["seen"] for one in outputs] == ["hot", "none", "none"]


def test_a_part_that_fails_fails_the_signal(trial):
    """Nothing of any part leaves."""
    steps = [{"send": "out"}, {"validate": {"values": {"OBR-2": ["a", "b"]}}}]
    result = trial.run({"split": {"at": "OBR", "steps": steps}}, given=ORDERS)

    assert result.kind is Kind.REFUSE
    assert result.outputs == ()


def test_a_list_of_json_is_split_by_its_items(trial):
    """Each item is the content; none, or no such list, is no part."""
    given = b'{"wards": [{"ward": "A", "n": 1.0}, {"ward": "B"}], "none": []}'
    split = {"at": "/wards", "steps": [{"emit": {"signal": "w", "order_by": "/ward"}}]}
    result = trial.run({"split": split}, given=given, content="json")

    assert [(e.content, e.order_key) for e in result.emissions] == [
        (b'{"ward":"A","n":1.0}', "A"), (b'{"ward":"B"}', "B"),
    ]  # fmt: skip
    for at in ("/none", "/nowhere"):
        other = trial.run({"split": {**split, "at": at}}, given=given, content="json")
        assert other.emissions == ()


def test_the_number_of_parts_is_bounded(trial):
    """limits.parts."""
    step = {"split": {"at": "OBR", "steps": [{"send": "out"}]}}
    result = trial.run(step, given=ORDERS, limits={"parts": 2})

    assert result.kind is Kind.FAULT
    assert "limits.parts" in result.failure.text


@pytest.mark.parametrize(
    ("at", "given", "content"),
    [("/a", ORDERS, "hl7"), ("OBR", b"{}", "json"), ("/a", b'{"a": 1}', "json")],
)
def test_content_of_another_kind_is_a_fault(trial, at, given, content):
    """A pointer needs JSON with a list there, a segment needs HL7."""
    step = {"split": {"at": at, "steps": [{"send": "out"}]}}

    assert trial.run(step, given=given, content=content).failure.location == at


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"at": "OBR-2"}, "try OBR"),
        ({"at": "MSH"}, "try OBR"),
        ({"at": "type"}, "try OBR"),
        ({"at": "OBR", "carry": ["PID-3"]}, "try PID"),
        ({"at": "/a", "carry": ["PID"]}, "HL7 content"),
        ({}, "at"),
    ],
    ids=str,
)
def test_a_wrong_split_says_what_would_be_right(trial, wrong, said):
    """All at configure time."""
    with pytest.raises(ConfigError, match=said):
        trial.plan({"split": {**wrong, "steps": [{"send": "out"}]}})
