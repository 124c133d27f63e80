"""`send`."""

import pytest

from portico.errors import ConfigError
from portico.model.verdict import Kind, Output


def test_unchanged_bytes_are_not_copied(trial):
    """No content means the Signal's own; the control id is MSH-10."""
    result = trial.run({"send": "lab"})

    assert result.outputs == (Output("lab", None, None, "77", ""),)


def test_several_destinations_share_one_message(trial):
    """One output each."""
    result = trial.run({"send": ["lab", "pacs"]})

    assert [output.destination for output in result.outputs] == ["lab", "pacs"]


def test_set_writes_on_this_copy_only(trial):
    """The next step sees the message without it; everything else keeps its bytes."""
    result = trial.run(
        {"send": {"to": "lab", "set": {"MSH-5": "X&Y {PV1-2}", "ZPI-1": '""'}}},
        {"send": {"to": "pacs"}},
    )
    lab, pacs = result.outputs

    assert b"|X\\T\\Y I|" in lab.content
    assert lab.content.endswith(b'ZPI|""\r')
    assert pacs.content is None


@pytest.mark.parametrize(
    ("step", "content"),
    [
        ({"body": "OBX[2.1=x]-5"}, None),
        ({"body": "OBX[2=ED]-5.5"}, b"JVBE"),
        ({"body": "OBX[2=ED]-5.5", "decode": "base64"}, b"%PD"),
        ({"body": "PID-3.1", "decode": "hex"}, None),
        ({"body": "PID-11"}, b"A&B"),
        ({"body": "PID-5.1", "decode": "base64"}, None),
        ({"body": "PID-99"}, None),
    ],
    ids=str,
)
def test_a_body_is_the_value_of_a_place(trial, step, content):
    """As text in the message's character set, or decoded; nothing to send is a fault."""
    result = trial.run({"send": {"to": "pdfs", **step}})

    if content is None:
        assert result.kind is Kind.FAULT
        assert result.outputs == ()
        assert "123" not in result.failure.text
    else:
        assert result.outputs[0].content == content


def test_a_file_name_keeps_only_plain_letters(trial):
    """All but A-Za-z0-9._- becomes `_`."""
    result = trial.run({"send": {"to": "pdfs", "file": "{PID-3}/{id}.pdf"}})

    assert result.outputs[0].file == (
        "123___HOSP_MR_9___STATE_SS_0199a1b2-c3d4-7000-8000-00000000abcd.pdf"
    )


def test_a_put_aside_value_is_sent_as_json(trial):
    """What a step put aside has no other form."""
    module = trial.module("def look(msg):\n    return {'a': [1, 2.5]}\n")
    result = trial.run(
        {"python": {"call": f"{module}:look", "into": "found"}},
        {"send": {"to": "x", "body": "found"}},
    )

    assert result.outputs[0].content == b'{"a":[1,2.5]}'


def test_json_content_is_sent_as_it_came(trial):
    """Not a space is moved; `set` writes a copy."""
    given = b'{ "a": 1.50 }'
    result = trial.run(
        {"send": "x"}, {"send": {"to": "y", "set": {"/b": "{/a}"}}}, given=given, content="json"
    )

    assert result.outputs[0].content is None
    assert result.outputs[1].content == b'{"a":1.50,"b":"1.50"}'


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"to": []}, "to"),
        ({"to": "Lab"}, "lab"),
        ({"to": "lab", "decode": "base64"}, "decode needs a body"),
        ({"to": "lab", "body": "PID-5", "set": {"PID-5": "x"}}, "do not meet"),
        (["lab", "lab"], "named twice"),
        ({"to": "lab", "set": {"type": "x"}}, "never written"),
        ({"to": "lab", "set": {"region": "x"}}, "no place of a message; write it in a map"),
        ({"to": "lab", "set": {"OBX[*]-8": "x"}}, "several places"),
        ({"to": "lab", "file": "{now}"}, "received"),
        ({"to": "lab", "files": "x"}, "files"),
    ],
    ids=str,
)
def test_a_wrong_send_says_what_would_be_right(trial, wrong, said):
    """All at configure time."""
    with pytest.raises(ConfigError, match=said):
        trial.plan({"send": wrong})


def test_nothing_leaves_when_a_later_step_fails(trial):
    """All of it in one commit, or none."""
    result = trial.run({"send": "lab"}, {"send": {"to": "pdfs", "body": "PID-99"}})

    assert result.kind is Kind.FAULT
    assert result.outputs == ()


WIDE = "MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5||||||UNICODE UTF-8\rPID|||1||müster\r"


def test_a_destination_with_a_character_set_of_its_own_gets_the_message_in_it(trial):
    """C4: MSH-18 too; the others get the very bytes that came."""
    given = WIDE.encode()
    steps = ({"send": ["lab", "pacs", "his"]},)
    result = trial.run(*steps, given=given, charsets={"lab": "8859/1", "his": "8859/1"})
    lab, pacs, his = (output.content for output in result.outputs)
    assert lab == WIDE.replace("UNICODE UTF-8", "8859/1").encode("latin-1")
    assert pacs is None
    assert his is lab


def test_a_character_that_a_destination_cannot_take_parks_the_message_with_its_field(trial):
    """C4: a fault of the step, never `?`; nothing leaves, for the others neither."""
    given = WIDE.replace("ü", "€").encode()
    result = trial.run(
        {"send": "pacs"}, {"send": "lab"}, given=given, charsets={"lab": "8859/1"}
    )
    failure = result.failure
    assert (failure.code, failure.location) == ("message.text_unencodable", "PID-5")
    assert failure.text == "a character that 8859/1 cannot carry"
    assert result.outputs == ()


def test_the_text_of_a_place_is_written_in_the_destinations_character_set(trial):
    """C4: as a message is; what it cannot carry is an error, bytes that were decoded are not
    touched, and who has no set of its own gets the message's."""
    given = WIDE.encode()
    sets = {"lab": "8859/1", "wide": "UNICODE UTF-16"}
    step = {"send": {"to": ["lab", "wide", "pacs"], "body": "PID-5"}}
    lab, wide, pacs = (
        one.content for one in trial.run(step, given=given, charsets=sets).outputs
    )
    assert (lab, pacs) == ("müster".encode("latin-1"), "müster".encode())
    assert wide == "\ufeffmüster".encode("utf-16-be")

    given = WIDE.replace("müster", "€").encode()
    result = trial.run({"send": {"to": "lab", "body": "PID-5"}}, given=given, charsets=sets)
    assert result.failure.code == "message.text_unencodable"
    given = WIDE.replace("müster", "c3bc").encode()
    step = {"send": {"to": "lab", "body": "PID-5", "decode": "hex"}}
    (output,) = trial.run(step, given=given, charsets=sets).outputs
    assert output.content == b"\xc3\xbc"
