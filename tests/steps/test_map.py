"""`map`."""

import itertools
import json

import pytest

from portico import ids
from portico.errors import ConfigError
from portico.hl7.view import MessageView
from portico.ids import SignalId
from portico.model.verdict import Kind

JSON = (
    b'{"mrn": "77", "born": "1980-01-31",'
    b' "name": {"family": "muster", "given": ["Max"]}, "n": 2.10}'
)


def read(content, *paths):
    view = MessageView(content)
    return [view.text(path) for path in paths]


@pytest.mark.parametrize(
    ("options", "path", "text"),
    [
        ({"set": {"PID-5.1": "A&{PV1-2}"}}, "PID-5.1", "A&I"),
        ({"set": {"PID-5": "a^b"}}, "PID-5.1", "a^b"),
        ({"set": {"ZPI-3": "new"}}, "ZPI-3", "new"),
        ({"set": {"PID-5.2": "{PID-99}"}}, "PID-5.2", None),
        ({"set": {"PID-3[5=SS].1": "5"}}, "PID-3[2].1", "5"),
        ({"copy": {"PID-9": "PID-5"}}, "PID-9.2", "max"),
        ({"copy": {"PID-9.1": "PID-3[2].4"}}, "PID-9.1", "STATE"),
        ({"copy": {"PID-5": "PID-99"}}, "PID-5", None),
        ({"default": {"PID-9": "none"}}, "PID-9", "none"),
        ({"default": {"PID-5.1": "none"}}, "PID-5.1", "muster"),
        ({"remove": "PID-5"}, "PID-5", None),
        ({"remove": ["OBX[*2=ED]"]}, "OBX[2]-2", "TX"),
        ({"format": {"PID-5.1": "upper"}}, "PID-5", "MUSTER^max"),
        ({"format": {"PID-5": "upper"}}, "PID-5.2", "MAX"),
        ({"format": {"PID-11": "lower"}}, "PID-11", "a&b"),
        ({"set": {"PID-5.1": "  x "}, "format": {"PID-5.1": "trim"}}, "PID-5.1", "x"),
        ({"set": {"PID-13": "+41 (0)79"}, "format": {"PID-13": "digits"}}, "PID-13", "41079"),
        ({"format": {"PID-7": {"date": "%d.%m.%Y"}}}, "PID-7", "31.01.1980"),
        ({"format": {"PID-3.1": {"pad": "6"}}}, "PID-3.1", "000123"),
        ({"format": {"PID-5.1": {"cut": "3"}}}, "PID-5.1", "mus"),
        ({"format": {"PID-99": "upper"}}, "PID-99", None),
        ({"format": {"OBX[*]-2": "lower"}}, "OBX[3]-2", "tx"),
    ],
    ids=str,
)  # fmt: skip
def test_each_key_does_its_work(trial, options, path, text):
    """Read back from what leaves."""
    assert read(trial.out({"map": options}), path) == [text]


def test_two_quotes_write_the_delete(trial):
    """HL7's `\"\"` says that the old value shall go."""
    assert b'|""|19800131|' in trial.out({"map": {"set": {"PID-6": '""'}}})


def test_deleted_places_keep_their_delete(trial):
    """A format is for values; a copy carries the delete on."""
    content = trial.out({"map": {"format": {"PID-10": "upper"}, "copy": {"ZPI-1": "PID-10"}}})

    assert b'|M||""|' in content
    assert content.endswith(b'ZPI|""\r')


def test_nothing_else_moves(trial):
    """All other bytes are those that came."""
    content = trial.out({"map": {"set": {"PID-8": "F"}}})

    from_start = trial.out({"filter": {"keep": {"PV1-2": "I"}}})
    assert content == from_start.replace(b"|M|", b"|F|")


def test_the_order_of_lines_means_nothing(trial):
    """Sources are read before anything is written, so two fields can be swapped."""
    keys = {
        "set": {"PID-5.1": "{PID-5.2}", "PID-5.2": "{PID-5.1}", "PID-3[5=MR].5": "PI"},
        "copy": {"PID-3[5=MR].1": "PID-3[5=SS].1"},
        "remove": ["OBX[*2=ED]", "OBX[*2=TX]"],
        "format": {"PID-5.1": "upper"},
    }
    results = {
        trial.out({"map": dict(order)}) for order in itertools.permutations(keys.items())
    }

    (content,) = results
    assert read(content, "PID-5", "PID-3", "OBX[2]-1") == [
        "MAX^muster", "9^^^HOSP^PI~9^^^STATE^SS", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("remove", "left"),
    [
        (["OBX[*2=TX]", "OBX[*2=ED]"], ["1"]),
        (["OBX[*2=ED]", "OBX[*3=PDF]"], ["1", "3"]),
        (["OBX[3]", "OBX"], ["2"]),
        (["OBX[2]", "OBX[*2=NM]-1"], ["", "3"]),
        (["OBX[*2=TX]-1", "OBX[1]"], ["2", ""]),
    ],
    ids=str,
)
def test_several_lines_take_out_what_they_name(trial, remove, left):
    """In whatever order they stand, and once where two of them name the same segment."""
    results = {trial.out({"map": {"remove": list(o)}}) for o in itertools.permutations(remove)}

    (content,) = results
    rows = MessageView(content).segments("OBX")
    assert [row.text(1) or "" for row in rows] == left


