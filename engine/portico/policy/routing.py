"""What a channel reads from a content before it is journaled: identity, order and repeats.

Source: HL7 v2.5.1 chapter 2.15.9 (MSH); SITE reference, `channel` (`order_by`, `duplicates`).
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from typing import Any
from zlib import crc32

from msgspec import Struct

from portico.errors import MessageError, NotHl7, RequiredMissing
from portico.hl7 import wide
from portico.hl7.header import Header
from portico.hl7.view import MessageView
from portico.language import order
from portico.language.content import Content, PointView, View, open_content
from portico.language.context import Context
from portico.language.jsonskim import JsonSkim
from portico.language.order import Beside
from portico.language.place import Hl7Place, Place

NOTHING: Mapping[str, Any] = {}
PATIENT = Hl7Place("PID-3.1")
_AGAIN = re.compile(rb"[\r\n]MSH")
_SEARCHED = 200  # characters of a field that search knows; an index entry ends at 2.7 kB

CHANGED = "changed"  # the flag of a Signal that differs from an earlier one of its identity
WORDS = ("sender", "connection", "channel", "none")
_OWN = 44  # bits of a repeat key that are its name's alone
_SIGN = 1 << 63


class Rules(Struct, frozen=True):
    """A channel's settings, as far as reading goes.

    order_by: the words above or
    places, the first valued one counts; beside: the message's other keys. repeat_by: places
    whose values together name a message, None when repeats are processed like any other;
    standard_repeat: they are MSH-3, MSH-4 and MSH-10, which are read without a path.
    on_charset_error: `refuse`, `replace` or the character set to fall back to. idempotency:
    the header, in lower case, whose value names a request instead.
    wide: whether the source's frames carry UTF-16; else it is refused as no HL7. first: what
    the channel was called at first, when it has been renamed.
    """

    origin: str
    content: Content = Content()
    charset: str = "ascii"
    on_charset_error: str = "refuse"
    order_by: tuple[str | Place, ...] = ("sender",)
    repeat_by: tuple[Place, ...] | None = None
    standard_repeat: bool = False
    beside: Beside | None = None
    idempotency: str = ""
    wide: bool = False
    first: str = ""

    @property
    def identity(self) -> str:
        """The name that repeats are reckoned by."""
        return self.first or self.origin


class Routed(Struct, frozen=True):
    """What was read. header: of HL7 content whose MSH could be read. view: for conditions.

    fault: why the message is refused; the fields read before it stand.
    """

    type: str = ""
    control_id: str = ""
    sender: str = ""
    patient: str = ""
    order_key: str = ""
    repeat_key: int = 0
    flags: tuple[str, ...] = ()
    header: Header | None = None
    view: View = None
    fault: MessageError | None = None


def route(
    rules: Rules, content: bytes, peer: str, connection: int, about: Mapping[str, Any] = NOTHING
) -> Routed:
    """Read a content by a channel's rules. Never raises: what is wrong is in `fault`.

    about: further words of the envelope.
    """
    try:
        kind = rules.content.seen(content)
        if kind.type == "hl7":
            if rules.wide and content[:2] in wide.HEADS:
                content = wide.narrowed(content)
            return _route_hl7(rules, content, peer, connection, about)
        view = _opened(rules, kind, content)
        return _route_other(rules, view, peer, connection, about)
    except MessageError as fault:
        return Routed(fault=fault)


def envelope(
    routed: Routed,
    origin: str,
    received: int,
    peer: str,
    size: int,
    about: Mapping[str, Any] = NOTHING,
) -> dict[str, Any]:
    """The words that places and conditions know about a Signal."""
    noun, _, name = origin.rpartition("signal:")
    word = {"signal": name} if noun == "" and name != origin else {"channel": origin}
    return {
        **word,
        **about,
        "type": routed.type,
        "peer": peer,
        "file": peer.rpartition("/")[2] if "/" in peer else "",
        "received": received,
        "size": size,
        "flags": routed.flags,
    }


def changed(envelope: dict[str, Any]) -> dict[str, Any]:
    """The same, of a Signal that differs from an earlier one under the same identity."""
    return {**envelope, "flags": (*envelope["flags"], CHANGED)}


def _route_hl7(
    rules: Rules, content: bytes, peer: str, connection: int, about: Mapping[str, Any]
) -> Routed:
    view = MessageView(content, rules.charset, rules.on_charset_error)
    header = view.header
    kind = header.type
    control_id, sender = header.control_id[:_SEARCHED].decode("latin-1"), _sender(header)
    try:
        _check(header, content, view.start)
        flags = _charset_flags(rules, view)
        patient = view.text(PATIENT.path)
        context = partial(_context, rules, view, kind, peer, about)
        if rules.order_by[0] == PATIENT and isinstance(patient, str):
            order_key = patient
        else:
            order_key = _order_key(rules, context, sender, peer, connection)
        if rules.beside is not None and _meets(rules.beside, kind):
            order_key = order.widened(order_key, rules.beside, kind, context())
        repeat_key = _repeat_key(rules, view, header, about)
    except MessageError as fault:
        return Routed(kind, control_id, sender, header=header, view=view, fault=fault)
    return Routed(
        kind,
        control_id,
        sender,
        patient[:_SEARCHED] if isinstance(patient, str) else "",
        order_key,
        repeat_key,
        flags,
        header,
        view,
    )


def _opened(rules: Rules, kind: Content, content: bytes) -> View:
    if kind.type == "json":
        return JsonSkim(content)
    return open_content(kind, content, rules.charset, rules.on_charset_error)


def _route_other(
    rules: Rules, view: View, peer: str, connection: int, about: Mapping[str, Any]
) -> Routed:
    """Read at the door: what is not JSON, XML or CSV is refused there, as bad HL7 is."""
    kind = view.check() if isinstance(view, PointView) else "application/octet-stream"
    context = partial(_context, rules, view, kind, peer, about)
    order_key = _order_key(rules, context, "", peer, connection)
    if rules.beside is not None and rules.beside.places:
        order_key = order.widened(order_key, rules.beside, "", context())
    return Routed(
        kind,
        order_key=order_key,
        repeat_key=_repeat_key(rules, view, None, about),
        view=view,
    )


def _sender(header: Header) -> str:
    """MSH-3 and MSH-4 as one text."""
    return (header.sending_application + b"|" + header.sending_facility).decode("latin-1")


def _check(header: Header, content: bytes, start: int) -> None:
    """What must be right before anything else is looked at. start: where MSH begins."""
    if not header.message_code:
        raise RequiredMissing("MSH-9 (message type) is empty", "MSH-9")
    if not header.control_id:
        raise RequiredMissing("MSH-10 (message control id) is empty", "MSH-10")
    if content.rfind(b"MSH") > start and _AGAIN.search(content, start):
        raise NotHl7("several messages in one frame; send one message a frame")


def _charset_flags(rules: Rules, view: MessageView) -> tuple[str, ...]:
    """`bad_charset` when bytes lie outside the message's character set and policy allows it."""
    fault = view.charset_fault()
    if fault is None:
        return ()
    if rules.on_charset_error == "refuse":
        raise fault
    return ("bad_charset",)


