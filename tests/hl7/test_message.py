"""portico.hl7.message: what a transform's author holds."""

import subprocess
import sys

import pytest

from portico.errors import PathInvalid
from portico.hl7.message import Message


def test_places_are_read_as_text(adt):
    """Absent and deleted are None; `get` has a default for both, `deleted` tells."""
    msg = Message(adt)
    assert msg["PID-5.1"] == "MUSTER"
    assert (msg["PID-99"], msg["PV1-5"], msg["ZZZ-1"]) == (None, None, None)
    assert (msg.get("PID-99"), msg.get("PV1-5", "none"), msg.get("PV1-2", "O")) == (
        "",
        "none",
        "I",
    )
    assert (msg.deleted("PV1-5"), msg.deleted("PV1-6"), msg.deleted("PV1-2")) == (
        True,
        False,
        False,
    )
    assert ("PID-5.1" in msg, "PV1-5" in msg, "ZPI" in msg, "ZZZ" in msg) == (
        True,
        False,
        True,
        False,
    )
    assert msg.all("OBX[*]-2") == ["NM", "ED", "TX"]
    assert msg.all("PV1-5") == []
    assert (msg.type, msg.control_id) == ("ADT^A01", "MSG00001")
    assert msg.raw("PID-3") == b"900001^^^HOSP^MR~123^^^ST^SS"


def test_places_are_written_and_emptied(adt):
    """Only what is touched changes."""
    msg = Message(adt)
    msg["PID-5.1"] = "A&B"
    msg.set("PV1-2", '""')
    msg.set_raw("PID-3", b"1^^^X")
    del msg["PID-11"]
    msg.remove("OBX[*2=ED]")
    msg.insert_segment(b"NTE|1||done", after=0)
    assert (msg["PID-5.1"], msg.deleted("PV1-2"), msg["PID-3.4"]) == ("A&B", True, "X")
    assert msg.content == (
        adt.replace(b"MUSTER", b"A\\T\\B")
        .replace(b"PV1|1|I", b'PV1|1|""')
        .replace(b"900001^^^HOSP^MR~123^^^ST^SS", b"1^^^X")
        .replace(b"1 MAIN ST^^TOWN", b"")
        .replace(b"OBX|2|ED|PDF^REPORT^L||^APPLICATION^PDF^Base64^QUJD||||||F\r", b"")
        .replace(b"\rEVN", b"\rNTE|1||done\rEVN")
    )


def test_type_and_control_id_are_of_the_message_as_it_is_now(adt):
    """An edit of MSH shows."""
    msg = Message(adt)
    msg["MSH-9.2"] = "A08"
    msg["MSH-10"] = "NEW"
    assert (msg.type, msg.control_id, repr(msg)) == ("ADT^A08", "NEW", "<Message ADT^A08>")


def test_a_copy_goes_its_own_way(adt):
    """Edits before it are in it, edits after it are not."""
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
    assert msg.all("OBX[*]-11") == ["C", "C", "C"]
    assert len(msg.segments()) == 8


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


def test_the_library_is_loaded_only_when_asked_for():
    """A worker that never calls `hl7()` does not pay for it."""
    code = "import sys, portico.hl7.message as m; print('hl7' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
