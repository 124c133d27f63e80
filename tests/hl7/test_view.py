"""portico.hl7.view: a message read in place."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import CharsetUnknown, NotHl7, PathInvalid, TextUndecodable
from portico.hl7.path import Path
from portico.hl7.view import DELETED, MessageView

HEAD = b"MSH|^~\\&|A|B|C|D|2025||ADT^A01|1|P|2.5"


def of(*segments, head=HEAD, end=b"\r", **options):
    return MessageView(end.join((head, *segments, b"")), **options)


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("PID-1", b"1"),
        ("PID-3", b"900001^^^HOSP^MR~123^^^ST^SS"),
        ("PID-3.1", b"900001"),
        ("PID-3[1].1", b"900001"),
        ("PID-3[2]", b"123^^^ST^SS"),
        ("PID-3[2].4", b"ST"),
        ("PID-3.1.1", b"900001"),
        ("PID-3[5=SS].1", b"123"),
        ("PID-3[5=XX].1", None),
        ("PID-3[3]", None),
        ("PID-3.2", None),
        ("PID-3.1.2", None),
        ("PID-2", None),
        ("PID-99", None),
        ("PV1-5", b'""'),
        ("OBX-5", b"170"),
        ("OBX[3]-5", b"one~two"),
        ("OBX[3]-5[2]", b"two"),
        ("OBX[4]-5", None),
        ("OBX[3.1=GDT]-5", b"one~two"),
        ("OBX[3=GDT]-5", None),
        ("OBX[3=GDT^NOTE^L]-1", b"3"),
        ("OBX[2=ED]-5.5", b"QUJD"),
        ("OBX[2=TX]-5", b"one~two"),
        ("ZPI-4", None),
        ("ZPI", b"ZPI|1|extra^stuff|more||"),
        ("ZZZ", None),
        ("ZZZ-1", None),
        ("MSH-1", b"|"),
        ("MSH-2", b"^~\\&"),
        ("MSH-3", b"HIS"),
        ("MSH-9.2", b"A01"),
        ("MSH-12", b"2.5.1"),
        ("MSH-13", None),
    ],
)  # fmt: skip
def test_a_path_names_its_bytes(adt, path, raw):
    """The table of the site reference, section 2; absent is None whichever part is missing."""
    assert MessageView(adt).raw(path) == raw
    assert MessageView(adt).raws(path) == ([] if raw is None else [raw])


def test_every_match_comes_in_order(adt):
    """`[*]` is each segment, `[*2=ED]` each that fits; absent ones leave no gap."""
    view = MessageView(adt)
    assert view.texts("OBX[*]-5") == ["170", "^APPLICATION^PDF^Base64^QUJD", "one~two"]
    assert view.texts("OBX[*2=ED]-5.3") == ["PDF"]
    assert view.texts("OBX[*]-5.5") == ["QUJD"]
    assert view.texts("ZZZ[*]-1") == []
    assert [str(p) for p in view.expand("OBX[*11=F]-5.1")] == [
        "OBX[1]-5.1",
        "OBX[2]-5.1",
        "OBX[3]-5.1",
    ]


def test_without_a_star_a_condition_names_the_first_that_fits():
    """`OBX[2=ED]-1` is one place, however many fit."""
    view = of(b"OBX|1|TX", b"OBX|2|ED", b"OBX|3|ED")
    assert view.texts("OBX[2=ED]-1") == ["2"]
    assert [str(path) for path in view.expand("OBX[2=ED]-1")] == ["OBX[2]-1"]


def test_absent_empty_and_deleted_are_told_apart(adt):
    """E3: `\"\"` is DELETED, an empty or missing field None; both are false."""
    view = MessageView(adt)
    assert view.text("PV1-5") is DELETED
    assert view.text("PV1-6") is None
    assert not view.text("PV1-5")
    assert repr(view.text("PV1-5")) == "DELETED"
    assert view.texts("PV1-5") == [DELETED]


def test_a_field_of_separators_only_is_absent_as_text_but_kept_as_bytes():
    """E2, E3: `^^~` says nothing, and is not thrown away."""
    view = of(b"PID|||^^~&")
    assert view.text("PID-3") is None
    assert view.texts("PID[*]-3") == []
    assert view.raw("PID-3") == b"^^~&"


def test_text_is_unescaped_and_bytes_are_not():
    """E4: escapes are read in text and left alone in raw."""
    view = of(rb"PID|||||O\T\C^A\S\B")
    assert view.text("PID-5.1") == "O&C"
    assert view.text("PID-5") == "O&C^A^B"
    assert view.raw("PID-5.1") == rb"O\T\C"


def test_the_delimiters_of_the_header_are_never_unescaped():
    """E4: MSH-2 is what it is."""
    assert of().text("MSH-2") == "^~\\&"
    assert MessageView(b"MSH#$%*@#A").text("MSH-2") == "$%*@"
    assert MessageView(b"MSH#$%*@#A").text("MSH-1") == "#"


def test_whole_fields_read_with_the_usual_separators_whatever_the_message_uses():
    """E1: a site compares `MR^X~Y` with any sender; a literal escape is not taken for one."""
    view = MessageView(b"MSH#@~^&#A\rPID###1@S&2~3^R^x@^E^\r")
    assert view.text("PID-3") == "1^S&2~3~x^^"
    assert view.text("PID-3[2].1") == "3~x"


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\r\r", b"\n\n", b"\r\n\r\n", b"\n\r"])
def test_segments_end_at_cr_lf_or_both(adt, end):
    """M9: the same names and values, blank lines or not."""
    content = adt.replace(b"\r", end)
    view = MessageView(content)
    assert view.names == ("MSH", "EVN", "PID", "PV1", "OBX", "OBX", "OBX", "ZPI")
    assert view.text("PID-5.2") == "ERIKA"
    assert view.texts("OBX[*]-1") == ["1", "2", "3"]
    assert view.text("OBX[2.1=ED]-1") == "2"


def test_line_ends_may_be_mixed():
    """M9: a first segment is the first in the message, whichever ends the lines before it."""
    content = HEAD + b"\nZPI|1\rZPI|2\r\nPID|x\nPID|y\r"
    view = MessageView(content)
    assert (view.text("ZPI-1"), view.text("PID-1")) == ("1", "x")
    assert view.names == ("MSH", "ZPI", "ZPI", "PID", "PID")


@pytest.mark.parametrize("lead", [b"\xef\xbb\xbf", b"\n", b" \r\n", b"\xef\xbb\xbf\n"])
def test_what_stands_before_the_header_is_skipped_and_kept(adt, lead):
    """M9, E2: a byte order mark and blank lines are not part of MSH, but of the content."""
    view = MessageView(lead + adt)
    assert view.content == lead + adt
    assert view.text("MSH-3") == "HIS"
    assert next(view.segments()).start == len(lead)


def test_a_byte_order_mark_says_utf_8():
    """C2: it tells the character set that MSH-18 leaves open."""
    view = MessageView(b"\xef\xbb\xbf" + HEAD + "\rPID|||||Grün\r".encode())
    assert view.text("PID-5") == "Grün"
    assert view.charset_fault() is None


def test_a_name_inside_a_field_or_a_longer_name_is_no_segment():
    """A segment begins a line and its name ends at a separator."""
    view = of(b"PIDX|9", b"NTE|PID|8", b"ZZZ|x PID|7", b"PID|1")
    assert view.text("PID-1") == "1"
    assert view.raws("PID[*]-1") == [b"1"]
    assert view.names == ("MSH", "PIDX", "NTE", "ZZZ", "PID")


def test_a_segment_may_be_its_name_alone():
    """It is there, and has no field."""
    view = of(b"EVN", b"PID")
    assert (view.raw("EVN"), view.raw("PID"), view.raw("PID-1")) == (b"EVN", b"PID", None)


def test_unknown_segments_and_lines_that_are_none_are_kept():
    """E5: a line that is no segment has an empty name and its place."""
    view = of(b"ZQQ|1", b"a line of text that wrapped", b"PID|1")
    assert view.names == ("MSH", "ZQQ", "", "PID")
    assert [s.raw for s in view.segments()][2] == b"a line of text that wrapped"


def test_a_segment_reads_its_own_fields(adt):
    """Iteration gives name, position, offsets, raw fields and text."""
    view = MessageView(adt)
    _, second, third = view.segments("OBX")
    assert (second.name, second.index, second.raw_field(2)) == ("OBX", 5, b"ED")
    assert adt[second.start : second.end] == second.raw
    assert third.text(3, 2) == "NOTE"
    assert third.text(4) is None
    assert next(view.segments()).text(1) == "|"


def test_no_header_is_refused_at_once():
    """A10: NotHl7 at construction, and nothing else then."""
    with pytest.raises(NotHl7):
        MessageView(b"EVN|A01\rMSH|^~\\&|A")


def test_a_wrong_path_is_refused():
    """A path that is none says what would be right."""
    with pytest.raises(PathInvalid, match="try 'PID"):
        of().text("PID.5.1")


def test_a_message_without_subcomponents_has_none():
    """E1: with three characters in MSH-2, `&` is a letter like any other."""
    view = MessageView(b"MSH|^~\\|A\rPID|||||A&B^C\r")
    assert view.text("PID-5.1") == "A&B"
    assert view.text("PID-5.1.1") == "A&B"
    assert view.text("PID-5.1.2") is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("8859/1", "Grüße"),
        ("8859/2", "Łódź"),
        ("8859/5", "Привет"),
        ("8859/15", "€"),
        ("UNICODE UTF-8", "Grüße 漢字 😀"),
        ("GB 18030-2000", "张伟"),
        ("KS X 1001", "김철수"),
        ("BIG-5", "陳功"),
        ("ISO IR87", "山田太郎"),
        ("~ISO IR87", "山田太郎"),
        ("ISO IR14~ISO IR87", "ﾔﾏﾀﾞ山田"),
        ("~ISO IR87~ISO IR159", "山田丂"),
    ],
)
def test_text_is_decoded_as_msh_18_says(name, text):
    """C1: each set of table 0211 that we read, in every part of a field."""
    head = HEAD + f"||||||{name}".encode()
    view = of(head=head)
    raw = text.encode(view.codec)
    view = of(b"PID|||1^^^X||" + raw + b"^" + raw + b"~" + raw, b"ZPI|" + raw, head=head)
    assert view.text("PID-5.2") == text
    assert view.text("PID-5") == f"{text}^{text}~{text}"
    assert view.text("ZPI-1") == text
    assert view.charset_fault() is None


@pytest.mark.parametrize("name", ["~ISO IR87", "GB 18030-2000", "BIG-5"])
def test_separators_inside_wide_characters_divide_nothing(name):
    """C3: split by characters, not bytes, for every character of the set."""
    head = HEAD + f"||||||{name}".encode()
    codec = of(head=head).codec
    for block in range(0x4E00, 0x9FA0, 64):
        points = map(chr, range(block, block + 64))
        text = "".join(char for char in points if char.encode(codec, "ignore"))
        if not text:
            continue
        raw = text.encode(codec)
        view = of(b"PID|||||" + raw + b"^" + raw + b"||1970", head=head)
        assert (view.text("PID-5.1"), view.text("PID-5.2")) == (text, text)
        assert (view.text("PID-5.3"), view.text("PID-7")) == (None, "1970")


def test_a_byte_outside_the_set_is_refused_with_its_place():
    """C2: by default; what can be read still is."""
    view = of(b"PID|||1", b"OBX|1", b"OBX|2|TX|||caf\xe9")
    with pytest.raises(TextUndecodable) as refused:
        view.text("OBX[2]-5.1")
    assert refused.value.location == "OBX[2]-5.1"
    assert view.text("PID-3") == "1"
    fault = view.charset_fault()
    assert isinstance(fault, TextUndecodable)
    assert fault.location == "OBX[2]-5"


def test_no_byte_of_the_text_is_told_in_the_error():
    """A patient's name never stands in an error."""
    view = of(b"PID|||||M\xe9ller")
    with pytest.raises(TextUndecodable) as refused:
        view.text("PID-5")
    assert "ller" not in str(refused.value)


