"""New contents of `map: {new: ...}`: an empty message with its MSH, or an empty JSON object."""

import re
from collections.abc import Callable

from portico import ids
from portico.hl7.delimiters import Delimiters
from portico.hl7.message import Message
from portico.hl7.view import MessageView
from portico.ids import SignalId
from portico.language import dates
from portico.steps.body import Body, Hl7Body, json_body
from portico.steps.state import RunState

Make = Callable[[RunState], Body]

_TYPE = re.compile(
    r"[A-Z][A-Z0-9]{2}\^[A-Z0-9]{3}(\^[A-Z0-9]{3,7}(_[A-Z0-9]{2,4})?)?", re.ASCII
)
_STAMP = dates.formatter("%Y%m%d%H%M%S%z")
_VERSION = b"2.5.1"
_CHARSET = b"UNICODE UTF-8"


def parse(text: str) -> Make:
    """What `new` names: `json` or a message type. Raises ValueError."""
    if text == "json":
        return lambda state: json_body({})
    if not _TYPE.fullmatch(text):
        raise ValueError(f"{text!r} is not a message type; try 'ADT^A28^ADT_A05', or json")
    kind = text.encode("ascii")
    return lambda state: _message(state, kind)


def _message(state: RunState, kind: bytes) -> Body:
    """MSH of its own: time of the Signal, a control id made from the Signal's id.

    Made from an HL7 message it keeps sender, receiver, processing id, version and character
    set (a byte order mark, too); else it comes from PORTICO, is for production, of version
    2.5.1, in UTF-8.
    """
    mark, policy = b"", ("ascii", "refuse")
    if isinstance(state.body, Hl7Body):
        view = state.body.message.view
        msh, marks = list(_kept(view)), view.delimiters
        mark, policy = view.mark, view.policy
    else:
        msh, marks = [b"PORTICO", b"", b"", b"", b"P", _VERSION, _CHARSET], Delimiters()
    received = dates.of_nanoseconds(state.context.envelope.get("received") or 0)
    control = ids.short(SignalId(state.signal)).encode()
    typed = marks.component.join(kind.split(b"^"))
    stamp = _STAMP(received).encode()
    named = b"".join(marks[1:])
    fields = [
        b"MSH",
        named,
        *msh[:4],
        stamp,
        b"",
        typed,
        control,
        *msh[4:6],
        *[b""] * 5,
        msh[6],
    ]
    line = marks.field.join(fields).rstrip(marks.field)
    return Hl7Body(Message(MessageView(mark + line + b"\r", *policy)))


def _kept(view: MessageView) -> tuple[bytes, ...]:
    return tuple(view.raw(f"MSH-{number}") or b"" for number in (3, 4, 5, 6, 11, 12, 18))
