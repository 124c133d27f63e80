"""portico.hl7.message: what a transform's author holds."""

import subprocess
import sys

import pytest

from portico.errors import ContentInvalid, PathInvalid
from portico.hl7.datetimes import DateTime
from portico.hl7.diff import Difference
from portico.hl7.message import Message
from portico.hl7.reading import DELETED


def test_places_are_read_as_text(adt):
    """E3: None is absent, DELETED is HL7's delete; `get` has a default for both."""
    msg = Message(adt)
    assert (msg["PID-5.1"], msg["PID-99"], msg["ZZZ-1"]) == ("MUSTER", None, None)
    assert (msg["PV1-5"], msg["PV1-6"]) == (DELETED, None)
    assert (msg.get("PID-99"), msg.get("PV1-5", "none"), msg.get("PV1-2", "O")) == (
        "",
        "none",
        "I",
    )
    assert msg.texts("OBX[*]-2") == ["NM", "ED", "TX"]
    assert (msg.type, msg.control_id) == ("ADT^A01", "MSG00001")
    assert msg.raw("PID-3") == b"900001^^^HOSP^MR~123^^^ST^SS"


def test_in_asks_whether_a_place_is_valued(adt):
    """A delete is no value, a segment is a place."""
    msg = Message(adt)
    places = ("PID-5.1", "PV1-5", "ZPI", "ZZZ", "OBX[*]-5")
    assert [place in msg for place in places] == [True, False, True, False, True]


def test_places_are_written_and_emptied(adt):
    """E6: only what is touched changes, and no text shifts a field."""
    msg = Message(adt)
    msg["PID-5.1"] = "A&B"
    msg["PV1-2"] = DELETED
    msg["PID-8"] = None
    msg.set_raw("PID-3", b"1^^^X")
    del msg["PID-11"]
    del msg["OBX[*2=ED]"]
    msg.insert_segment(b"NTE|1||done", after=0)
    assert (msg["PID-5.1"], msg["PV1-2"], msg["PID-3.4"]) == ("A&B", DELETED, "X")
    assert msg.content == (
        adt.replace(b"MUSTER", b"A\\T\\B")
        .replace(b"PV1|1|I", b'PV1|1|""')
        .replace(b"19700101|F|", b"19700101||")
        .replace(b"900001^^^HOSP^MR~123^^^ST^SS", b"1^^^X")
        .replace(b"1 MAIN ST^^TOWN", b"")
        .replace(b"OBX|2|ED|PDF^REPORT^L||^APPLICATION^PDF^Base64^QUJD||||||F\r", b"")
        .replace(b"\rEVN", b"\rNTE|1||done\rEVN")
    )


def test_repetitions_are_places_of_their_own(adt):
    """To read and write one by one; an absent field has none."""
    msg = Message(adt)
    assert [str(path) for path in msg.repetitions("PID-3")] == ["PID-3[1]", "PID-3[2]"]
    assert [msg[f"{path}.5"] for path in msg.repetitions("PID-3")] == ["MR", "SS"]
    assert len(msg.repetitions("PID-5")) == 1
    assert msg.repetitions("PID-99") == msg.repetitions("ZZZ-1") == []
    with pytest.raises(PathInvalid, match="field"):
        msg.repetitions("PID")


def test_date_times_keep_their_precision(adt):
    """A day has no hour, and a date-time is written as HL7."""
    msg = Message(adt)
    assert msg.time("PID-7") == DateTime((1970, 1, 1))
    assert msg.time("MSH-7").zone == 60
    assert msg.time("PID-5") is msg.time("PV1-5") is msg.time("PID-99") is None
    msg["PID-7"] = DateTime((1980, 2))
    assert msg["PID-7"] == "198002"


def test_type_and_control_id_are_of_the_message_as_it_is_now(adt):
    """An edit of MSH shows."""
    msg = Message(adt)
    msg["MSH-9.2"] = "A08"
    msg["MSH-10"] = "NEW"
    assert (msg.type, msg.control_id) == ("ADT^A08", "NEW")


