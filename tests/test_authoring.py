"""portico.authoring: what transforms import."""

import doctest
import inspect

import pytest

from portico import authoring
from portico.authoring import DELETED, Message, MessageError, log, table
from portico.hl7 import message

CONTENT = (
    b"MSH|^~\\&|HIS|HOSP|LAB||2026||ADT^A01|77|P|2.5\r"
    b'PID|1||123^^^HOSP^MR||MUSTER^MAX|||M||""\rOBX|1|TX|a||x\rOBX|2|ED|b||y\r'
)


@pytest.fixture
def msg():
    return Message(CONTENT)


def test_its_names_are_pinned():
    """A transform written today imports the same names tomorrow."""
    assert set(authoring.__all__) == {
        "DELETED", "DateTime", "Deleted", "Message", "MessageError", "Permanent", "Segment",
        "Table", "Transient", "log", "progress", "table",
    }  # fmt: skip
    assert all(getattr(authoring, name) is not None for name in authoring.__all__)


def test_everything_is_described():
    """An editor shows the docstring while the author types."""
    for name in authoring.__all__:
        if name != "DELETED":
            assert inspect.getdoc(getattr(authoring, name)), name
    for name, member in inspect.getmembers(Message, inspect.isfunction):
        assert name.startswith("__") or inspect.getdoc(member), name


def test_its_example_is_true():
    """The docstring of Message runs."""
    assert doctest.testmod(message).failed == 0
    assert doctest.testmod(message).attempted > 0


def test_paths_read_text_absence_and_delete(msg):
    """`[]` tells the three apart, `get` gives text or the default."""
    assert msg["PID-5.1"] == "MUSTER"
    assert msg["PID-9"] is None
    assert msg["PID-10"] is DELETED
    assert (msg.get("PID-9"), msg.get("PID-10", "-")) == ("", "-")
    assert msg.texts("OBX[*]-5") == ["x", "y"]
    assert msg.raw("PID-5") == b"MUSTER^MAX"
    assert (msg.type, msg.control_id) == ("ADT^A01", "77")


def test_assigning_writes_escaped_text(msg):
    """No text can shift a field; None empties, DELETED deletes."""
    msg["PID-5.1"] = "A^B|C"
    msg["PID-8"] = None
    msg["PID-3"] = DELETED
    msg.set_raw("PID-9", b"N^1~N^2")

    assert b'PID|1||""||A\\S\\B\\F\\C^MAX||||N^1~N^2|""\r' in msg.content
    assert msg["PID-5.1"] == "A^B|C"


def test_segments_are_read_removed_and_added(msg):
    """As they are now."""
    del msg["OBX[*2=ED]"]
    msg.insert_segment(b"NTE|1|hi", after=1)

    assert [segment.name for segment in msg.segments()] == ["MSH", "PID", "NTE", "OBX"]
    assert next(msg.segments("NTE")).text(2) == "hi"


def test_an_untouched_message_keeps_its_very_bytes(msg):
    """Reading is free of consequence, and a copy is free of the original."""
    other = msg.copy()
    other["PID-8"] = "F"

    assert msg.content is CONTENT
    assert bytes(other) != CONTENT


def test_python_hl7s_object_is_there_on_request(msg):
    """For authors who know it; what it changes comes back as text."""
    parsed = msg.hl7()

    assert str(parsed.segment("PID")[5]) == "MUSTER^MAX"
    assert str(parsed).encode() == CONTENT


def test_its_repr_shows_no_patient(msg):
    """Reprs end up in logs."""
    assert repr(msg) == f"<Message ADT^A01, {len(CONTENT)} bytes>"


def test_a_wrong_path_is_an_error_of_this_module(msg):
    """So that a transform can catch it without importing more."""
    with pytest.raises(MessageError, match="PID-5"):
        msg["pid-5"]


def test_tables_and_log_work_in_an_authors_own_tests(tmp_path, monkeypatch):
    """The site is the current folder, and lines go nowhere."""
    folder = tmp_path / "transforms/tables"
    folder.mkdir(parents=True)
    (folder / "codes.csv").write_text("code,text\nM,male\n")
    monkeypatch.chdir(tmp_path)

    assert table("codes").get("M") == "male"
    assert "X" not in table("codes")
    assert log("info", "hello") is None
    with pytest.raises(ValueError, match="debug, info"):
        log("loud", "hello")
