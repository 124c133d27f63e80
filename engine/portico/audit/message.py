"""One audit message as XML.

Source: DICOM PS3.15, A.5.1 (the schema) and A.5.2; IHE ITI TF-2, 3.20.4.1.2.
"""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from portico.gate import is_ip

_APPLICATION_SERVER = "4"  # A.5.1.2.1
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value. system: `DCM`, or our own name for what no standard has a code for."""

    value: str
    text: str
    system: str = "DCM"


@dataclass(frozen=True, slots=True)
class Participant:
    """Who took part. user: a name, or the node's; peer: an address or a host's name, may be
    empty; requests: it asked for what happened.
    """

    user: str
    requests: bool
    role: Code | None = None
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Thing:
    """What it was about. kind: of the id; role: A.5.1.2.2; details: by name."""

    id: str
    kind: Code
    role: str = ""
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """What happened. action: `C R U D E`; outcome: 0 done, 4 failed; why: for people."""

    event: Code
    action: str
    participants: tuple[Participant, ...]
    kind: Code | None = None
    outcome: int = 0
    why: str = ""
    things: tuple[Thing, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Who reports. id: of this installation; enterprise: of its organisation, may be empty."""

    id: str
    enterprise: str = ""


def written(record: Record, source: Source, at: datetime) -> bytes:
    """UTF-8, without a declaration. at: aware."""
    root = Element("AuditMessage")
    said = SubElement(
        root,
        "EventIdentification",
        EventActionCode=record.action,
        EventDateTime=at.isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=str(record.outcome),
    )
    _code(said, "EventID", record.event)
    if record.kind is not None:
        _code(said, "EventTypeCode", record.kind)
    if record.why:
        SubElement(said, "EventOutcomeDescription").text = _clean(record.why)
    for one in record.participants:
        _participant(root, one)
    reporter = SubElement(root, "AuditSourceIdentification", AuditSourceID=_clean(source.id))
    if source.enterprise:
        reporter.set("AuditEnterpriseSiteID", _clean(source.enterprise))
    SubElement(reporter, "AuditSourceTypeCode", {"csd-code": _APPLICATION_SERVER})
    _things(root, record.things)
    return ElementTree.tostring(root, encoding="unicode").encode()


def _participant(root: Element, one: Participant) -> None:
    requests = "true" if one.requests else "false"
    made = SubElement(
        root, "ActiveParticipant", UserID=_clean(one.user), UserIsRequestor=requests
    )
    if one.peer:
        made.set("NetworkAccessPointID", _clean(one.peer))
        made.set("NetworkAccessPointTypeCode", "2" if is_ip(one.peer) else "1")
    if one.role is not None:
        _code(made, "RoleIDCode", one.role)


def _things(root: Element, things: Iterable[Thing]) -> None:
    for one in things:
        made = SubElement(root, "ParticipantObjectIdentification")
        made.set("ParticipantObjectID", _clean(one.id))
        made.set("ParticipantObjectTypeCode", "2")  # a system object
        if one.role:
            made.set("ParticipantObjectTypeCodeRole", one.role)
        _code(made, "ParticipantObjectIDTypeCode", one.kind)
        SubElement(made, "ParticipantObjectName").text = _clean(one.id)
        for name, value in one.details:
            coded = base64.b64encode(value.encode("utf-8", "replace")).decode()
            SubElement(made, "ParticipantObjectDetail", type=name, value=coded)


def _code(parent: Element, name: str, code: Code) -> None:
    values = {"csd-code": code.value, "codeSystemName": code.system, "originalText": code.text}
    SubElement(parent, name, values)


def _clean(text: str) -> str:
    """What XML may hold, on one line."""
    return " ".join(_NO_XML.sub("?", text).split())
