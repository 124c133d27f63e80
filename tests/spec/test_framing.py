"""spec/framing.py: `frame:` of TCP."""

import pytest
from pydantic import ValidationError

from portico.spec.framing import Frame, mark
from portico.wire.frames import Delimited, Fixed, Prefixed, Whole


@pytest.mark.parametrize(
    ("said", "framing"),
    [
        ({"length": "4"}, Prefixed(4, "big")),
        ({"length": "2", "endian": "little"}, Prefixed(2, "little")),
        ({"end": "LF"}, Delimited(b"\n")),
        ({"end": "ETX CR", "start": "STX"}, Delimited(b"\x03\r", b"\x02")),
        ({"fixed": "80"}, Fixed(80)),
        ("close", Whole()),
    ],
)
def test_each_way_to_tell_frames(said, framing):
    """The five ways of the language."""
    assert Frame.model_validate(said).framing == framing


@pytest.mark.parametrize(
    ("text", "mark_of_it"),
    [("CRLF", b"\r\n"), ("0x1C 0x0D", b"\x1c\r"), ("\n", b"\n"), ("EOM", b"EOM"), ("|", b"|")],
)
def test_marks_are_control_characters_by_name_or_any_text(text, mark_of_it):
    """What is neither a name nor a byte stands for itself."""
    assert mark(text) == mark_of_it


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, "in one way"),
        ({"end": "LF", "fixed": "3"}, "in one way"),
        ({"start": "STX"}, "in one way"),
        ({"fixed": "3", "start": "STX"}, "needs an 'end'"),
        ({"end": "LF", "endian": "big"}, "of a 'length'"),
        ({"end": ""}, "cannot be empty"),
        ({"length": "3"}, "'1', '2', '4' or '8'"),
        ({"fixed": "0"}, "greater than or equal to 1"),
        ("open", "close"),
    ],
)
def test_what_tells_nothing_is_refused(said, told):
    """With what would be right."""
    with pytest.raises(ValidationError, match=told):
        Frame.model_validate(said)
