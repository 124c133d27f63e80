"""portico.hl7.diff: what differs between two messages."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.hl7 import diff
from portico.hl7.diff import Difference
from portico.hl7.edit import MessageEdit
from portico.hl7.reading import DELETED
from portico.hl7.view import MessageView


def compared(one, other):
    return diff.compare(MessageView(one), MessageView(other))


@pytest.mark.parametrize(
    ("old", "new", "path", "before", "after"),
    [
        (b"MUSTER", b"MEIER", "PID-5.1", "MUSTER", "MEIER"),
        (b"MUSTER^", b"^", "PID-5.1", "MUSTER", None),
        (b'""', b"", "PV1-5", DELETED, None),
        (b"|F|", b'|""|', "PID-8", "F", DELETED),
        (b"MR~123", b"MR~124", "PID-3[2].1", "123", "124"),
        (b"~123^^^ST^SS", b"", "PID-3[2].1", "123", None),
        (b"^HOSP^MR~", b"^HOSP&1.2^MR~", "PID-3[1].4.2", None, "1.2"),
        (b"|cm|", b"|a&b|", "OBX-6.1.1", "cm", "a"),
        (b"one~two", b"one~tw\\S\\o", "OBX[3]-5[2]", "two", "tw^o"),
        (b"|170|", b"|17 0|", "OBX-5", "170", "17 0"),
        (b"|more||", b"|more||||x", "ZPI-7", None, "x"),
        (b"MSG00001", b"MSG00002", "MSH-10", "MSG00001", "MSG00002"),
        (b"^~\\&|HIS", b"^~\\&#|HIS", "MSH-2", "^~\\&", "^~\\&#"),
    ],
)
def test_the_smallest_place_that_differs_is_named(adt, old, new, path, before, after):
    """E3: absent, empty and deleted are told apart from texts."""
    changed = adt.replace(old, new, 1)
    assert compared(adt, changed)[0] == Difference(path, before, after)
    assert compared(changed, adt)[0] == Difference(path, after, before)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\r", b"\n"),
        (b"\r", b"\r\n\r\n"),
        (b"more||", b"more"),
        (b"NOTE", b"\\X4E\\OTE"),
        (b"MSH", b"\xef\xbb\xbf\r\nMSH"),
    ],
    ids=range(5),
)
def test_other_spellings_are_no_difference(adt, old, new):
    """Line ends, trailing separators, another escape of the same text."""
    assert compared(adt, adt.replace(old, new)) == []


def test_other_delimiters_are_compared_by_text(adt):
    """E1: only MSH-1 and MSH-2 differ."""
    table = bytes.maketrans(b"|^~", b"#*!")
    assert [d.path for d in compared(adt, adt.translate(table))] == ["MSH-1", "MSH-2"]


def test_segments_that_are_only_in_one_are_told_whole(adt):
    """Its neighbours of the same name are paired around it."""
    lines = adt.split(b"\r")
    without = b"\r".join(line for line in lines if b"PDF" not in line)
    assert compared(adt, without) == [
        Difference("OBX[2]", "OBX|2|ED|PDF^REPORT^L||^APPLICATION^PDF^Base64^QUJD||||||F", None)
    ]
    assert compared(without, adt)[0].path == "OBX[2]"
    assert compared(without, adt)[0].before is None
    assert [d.path for d in compared(adt, adt + b"NTE|1||x\r")] == ["NTE"]


def test_a_segment_that_stands_elsewhere_has_moved(adt):
    """The fewest moves; positions count from 1."""
    lines = adt.split(b"\r")
    moved = b"\r".join([*lines[:1], lines[7], *lines[1:7], b""])
    [found] = compared(adt, moved)
    assert found == Difference("ZPI", "8", "2", moved=True)
    assert str(found) == str(found.masked()) == "ZPI: from position 8 to 2"


def test_the_masked_form_shows_no_patient(adt):
    """Shapes and open codes stay; a whole segment is masked field by field."""
    edit = MessageEdit(MessageView(adt))
    edit.set("PID-5.1", "OTHER")
    edit.set("OBX[1]-11", "C")
    edit.remove("PV1-5")
    edit.remove("ZPI")
    shown = [str(d.masked()) for d in diff.compare(MessageView(adt), edit.view)]
    assert shown == [
        "PID-5.1: 'xxxxxx' -> 'xxxxx'",
        "PV1-5: deleted -> absent",
        "OBX-11: 'F' -> 'C'",
        "ZPI: 'ZPI|9|xxxxx^xxxxx|xxxx||' -> absent",
    ]


def test_bytes_outside_the_character_set_are_compared_too(adt):
    """Looking at two messages never fails."""
    one, other = adt.replace(b"ERIKA", b"\xc9"), adt.replace(b"ERIKA", b"\xe9")
    assert compared(one, other) == [Difference("PID-5.2", "\\xc9", "\\xe9")]
    unknown = adt.replace(b"2.5.1", b"2.5.1||||||KLINGON").replace(b"ERIKA", b"\xe9")
    assert compared(unknown, unknown) == []


@given(st.text(max_size=20), st.sampled_from(["PID-5.2", "PID-3[2].4.2", "OBX[2]-5"]))
def test_what_was_set_is_what_differs(text, path):
    """E6: one place is set, one place is told, with the text that was set."""
    view = MessageView(b"MSH|^~\\&|||||||ADT^A01|1|P|2.5||||||UTF-8\rPID|1\rOBX|1\rOBX|2\r")
    edit = MessageEdit(view)
    edit.set(path, text)
    after = DELETED if text == '""' else text
    expected = [Difference(path, None, after)] if text else []
    assert diff.compare(view, edit.view) == expected


def test_two_great_messages_are_compared_in_linear_time():
    """A hostile pair costs no more than an honest one."""
    head = b"MSH|^~\\&|||||||ORU^R01|1|P|2.5\r"
    one = head + b"".join(b"OBX|%d|NM|a||%d\r" % (n, n) for n in range(20_000))
    other = head + b"".join(b"OBX|%d|NM|a||%d\r" % (n, n) for n in range(20_000, 0, -1))
    begun = time.process_time()
    assert len(compared(one, other)) > 20_000
    assert time.process_time() - begun < 20
