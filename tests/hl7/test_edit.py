"""portico.hl7.edit: new bytes from old."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from portico.errors import CharsetUnknown, PathInvalid, TextUnencodable
from portico.hl7.edit import MessageEdit
from portico.hl7.path import Path
from portico.hl7.view import DELETED, MessageView

HEAD = b"MSH|^~\\&|A|B|C|D|2025||ADT^A01|1|P|2.5"


def edit(*segments, head=HEAD, end=b"\r"):
    return MessageEdit(MessageView(end.join((head, *segments, b""))))


def after(change, *segments):
    """The segments behind MSH after a change."""
    edited = edit(*segments)
    change(edited)
    return edited.encode().split(b"\r")[1:-1]


def test_a_message_without_an_edit_is_the_very_same_bytes(adt):
    """E2: not a copy, and not after reading either."""
    untouched = MessageEdit(MessageView(adt))
    assert untouched.text("PID-5.1") == "MUSTER"
    assert untouched.encode() is adt
    assert untouched.view.content is adt


@pytest.mark.parametrize(
    ("path", "before", "result"),
    [
        ("PID-5", b"PID|||||A^B~C|x", b"PID|||||N|x"),
        ("PID-5.1", b"PID|||||A^B~C|x", b"PID|||||N^B~C|x"),
        ("PID-5[2].1", b"PID|||||A^B~C|x", b"PID|||||A^B~N|x"),
        ("PID-5[2]", b"PID|||||A^B~C^D|x", b"PID|||||A^B~N|x"),
        ("PID-5[4].2", b"PID|||||A^B~C|x", b"PID|||||A^B~C~~^N|x"),
        ("PID-5.4", b"PID|||||A^B~C|x", b"PID|||||A^B^^N~C|x"),
        ("PID-5.1.2", b"PID|||||A^B~C|x", b"PID|||||A&N^B~C|x"),
        ("PID-5.1.1", b"PID|||||A&Z^B|x", b"PID|||||N&Z^B|x"),
        ("PID-5.1", b"PID|||||A&Z^B|x", b"PID|||||N^B|x"),
        ("PID-8", b"PID|||||A", b"PID|||||A|||N"),
        ("PID-8.2.2", b"PID|||||A", b"PID|||||A|||^&N"),
        ("PID-7[2].3", b"PID|||||A", b"PID|||||A||~^^N"),
        ("PID-1", b"PID", b"PID|N"),
        ("PID-6", b"PID|||||A|x||", b"PID|||||A|N||"),
        ("PID-3[5=MR].1", b"PID|||1^^^^PI~2^^^^MR", b"PID|||1^^^^PI~N^^^^MR"),
        ("PID[1=2]-2", b"PID|2|x", b"PID|2|N"),
    ],
)
def test_a_value_takes_its_place_and_makes_missing_separators(path, before, result):
    """E2: all around stays, what is missing is made."""
    assert after(lambda e: e.set(path, "N"), before, b"ZPI|1||") == [result, b"ZPI|1||"]


def test_a_missing_segment_is_appended():
    """At the end, as the line ends of the message are."""
    assert after(lambda e: e.set("ZPI-2.2", "N"), b"PID|1") == [b"PID|1", b"ZPI||^N"]
    feeds = edit(b"PID|1", end=b"\r\n")
    feeds.set("ZPI-1", "N")
    assert feeds.encode() == HEAD + b"\r\nPID|1\r\nZPI|N\r\n"
    open_end = MessageEdit(MessageView(HEAD + b"\nPID|1"))
    open_end.set("ZPI-1", "N")
    assert open_end.encode() == HEAD + b"\nPID|1\nZPI|N\n"
    bare = MessageEdit(MessageView(HEAD))
    bare.set("ZPI-1", "N")
    assert bare.encode() == HEAD + b"\rZPI|N\r"


def test_the_next_segment_of_a_name_may_be_made_but_no_gap():
    """`OBX[2]` behind one OBX is appended, `OBX[3]` would leave a hole."""
    assert after(lambda e: e.set("OBX[2]-1", "2"), b"OBX|1") == [b"OBX|1", b"OBX|2"]
    with pytest.raises(PathInvalid):
        edit(b"OBX|1").set("OBX[3]-1", "3")


def test_the_empty_text_makes_nothing():
    """E3: it empties what is there and adds no separators."""
    assert after(lambda e: e.set("PID-9.2", ""), b"PID|1") == [b"PID|1"]
    assert after(lambda e: e.set("PID-1", ""), b"PID|1|2") == [b"PID||2"]
    assert after(lambda e: e.set("ZPI-1", ""), b"PID|1") == [b"PID|1"]


def test_two_quotes_write_a_delete():
    """E3: `\"\"` goes out as HL7's delete and reads back as DELETED."""
    changed = edit(b"PID|1|2")
    changed.set("PID-2", '""')
    assert changed.raw("PID-2") == b'""'
    assert changed.text("PID-2") is DELETED