def test_items_are_taken_out_by_the_numbers_that_they_came_with(trial):
    """The tenth stands behind the second."""
    step = {"remove": ["/a/10", "/a/2", "/a/0"]}
    content = trial.out({"map": step}, given=b'{"a":[0,1,2,3,4,5,6,7,8,9,10]}', content="json")

    assert content == b'{"a":[1,3,4,5,6,7,8,9]}'


def test_stars_pair(trial):
    """The n-th target is written from the n-th source; copies keep their structure."""
    content = trial.out(
        {
            "map": {
                "set": {"OBX[*]-4": "{OBX[*]-3}/{OBX[*]-1}", "OBX[*]-11": "F"},
                "copy": {"OBX[*]-6": "OBX[*]-5"},
            }
        }
    )

    assert [read(content, f"OBX[{n}]-4", f"OBX[{n}]-11", f"OBX[{n}]-6") for n in (1, 2, 3)] == [
        ["WBC/1", "F", "5.5"],
        ["PDF/2", "F", "^^^Base64^JVBE"],
        ["NOTE/3", "F", "hello"],
    ]


def test_a_new_message_starts_with_its_header_alone(trial):
    """From JSON: sender PORTICO, the Signal's time, a control id of its id, UTF-8."""
    step = {
        "new": "ADT^A28^ADT_A05",
        "set": {
            "MSH-5": "HIS",
            "PID-3.1": "{/mrn}",
            "PID-5.1": "{/name/family}",
            "PID-5.2": "{/name/given/0}",
            "PID-7": "{/born:%Y%m%d}",
        },
        "format": {"PID-5.1": "upper"},
    }
    result = trial.run({"map": step}, {"send": "his"}, given=JSON, content="json")
    control_id = ids.short(SignalId(bytes.fromhex("0199a1b2c3d47000800000000000abcd")))
    header, pid, _ = result.outputs[0].content.split(b"\r")

    assert header == (
        b"MSH|^~\\&|PORTICO||HIS||20260921141320+0000||ADT^A28^ADT_A05|"
        b"%b|P|2.5.1||||||UNICODE UTF-8" % control_id.encode()
    )
    assert pid == b"PID|||77||MUSTER^Max||19800131"
    assert result.outputs[0].control_id == control_id


def test_a_new_message_of_a_message_keeps_who_speaks_and_how(trial):
    """Sender, receiver, processing id, version and character set; `[*]` makes segments."""
    content = trial.out({"map": {"new": "ORU^R01", "set": {"OBX[*]-3": "{OBX[*]-3}"}}})

    assert content.startswith(b"MSH|^~\\&|HIS|HOSP|LAB|L|2026")
    assert b"||ORU^R01|" in content
    assert b"|P|2.5.1||||||UNICODE UTF-8\rOBX|||WBC\rOBX|||PDF\rOBX|||NOTE\r" in content


def test_a_new_message_keeps_the_mark_that_says_utf_8(trial):
    """Where MSH-18 is empty, whoever gets it could not read it without."""
    given = "\ufeffMSH|^~\\&|A||||||ADT^A01|1|P|2.5\rPID|1||||Ü\r".encode()
    step = {"map": {"new": "ADT^A28", "set": {"PID-5": "{PID-5}", "PID-6": "é"}}}
    content = trial.out(step, given=given)

    assert read(content, "PID-5", "PID-6", "MSH-18") == ["Ü", "é", None]


def test_json_is_written_by_pointers(trial):
    """Objects on the way are made, numbers keep their digits."""
    step = {
        "set": {"/patient/name": "{/name/family}", "/name/given/0": "Moritz"},
        "copy": {"/all": "/name"},
        "default": {"/sex": "U", "/mrn": "0"},
        "remove": "/born",
        "format": {"/patient/name": "upper"},
    }

    assert trial.out({"map": step}, given=JSON, content="json") == (
        b'{"mrn":"77","name":{"family":"muster","given":["Moritz"]},"n":2.10,'
        b'"all":{"family":"muster","given":["Max"]},"patient":{"name":"MUSTER"},"sex":"U"}'
    )