@pytest.mark.parametrize(("policy", "text"), [("replace", "caf�"), ("8859/1", "café")])
def test_the_channel_may_replace_or_fall_back(policy, text):
    """C2: by policy; that it happened can be counted."""
    view = of(b"PID|||||caf\xe9", on_charset_error=policy)
    assert view.text("PID-5") == text
    assert view.charset_fault() is not None


def test_the_channels_default_is_read_when_msh_18_is_empty():
    """C2: and only then."""
    assert of(b"PID|||||caf\xe9", charset="8859/1").text("PID-5") == "café"
    head = HEAD + b"||||||UNICODE UTF-8"
    assert of("PID|||||café".encode(), head=head, charset="8859/1").text("PID-5") == "café"


def test_an_unknown_set_is_refused_unless_the_channel_falls_back():
    """C1, C2: ASCII text needs no set; other text is refused, or read by the policy."""
    head, name = HEAD + b"||||||KLINGON", b"PID|||1||caf\xe9"
    view = of(name, head=head)
    assert view.text("PID-3") == "1"
    with pytest.raises(CharsetUnknown):
        view.text("PID-5")
    assert isinstance(view.charset_fault(), CharsetUnknown)
    assert of(name, head=head, on_charset_error="8859/1").text("PID-5") == "café"
    assert of(name, head=head, on_charset_error="replace").text("PID-5") == "caf�"


