"""What the journal keeps of what arrived, and what a reader of it sees."""

import base64

import pytest

from conformance.words import fields, fresh, message
from portico.cli.control import Engine


def journaled(appliance, control_id: str) -> bytes:
    """The content of the Signal with this MSH-10, as /v1 gives it."""
    engine = Engine(appliance.site)
    [row] = engine.signals({"control_id": control_id}).signals
    return base64.b64decode(engine.signal(row.id, phi=True).message.base64)


@pytest.mark.parametrize(
    ("what", "change", "code"),
    [
        ("latin-1", lambda content: content.replace(b"ADA", b"AD\xc4"), b"AE"),
        ("line feeds", lambda content: content.replace(b"\r", b"\n"), b"AA"),
        ("a byte order mark", lambda content: b"\xef\xbb\xbf\r\n" + content, b"AA"),
        ("a NUL", lambda content: content.replace(b"ADA", b"A\0A"), b"AA"),
        (
            "trailing separators",
            lambda content: content + b'ZPI|||""|\\X0D\\^^&&|||\r\r',
            b"AA",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_journal_keeps_the_bytes_that_arrived(appliance, what, change, code):
    """C5, E2, E3, P5: bit for bit, whether the message is taken or refused."""
    control_id = fresh()
    content = change(message(control_id))
    [told] = appliance.answers("journaled", content)

    assert fields(told, b"MSA")[1] == code
    assert journaled(appliance, control_id) == content