def test_new_json_from_a_message(trial):
    """Fields become texts."""
    step = {"new": "json", "set": {"/id": "{PID-3.1}", "/name/family": "{PID-5.1}"}}

    assert trial.out({"map": step}) == b'{"id":"123","name":{"family":"muster"}}'


def test_a_name_is_put_aside(trial):
    """For later steps; the content stays."""
    result = trial.run(
        {"map": {"set": {"region/name": "n{PV1-2}"}, "copy": {"name": "PID-5"}}},
        {"send": "x", "when": {"region/name": "nI", "name": "muster^max"}},
    )

    assert result.outputs[0].content is None


def test_what_was_copied_aside_is_another_value(trial):
    """What is written below it changes neither the content nor another name."""
    step = {"copy": {"who": "/name", "other": "/name"}}
    later = {"set": {"who/family": "{/n}"}}
    shown = {"set": {"/who": "{who/family}", "/other": "{other/family}"}}
    steps = [{"map": step}, {"map": later}, {"map": shown}]

    content = json.loads(trial.out(*steps, given=JSON, content="json"))

    assert content["name"]["family"] == content["other"] == "muster"
    assert content["who"] == "2.10"


def test_names_can_be_swapped(trial):
    """What stands aside is read as it came into the step, too."""
    content = trial.out(
        {"map": {"set": {"one": "1", "two": "2"}}},
        {"map": {"copy": {"one": "two", "two": "one"}}},
        {"map": {"set": {"PID-9": "{one}{two}"}}},
    )

    assert read(content, "PID-9") == ["21"]


def test_a_step_that_fails_leaves_what_stood_aside(trial):
    """`continue` goes on from before it, below a name too."""
    content = trial.out(
        {"map": {"set": {"about/level": "old"}}},
        {"map": {"set": {"about/level": "new", "MSH-1": "x"}}, "on_error": "continue"},
        {"map": {"set": {"PID-9": "{about/level}"}}},
    )

    assert read(content, "PID-9") == ["old"]


@pytest.mark.parametrize(
    ("step", "location"),
    [
        ({"set": {"/a": "x"}}, "/a"),
        ({"set": {"PID-3[5=XX].1": "x"}}, "PID-3[5=XX].1"),
        ({"set": {"MSH-1": "x"}}, "MSH-1"),
        ({"format": {"PID-5.1": {"date": "%Y"}}}, "PID-5.1"),
        ({"set": {"PID-9": "{PID-5.1:%Y}"}}, "PID-5.1"),
    ],
    ids=str,
)
def test_what_cannot_be_written_is_a_fault_with_its_place(trial, step, location):
    """And never with a value."""
    failure = trial.run({"map": step}).failure

    assert failure.location == location
    assert "muster" not in failure.text


def test_text_outside_the_character_set_is_told_with_its_place(trial):
    """Never a question mark."""
    given = b"MSH|^~\\&|A||||||ADT^A01|1|P|2.5\rPID|1\r"
    result = trial.run({"map": {"set": {"PID-5": "Ж"}}}, given=given)

    assert result.kind is Kind.FAULT
    assert (result.failure.code, result.failure.location) == (
        "message.text_unencodable", "PID-5",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "map does nothing"),
        ({"set": {"PID-3": "x", "PID-3.1": "y"}}, "write the same"),
        ({"set": {"PID-3.1": "x"}, "copy": {"PID-3[1].1": "PID-2"}}, "parts|write the same"),
        ({"set": {"PID-3.1": "x"}, "remove": "PID"}, "write the same"),
        ({"set": {"/a": "x", "/a/b": "y"}}, "write the same"),
        ({"set": {"a": "x", "a/b": "y"}}, "write the same"),
        ({"copy": {"PID-3.1": "PID-3"}}, "parts"),
        ({"set": {"PID": "x"}}, "PID-1"),
        ({"set": {"type": "x"}}, "never written"),
        ({"remove": "type"}, "not of the content"),
        ({"new": "ADT"}, r"ADT\^A28\^ADT_A05"),
        ({"format": {"PID-5": "title"}}, "upper, lower, trim, digits"),
        ({"format": {"PID-5": {"date": "%q"}}}, "%Y %m %d"),
        ({"format": {"PID-5": {"pad": "0"}}}, "1 to"),
        ({"sets": {}}, "sets"),
    ],
    ids=str,
)
def test_a_wrong_map_says_what_would_be_right(trial, wrong, said):
    """A place is written once, so that lines commute."""
    with pytest.raises(ConfigError, match=said):
        trial.plan({"map": wrong})
