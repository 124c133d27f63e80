"""portico.hl7.transcode: a message in another character set (C4)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import CharsetUnknown, TextUndecodable, TextUnencodable
from portico.hl7 import transcode
from portico.hl7.edit import MessageEdit
from portico.hl7.transcode import UTF16, known, transcoded
from portico.hl7.view import MessageView

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
HEAD = "MSH|^~\\&|HIS|ST|LAB|ST|2026||ADT^A01|1|P|2.5||||||%s\r"
BODY = "PID|||4711||Müller^Zoë||\rOBX|1||A||x\rOBX|2||A||é\\XC3A9\\\\X0D\\\r"


def message(charset="UNICODE UTF-8", codec="utf-8", body=BODY):
    """A view of a message in that character set."""
    return MessageView((HEAD % charset + body).encode(codec))


@pytest.mark.parametrize(
    ("name", "spelled"),
    [("latin1", "8859/1"), ("utf-8", "UNICODE UTF-8"), ("windows-1252", "windows-1252"),
     ("ISO IR87", "~ISO IR87"), ("unicode utf-16", UTF16), ("UTF-16", UTF16),
     ("GB18030", "GB 18030-2000")],
)  # fmt: skip
def test_msh_18_is_spelled_as_table_0211_does(name, spelled):
    """Whatever the site's spelling."""
    assert known(name) == spelled
    with pytest.raises(CharsetUnknown):
        known("KLINGON")


def test_every_character_is_written_in_the_other_set():
    """C4: MSH-18 and the bytes of an escape too; lines, empty fields, ASCII escapes stay."""
    body = BODY.replace("\\XC3A9\\", "\\XE9\\")
    assert transcoded(message(), "8859/1") == (HEAD % "8859/1" + body).encode("latin-1")
    back = transcoded(MessageView(transcoded(message(), "8859/1")), "UNICODE UTF-8")
    assert back == message().content


def test_a_message_that_is_in_the_set_keeps_its_bytes():
    """The very same object; ASCII text only has its MSH-18 written."""
    view = message()
    assert transcoded(view, "UNICODE UTF-8") is view.content
    plain = message("", "ascii", "PID|||4711||X\r")
    assert transcoded(plain, "8859/1") == (HEAD % "8859/1" + "PID|||4711||X\r").encode()


def test_bytes_of_an_escape_are_written_also_where_all_is_ascii():
    """An escape is the one way in which such a message holds a byte of its set."""
    view = message("8859/1", "ascii", "PID|||1||M\\XFC\\ller\r")
    there = MessageView(transcoded(view, "UNICODE UTF-8"))

    assert there.content == (HEAD % "UNICODE UTF-8" + "PID|||1||M\\XC3BC\\ller\r").encode()
    assert there.text("PID-5") == view.text("PID-5") == "Müller"


def test_what_only_looks_like_an_escape_stays():
    """`\\E\\XE9\\E\\` is the text `\\XE9\\`: of a path, say."""
    view = message("8859/1", "latin-1", "PID|||1||C:\\E\\XE9\\E\\é\r")

    assert MessageView(transcoded(view, "UNICODE UTF-8")).text("PID-5") == "C:\\XE9\\é"


@pytest.mark.parametrize(
    ("body", "place"),
    [("PID|||1||M\u20ac\r", "PID-5"), ("OBX|1\rOBX|2||\u20ac\r", "OBX[2]-3"),
     ("PID|1\r\nZZ1|\\XE282AC\\|\u20ac\r", "ZZ1-1")],
)  # fmt: skip
def test_what_the_set_cannot_carry_is_an_error_with_its_field(body, place):
    """C4: never `?`."""
    with pytest.raises(TextUnencodable, match="8859/1 cannot carry") as caught:
        transcoded(message(body=body), "8859/1")
    assert caught.value.location == place


def test_bytes_outside_of_the_messages_set_are_its_policys_matter():
    """C2 holds on the way out too."""
    content = (HEAD % "" + "PID|||1||M\xfc\r").encode("latin-1")
    with pytest.raises(TextUndecodable):
        transcoded(MessageView(content), "UNICODE UTF-8")
    fallen = transcoded(MessageView(content, "ascii", "8859/1"), "UNICODE UTF-8")
    assert "M\xfc".encode() in fallen


@pytest.mark.parametrize(
    ("name", "codec", "text"),
    [("~ISO IR87", "iso2022_jp", "表^ソ漢字"), ("BIG-5", "big5", "許功蓋"),
     ("GB 18030-2000", "gb18030", "中国𠀀"), ("KS X 1001", "euc_kr", "홍길동")],
)  # fmt: skip
def test_wide_sets_read_back_field_by_field(name, codec, text):
    """C3: their bytes that look like delimiters divide nothing."""
    edit = MessageEdit(message(body="PID|||1||x^y||z\r"))
    edit.set("PID-5.1", text)
    there = MessageView(transcoded(MessageView(edit.encode()), name))
    assert (there.text("PID-5.1"), there.text("PID-5.2"), there.text("PID-7")) == (
        text,
        "y",
        "z",
    )
    assert transcoded(there, "UNICODE UTF-8") == edit.encode()


def test_utf_16_has_a_mark_and_two_bytes_a_character():
    """For where the framing carries it: files, HTTPS, a length in front."""
    content = transcoded(message(), UTF16)
    assert content.startswith(b"\xfe\xff\x00M")
    assert content.decode("utf-16").startswith(HEAD % UTF16)


@given(st.text(st.characters(codec="iso8859-15"), max_size=30))
def test_there_and_back_is_the_same_message(text):
    """For any text that both sets carry."""
    edit = MessageEdit(message(body="PID|||1||x||z\rOBX|1||y\r"))
    edit.set("PID-5.1", text)
    view = MessageView(edit.encode())
    there = MessageView(transcoded(view, "8859/15"))
    assert there.text("PID-5.1") == view.text("PID-5.1")
    assert transcoded(there, "UNICODE UTF-8") == view.content


def test_published_japanese_messages_become_utf_8_and_back():
    """All fields read the same; a message that was whole comes back byte for byte."""
    files = sorted((CORPUS / "v2").rglob("*")) if CORPUS.exists() else []
    seen = 0
    for file in files:
        content = file.read_bytes() if file.is_file() else b""
        if b"\x1b$" not in content or not content.startswith(b"MSH"):
            continue
        view = MessageView(content)
        wide = MessageView(transcoded(view, "UNICODE UTF-8"))
        for segment in view.segments():
            for number in range(1, 30):
                path = f"{segment.name}-{number}"
                if path != "MSH-18":
                    assert wide.texts(path) == view.texts(path), (file.name, path)
        seen += 1
    if not seen:
        pytest.skip("the corpus lies beside the project only in its own workshop")
    assert transcode.known("ISO IR87") == "~ISO IR87"