def test_text_cannot_shift_a_field():
    """E6: separators, line ends and frame bytes in a text stay text."""
    hostile = 'A|B^C~D\\E&F\rPID|9\nZPI|1\x1c\x0b""'
    changed = edit(b"PID|||||X|y", b"ZPI|1")
    changed.set("PID-5.1", hostile)
    assert changed.text("PID-5.1") == hostile
    assert changed.text("PID-6") == "y"
    assert changed.view.names == ("MSH", "PID", "ZPI")
    assert b"\x1c" not in changed.encode()


def test_structure_is_copied_without_escapes():
    """`set_raw` writes separators as separators; a line end it refuses."""
    assert after(lambda e: e.set_raw("PID-3", b"1^^^X~2"), b"PID|1||9") == [b"PID|1||1^^^X~2"]
    with pytest.raises(PathInvalid):
        edit(b"PID|1").set_raw("PID-3", b"1\rPID|2")


@pytest.mark.parametrize(
    ("path", "before", "result"),
    [
        ("PID-3", [b"PID|1|2|A^B~C|x"], [b"PID|1|2||x"]),
        ("PID-3.2", [b"PID|1|2|A^B~C|x"], [b"PID|1|2|A^~C|x"]),
        ("PID-3[2]", [b"PID|1|2|A^B~C|x"], [b"PID|1|2|A^B~|x"]),
        ("PID-3[1=C]", [b"PID|1|2|A^B~C|x"], [b"PID|1|2|A^B~|x"]),
        ("PID-9", [b"PID|1"], [b"PID|1"]),
        ("ZPI", [b"PID|1", b"ZPI|2", b"ZPI|3"], [b"PID|1", b"ZPI|3"]),
        ("ZPI[*]", [b"PID|1", b"ZPI|2", b"NTE|1", b"ZPI|3"], [b"PID|1", b"NTE|1"]),
        ("OBX[*2=ED]", [b"OBX|1|ED", b"OBX|2|TX", b"OBX|3|ED"], [b"OBX|2|TX"]),
        ("OBX[*]-1", [b"OBX|1|ED", b"OBX|2|TX"], [b"OBX||ED", b"OBX||TX"]),
        ("ZZZ", [b"PID|1"], [b"PID|1"]),
    ],
)
def test_removing_empties_places_and_takes_out_segments(path, before, result):
    """E2: neighbours keep their positions; what is absent stays absent."""
    assert after(lambda e: e.remove(path), *before) == result


def test_a_segment_is_put_behind_another_or_at_the_end():
    """Positions count segments, not blank lines."""
    assert after(lambda e: e.insert_segment(b"NTE|1", after=1), b"PID|1", b"PV1|1") == [
        b"PID|1",
        b"NTE|1",
        b"PV1|1",
    ]
    assert after(lambda e: e.insert_segment(b"NTE|1"), b"PID|1") == [b"PID|1", b"NTE|1"]
    blanks = MessageEdit(MessageView(HEAD + b"\n\nPID|1\n\n"))
    blanks.insert_segment(b"NTE|1", after=0)
    assert blanks.encode() == HEAD + b"\nNTE|1\n\nPID|1\n\n"


@pytest.mark.parametrize("raw", [b"", b"|1", b"NT|1", b"NTE|1\rPID|2", b"NTE 1"])
def test_what_is_not_one_segment_is_not_inserted(raw):
    """PathInvalid, and the message stays."""
    changed = edit(b"PID|1")
    with pytest.raises(PathInvalid):
        changed.insert_segment(raw)
    with pytest.raises(PathInvalid):
        changed.insert_segment(b"NTE|1", after=2)
    assert changed.encode() == HEAD + b"\rPID|1\r"


