"""A field's repetitions are found by the message's own delimiters."""

import pytest

from portico.authoring import Message
from transforms import repetitions


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (b"", []),
        (b"a", ["PID-13[1]"]),
        (b"a~b^c", ["PID-13[1]", "PID-13[2]"]),
        (b"~b", ["PID-13[1]", "PID-13[2]"]),
    ],
)
def test_every_repetition_is_a_place(field, found):
    """An empty first repetition hides no second one."""
    msg = Message(b"MSH|^~\\&|A||B||1||ADT^A01|1|P|2.5\rPID|" + b"|" * 12 + field + b"\r")

    assert repetitions.places(msg, "PID-13") == found


def test_other_delimiters_are_the_messages_own():
    """A tilde that delimits nothing is text."""
    msg = Message(b"MSH|^!\\&|A||B||1||ADT^A01|1|P|2.5\rPID|" + b"|" * 12 + b"a~b!c\r")

    assert repetitions.places(msg, "PID-13") == ["PID-13[1]", "PID-13[2]"]
