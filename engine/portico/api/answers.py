"""From what the journal holds to the JSON of /v1, patient data hidden unless asked for.

Hidden is what `hl7.mask` hides, and patient ids, order keys other than the sender, file names.
"""

import base64
import re
from datetime import datetime
from typing import Any

from portico import clock, ids
from portico.api import shapes, turns
from portico.errors import NotHl7
from portico.hl7 import mask
from portico.hl7.view import MessageView
from portico.ids import SignalId
from portico.journal.found import (
    ActFound,
    AttemptFound,
    Book,
    DeliveryFound,
    Page,
    Record,
    Row,
    SessionFound,
)
from portico.model import lane

_ENDS = re.compile(r"[\r\n]+")


def page(rows: list[Row], asked: Page, phi: bool) -> shapes.SignalPage:
    """A page of Signals; there is a next one when this one is full."""
    last = ids.text(rows[-1].id) if len(rows) == asked.limit else None
    return shapes.SignalPage(signals=tuple(row(r, phi) for r in rows), next=last)


def row(found: Row, phi: bool) -> shapes.SignalRow:
    """One Signal in a list."""
    key = found.order_key
    return shapes.SignalRow(
        id=ids.text(found.id),
        channel=found.origin,
        received=found.received,
        type=found.type,
        control_id=found.control_id,
        sender=found.sender,
        patient=shown(found.patient, phi),
        order_key=key if key == found.sender else shown(lane.told(key), phi),
        peer=found.peer if phi else _place(found.peer),
        size=found.size,
        flags=tuple(found.flags.split()),
        state=found.state,
        ended=found.ended,
    )


def detail(found: Record, phi: bool) -> shapes.SignalDetail:
    """One Signal whole."""
    sender = found.row.sender
    return shapes.SignalDetail(
        signal=row(found.row, phi),
        sha256=found.sha256.hex(),
        parent=ids.text(found.parent) if found.parent else None,
        message=message(found.content, phi),
        sessions=tuple(_session(s, phi) for s in found.sessions),
        deliveries=tuple(_delivery(d, sender, phi) for d in found.deliveries),
        parked=tuple(
            shapes.Parked.model_validate(p, from_attributes=True) for p in found.parked
        ),
        acts=tuple(act(a) for a in found.acts),
        events=turns.events(found.calls),
    )


def message(content: bytes, phi: bool) -> shapes.Message:
    """A content for people: masked, or as it is together with its exact bytes."""
    if not content:
        return shapes.Message(size=0, lines=())
    if phi:
        exact = base64.b64encode(content).decode("ascii")
        return shapes.Message(size=len(content), lines=_lines(_plain(content)), base64=exact)
    return shapes.Message(size=len(content), lines=_lines(mask.mask(content)))


def act(found: ActFound) -> shapes.ActItem:
    """One act."""
    return shapes.ActItem(
        at=found.at,
        who=found.who,
        what=found.what,
        id=part_id(found.signal, found.kind, found.number),
        reason=found.reason,
        other=ids.text(found.other) if found.other else None,
        job=found.job,
    )


def part_id(signal: SignalId, kind: str, number: int) -> str:
    """`SIGNAL/s1`, `SIGNAL/d2`; of the Signal itself its id."""
    word = ids.text(signal)
    return f"{word}/{kind[0]}{number}" if number else word


def channel(book: Book) -> shapes.Channel:
    """A channel of a journal that no engine uses."""
    counts: dict[str, Any] = dict(book.counts)
    return shapes.Channel(**counts, oldest=_oldest(book))


def destination(book: Book) -> shapes.Destination:
    """A destination of a journal that no engine uses."""
    counts: dict[str, Any] = dict(book.counts)
    return shapes.Destination(**counts, oldest=_oldest(book))


def _oldest(book: Book) -> datetime | None:
    return clock.moment(ids.millis(book.oldest) * 1_000_000) if book.oldest else None


def shown(text: str, phi: bool) -> str:
    """As it is, or veiled."""
    return text if phi else mask.veil(text)


def _plain(content: bytes) -> str:
    try:
        return MessageView(content, on_charset_error="replace").decoded(content)
    except NotHl7:
        return content.decode("utf-8", "replace")


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in _ENDS.split(text) if line)


def _place(peer: str) -> str:
    """Where it came from, without the name of a file."""
    folder, slash, name = peer.rpartition("/")
    return f"{folder}/{mask.veil(name)}" if slash else peer


def _session(found: SessionFound, phi: bool) -> shapes.Session:
    rest = dict(found.detail)
    runs = rest.pop("runs", None) or ()
    if isinstance(refusal := rest.get("refusal"), dict):
        told = {key: value for key, value in refusal.items() if key != "shown"}
        if not phi and refusal.get("shown"):
            told["text"] = refusal["shown"]
        rest["refusal"] = told
    return shapes.Session(
        number=found.number,
        agent=found.agent,
        version=found.version,
        verdict=found.verdict,
        step=found.step,
        error=found.error,
        micros=found.micros,
        concluded=found.concluded,
        runs=tuple(shapes.StepRun.model_validate(r) for r in runs),
        detail=rest,
    )


def _delivery(found: DeliveryFound, sender: str, phi: bool) -> shapes.Delivery:
    return shapes.Delivery(
        number=found.number,
        session=found.session,
        destination=found.destination,
        lane=found.lane if found.lane == sender else shown(lane.told(found.lane), phi),
        control_id=found.control_id,
        file=shown(found.file, phi),
        state=found.state,
        message=message(found.content, phi),
        attempts=tuple(_attempt(a, phi) for a in found.attempts),
    )


def _attempt(found: AttemptFound, phi: bool) -> shapes.Attempt:
    return shapes.Attempt(
        number=found.number,
        at=found.at,
        outcome=found.outcome,
        code=found.code,
        micros=found.micros,
        detail=found.detail,
        answer=message(found.answer, phi),
    )