@pytest.mark.parametrize(
    "path", ["ZPI", "OBX[*]-5", "MSH-1", "MSH-2", "PID-3[5=XX].1", "OBX[2=ED]-5", "XX-1"]
)
def test_a_value_needs_one_place(path):
    """PathInvalid: no field, several, the delimiters themselves, or nothing that fits."""
    changed = edit(b"PID|||1^^^^MR", b"OBX|1|TX")
    with pytest.raises(PathInvalid):
        changed.set(path, "x")
    assert changed.encode() == HEAD + b"\rPID|||1^^^^MR\rOBX|1|TX\r"


@pytest.mark.parametrize("path", ["MSH", "MSH[*]", "MSH-2"])
def test_the_header_stays(path):
    """PathInvalid: a message without MSH would be none."""
    with pytest.raises(PathInvalid):
        edit(b"PID|1").remove(path)


def test_a_place_without_a_separator_cannot_be_made():
    """E1: three characters in MSH-2 name no subcomponents."""
    changed = edit(b"PID|1", head=b"MSH|^~\\|A")
    with pytest.raises(PathInvalid):
        changed.set("PID-5.1.2", "x")
    changed.set("PID-5.1.1", "A&B")
    assert changed.raw("PID-5") == b"A&B"


def test_odd_delimiters_are_the_ones_written():
    """E1, E6: separators are made of, and text escaped for, the message's own set."""
    changed = MessageEdit(MessageView(b"MSH#$%*@#A\rPID#1\r"))
    changed.set("PID-3[2].2", "a$b|c")
    assert changed.encode() == b"MSH#$%*@#A\rPID#1##%$a*S*b|c\r"
    assert changed.text("PID-3[2].2") == "a$b|c"


def test_text_is_encoded_as_msh_18_says():
    """C4: and it is the message's set that is asked, not Python's."""
    changed = edit(b"PID|1", head=HEAD + b"||||||8859/1")
    changed.set("PID-5", "Grüße")
    assert changed.raw("PID-5") == "Grüße".encode("latin-1")


def test_a_character_that_cannot_be_carried_is_an_error_with_its_path():
    """C4: never a question mark; the message is left as it was."""
    for head in (HEAD, HEAD + b"||||||8859/1"):
        changed = edit(b"PID|1", head=head)
        with pytest.raises(TextUnencodable) as refused:
            changed.set("PID-5.1", "漢")
        assert refused.value.location == "PID-5.1"
        assert "漢" not in str(refused.value)
        assert changed.encode() == head + b"\rPID|1\r"


def test_text_in_an_unknown_set_is_refused_unless_it_is_ascii():
    """C4: nobody could read it."""
    changed = edit(b"PID|1", head=HEAD + b"||||||KLINGON")
    changed.set("PID-5", "plain")
    with pytest.raises(CharsetUnknown):
        changed.set("PID-6", "é")


def test_a_new_msh_18_rules_what_is_written_from_then_on():
    """C4: the set that the message names when text is written."""
    changed = edit(b"PID|1", head=HEAD + b"||||||8859/1")
    changed.set("ZPI-1", "é")
    assert changed.raw("ZPI-1") == b"\xe9"
    changed.remove("ZPI")
    changed.set("MSH-18", "UNICODE UTF-8")
    changed.set("PID-5", "漢")
    assert changed.view.text("PID-5") == "漢"
    assert changed.header.charset == ("UNICODE UTF-8",)


def test_reading_sees_what_edits_have_made(adt):
    """Reads between edits are of the message as it is then."""
    changed = MessageEdit(MessageView(adt))
    changed.set("OBX[2]-2", "TX")
    changed.remove("OBX")
    changed.set("PID-5.1", "NEU")
    assert changed.texts("OBX[*]-2") == ["TX", "TX"]
    assert changed.texts("OBX[*2=TX]-1") == ["2", "3"]
    assert changed.text("PID-5.1") == changed.view.text("PID-5.1") == "NEU"
    assert changed.raw("ZPI-4") is None
    assert [str(p) for p in changed.expand("OBX[*2=TX]-5")] == ["OBX[1]-5", "OBX[2]-5"]