def test_a_copy_goes_its_own_way(adt):
    """Edits before it are in it, edits after it are not; the character set goes along."""
    msg = Message(adt, "8859/1", "replace")
    msg["PID-5.1"] = "ONE"
    other = msg.copy()
    other["PID-5.1"] = "Ä"
    assert (msg["PID-5.1"], other["PID-5.1"]) == ("ONE", "Ä")
    assert "Ä".encode("latin-1") in other.content


def test_segments_are_iterated_and_places_expanded(adt):
    """Each segment answers for itself; each place of a `[*]` can be written on its own."""
    msg = Message(adt)
    assert [s.text(3, 2) for s in msg.segments("OBX")] == ["HEIGHT", "REPORT", "NOTE"]
    for path in msg.expand("OBX[*]-11"):
        msg[path] = "C"
    assert msg.texts("OBX[*]-11") == ["C", "C", "C"]


def test_groups_hold_a_segment_with_what_follows(adt):
    """To the next of its name, or of another that ends it; each segment knows its path."""
    msg = Message(adt + b"ORC|1\rOBR|1\rOBX|4\rNTE|1\rORC|2\rOBR|2\rOBX|5\r")
    groups = msg.groups("OBR", "ORC")
    assert [[s.name for s in group] for group in groups] == [
        ["OBR", "OBX", "NTE"],
        ["OBR", "OBX"],
    ]
    assert [msg.path_of(group[1]) for group in groups] == ["OBX[4]", "OBX[5]"]
    assert msg.groups("ZZZ") == []
    msg[f"{msg.path_of(groups[1][1])}-11"] = "F"
    assert msg["OBX[5]-11"] == "F"


def test_two_messages_are_compared_by_field(adt):
    """What `diff` gives is before and after, by path."""
    msg = Message(adt)
    other = msg.copy()
    other["PID-5.1"] = "OTHER"
    assert msg.diff(other) == [Difference("PID-5.1", "MUSTER", "OTHER")]
    assert msg.diff(msg.copy()) == []


def test_the_json_form_brings_back_the_same_bytes(adt):
    """With the message's own character set."""
    content = adt.replace(b"ERIKA", "ÉRIKA".encode("latin-1"))
    msg = Message(content, "8859/1")
    back = Message.from_json(msg.to_json())
    assert (back.content, back["PID-5.2"]) == (content, "ÉRIKA")


def test_a_wrong_path_names_itself(adt):
    """For reading and writing alike."""
    msg = Message(adt)
    with pytest.raises(PathInvalid, match="PID5"):
        _ = msg["PID5"]
    with pytest.raises(PathInvalid):
        msg["OBX[*]-5"] = "x"


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_python_hl7s_object_is_there_on_request(adt, end):
    """Of the message as it is now, whatever ends its lines."""
    msg = Message(b"\xef\xbb\xbf" + adt.replace(b"\r", end))
    msg["PID-5.1"] = "Größe"
    parsed = msg.hl7()
    assert str(parsed.segment("PID")[5][0][0]) == "Größe"
    assert len(parsed.segments("OBX")) == 3


@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\x0b", "\x0c", "\x1e"])
def test_only_cr_and_lf_end_a_segment_of_python_hl7s_object(adt, mark):
    """Unicode has other line ends; U+0085 is what a Windows ellipsis becomes in ISO 8859-1."""
    msg = Message(b"\xef\xbb\xbf" + adt)
    msg.set_raw("PID-5.1", f"a{mark}b".encode())
    parsed = msg.hl7()

    assert str(parsed.segment("PID")[5][0][0]) == f"a{mark}b"
    assert len(parsed) == len(msg.view.names)


def test_a_wrong_character_set_is_an_error_without_the_text(adt):
    """`hl7()` says what is wrong, not whose name it was."""
    with pytest.raises(ContentInvalid, match="character set"):
        Message(adt.replace(b"ERIKA", b"\xe9")).hl7()


def test_the_library_is_loaded_only_when_asked_for():
    """A worker that never calls `hl7()` does not pay for it."""
    code = "import sys, portico.authoring as m; print('hl7' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