def test_a_conditions_text_is_compared_unescaped():
    """`[1=A&B]` fits `A\\T\\B`, and a deleted component fits no text."""
    view = of(rb"PID|||A\T\B^x~C^y", b'PID|||""^z', b"PID|||Q")
    assert view.text("PID-3[1=A&B].2") == "x"
    assert view.text('PID[3.1=""]-3.2') is None
    assert view.text("PID[3=Q]-3") == "Q"


@given(st.binary(max_size=200))
def test_any_bytes_behind_a_header_can_be_read(junk):
    """P10: names, paths and masks of whatever a peer sends end in a value or a typed error."""
    content = HEAD + b"\r" + junk
    view = MessageView(content, on_charset_error="replace")
    lines = [line for line in re.split(rb"[\r\n]+", content) if line.strip(b" \t\x0b\x0c\x1c")]
    assert [s.raw for s in view.segments()] == lines
    for path in ("PID-3[5=MR].1", "OBX[*2=ED]-5", "ZZZ[3]-1.2.3"):
        view.texts(path)
    view.charset_fault()


SEGMENT = st.tuples(
    st.sampled_from(("PID", "OBX", "NTE", "ZPI")),
    st.lists(
        st.lists(
            st.lists(st.text("ab1 ", max_size=3), min_size=1, max_size=3).map("^".join),
            min_size=1,
            max_size=3,
        ).map("~".join),
        max_size=4,
    ),
)


@given(st.lists(SEGMENT, max_size=6), st.sampled_from(("\r", "\n", "\r\n")))
def test_every_place_agrees_with_plain_splitting(segments, end):
    """A view and `str.split` never differ on which bytes a path names."""
    lines = [HEAD.decode(), *("|".join((name, *fields)) for name, fields in segments)]
    view = MessageView(end.join(lines).encode())
    for name, field, rep, comp in [
        (n, f, r, c) for n in ("PID", "OBX") for f in (1, 3) for r in (1, 2) for c in (1, 3)
    ]:
        of_name = [fields for called, fields in segments if called == name]
        for nth in (1, 2):
            expected = pick(pick(pick(of_name, nth), field, "~"), rep, "^")
            expected = pick(expected, comp)
            path = Path(name, occurrence=nth, field=field, repetition=rep, component=comp)
            assert view.raw(path) == (expected.encode() if expected else None)


def pick(values, number, separator=None):
    """The number-th value, split further when a separator is given; empty when absent."""
    value = values[number - 1] if 0 < number <= len(values) else ""
    return value.split(separator) if separator else value