def _meets(rules: Beside, kind: str) -> bool:
    """Whether a message of this type may belong to more lanes than one."""
    return bool(rules.places) or kind in order.MEETINGS


def _context(
    rules: Rules, view: View, kind: str, peer: str, about: Mapping[str, Any]
) -> Context:
    """What places are read from; made only where a channel has some."""
    return Context(view, {"channel": rules.origin, "type": kind, "peer": peer, **about})


def _order_key(
    rules: Rules, context: Callable[[], Context], sender: str, peer: str, connection: int
) -> str:
    for source in rules.order_by:
        if isinstance(source, Place):
            value = source.text(context())
            if isinstance(value, str):
                return value
        elif source == "channel":
            return "channel"
        elif source == "connection":
            return f"connection {connection}"
        elif source == "none":
            return ""
    return sender if sender.strip("|") else peer.rpartition(":")[0]


def _repeat_key(
    rules: Rules, view: View, header: Header | None, about: Mapping[str, Any]
) -> int:
    """Of the channel and the values, see _hashed; 0: repeats are not looked for."""
    if rules.repeat_by is None:
        return 0
    if about and (said := about.get("header", NOTHING).get(rules.idempotency)):
        return repeat_key_of(rules.identity, f"{rules.idempotency}\x1f{said}")
    if rules.standard_repeat:
        if header is None or not header.control_id:
            return 0
        parts = (header.sending_application, header.sending_facility, header.control_id)
        named = b"\x1f".join(parts)
    else:
        context = Context(view, {"channel": rules.origin, **about})
        values = [place.text(context) for place in rules.repeat_by]
        if not any(isinstance(value, str) for value in values):
            return 0
        named = "\x1f".join(str(value or "") for value in values).encode()
    return _hashed(rules.identity.encode() + b"\x1e" + named)


def repeat_key_of(origin: str, identity: str) -> int:
    """The same for a message that its source names: a place in a file, a planned time."""
    return _hashed(f"{origin}\x1d{identity}".encode(errors="surrogateescape"))


def _hashed(whole: bytes) -> int:
    """64 bits, signed: 44 of BLAKE2, below 12 and 8 that names share which differ in their last
    six or three characters. Numbers that follow each other so lie together in an index, and a
    checkpoint later a thousand messages touch a few of its pages in place of a thousand.
    """
    near = crc32(whole[:-6])
    group = (near & 0xFFF) << 8 | crc32(whole[-6:-3], near) & 0xFF
    own = int.from_bytes(blake2b(whole, digest_size=8).digest(), "big")
    return ((group << _OWN | own & (1 << _OWN) - 1) ^ _SIGN) - _SIGN