def test_what_stands_before_the_header_is_kept(adt):
    """E2: a byte order mark and blank lines survive an edit."""
    changed = MessageEdit(MessageView(b"\xef\xbb\xbf\r\n" + adt))
    changed.set("PID-5.1", "Ä")
    assert changed.encode() == b"\xef\xbb\xbf\r\n" + adt.replace(b"MUSTER", "Ä".encode())


PLACES = st.builds(
    Path,
    st.sampled_from(("MSH", "PID", "OBX", "ZPI", "ZNW")),
    field=st.integers(3, 17),
    repetition=st.none() | st.integers(1, 3),
    component=st.integers(1, 4),
    subcomponent=st.none() | st.integers(1, 3),
)
SETS = {
    "ASCII": "ascii",
    "8859/1": "latin-1",
    "UNICODE UTF-8": "utf-8",
    "GB 18030-2000": "gb18030",
    "BIG-5": "big5",
    "KS X 1001": "euc_kr",
    "~ISO IR87": "iso2022_jp",
}
LETTERS = st.text(
    st.characters(exclude_categories=("Cs",)) | st.sampled_from('|^~\\&\r\nabc"漢字é陳功表ソ')
)


@given(
    PLACES,
    LETTERS,
    st.sampled_from(sorted(SETS)),
    st.sampled_from((b"|^~\\&", b"#$%*@", b"!$r?@", b"@~^&|")),
)
def test_text_that_is_set_reads_back_and_moves_nothing(path, text, name, marks):
    """E6, C4: for any Unicode that the set can carry, any place and any delimiters."""
    text = "".join(char for char in text if char.encode(SETS[name], "ignore"))
    assume(text not in ("", '""'))
    view = MessageView(sample(name, marks))
    changed = MessageEdit(view)
    try:
        changed.set(path, text)
    except TextUnencodable:
        assert b"r" in marks  # a letter as delimiter leaves some characters no escape
        return
    assert changed.text(path) == changed.view.text(path) == text
    kept = [n for n in ("MSH", "PID", "OBX", "ZPI") if n in changed.view.names]
    assert kept == ["MSH", "PID", "OBX", "ZPI"]
    for segment in ("MSH", "PID", "OBX", "ZPI"):
        for number in range(3, 18):
            if (segment, number) != (path.segment, path.field) and (segment, number) != (
                "MSH",
                18,
            ):
                place = Path(segment, field=number)
                assert changed.raw(place) == view.raw(place)


def sample(name, marks):
    """A message in that character set and with those delimiters."""
    codec = SETS[name]
    wide = "é漢表陳功ソ".encode(codec, "ignore").decode(codec)
    field, component, repetition, _, subcomponent = map(chr, marks)
    lines = [
        ("MSH", marks[1:].decode(), "A", "B", "C", "D", "2025", "", "ADT", "1", "P", "2.5"),
        ("PID", "", "", f"1{component}{wide}{repetition}2", "", f"{wide}{component}x", ""),
        ("OBX", "1", "ED", "", "", f"a{component}b{subcomponent}c{repetition}d", "", "F"),
        ("ZPI", "1", wide, wide, "more", "", ""),
    ]
    texts = [field.join(line) for line in lines]
    texts[0] += field * 6 + name.replace("~", repetition)
    return b"".join(text.encode(codec) + b"\r" for text in texts)


@given(st.binary(max_size=120), st.sampled_from((b"\r", b"\n", b"\r\n")))
def test_an_edit_leaves_every_other_line_alone(junk, end):
    """E2: whatever bytes stand around the changed field."""
    assume(b"PID" not in junk)
    content = end.join((HEAD, junk, b"PID|1|2", junk))
    changed = MessageEdit(MessageView(content, on_charset_error="replace"))
    changed.set("PID-2", "X")
    assert changed.encode() == end.join((HEAD, junk, b"PID|1|X", junk))


def test_many_edits_of_a_large_message_stay_linear():
    """Ten thousand OBX are read and written one by one without reading all for each."""
    changed = edit(*(b"OBX|%d|TX|||text %d||||||F" % (n, n) for n in range(1, 10_001)))
    for number in range(1, 10_001):
        path = Path("OBX", occurrence=number, field=5)
        changed.set(path, f"{changed.text(path)}!")
    assert changed.view.text("OBX[10000]-5") == "text 10000!"
